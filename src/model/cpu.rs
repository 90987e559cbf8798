//! The forward pass on the CPU: fused operations over windows packed end to end, on all threads.

mod attention;
mod layer;
mod packed_model;
mod partition;
mod pass;
mod rows;
mod scratch;
mod team;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rayon::ThreadPool;

pub(super) use self::packed_model::PackedModel;
use self::partition::Team;
use self::pass::Pass;
use self::scratch::Buffers;
use self::scratch::Pool;
use self::scratch::Scratch;
use crate::batch::Batch;
use crate::error::Cause;
use crate::error::Error;
use crate::error::Result;
use crate::model::Forward;
use crate::model::Logits;

/// A replica of a model on the CPU: threads and buffers of its own, and weights that it shares with
/// other replicas.
#[derive(Debug)]
pub(super) struct CpuTransformer {
    model: Arc<PackedModel>,
    threads: ThreadPool,
    team: Team,
    buffers: Pool<Buffers>, // one stack, as only one batch runs at a time
    scratch: Pool<Scratch>, // one stack per thread
}

impl CpuTransformer {
    pub(super) fn new(model: Arc<PackedModel>, threads: ThreadPool) -> Self {
        let n_threads = threads.current_num_threads();
        Self {
            model,
            threads,
            team: Team::new(n_threads),
            buffers: Pool::new(1),
            scratch: Pool::new(n_threads),
        }
    }
}

impl Forward for CpuTransformer {
    fn forward(&self, batch: &Batch) -> Result<Logits> {
        let Self { model, team, scratch, .. } = self;
        model.check(batch).map_err(|reason| Error::Forward {
            rows: batch.n_windows(),
            source: Cause::from(Box::from(reason)),
        })?;
        let pass = Pass { model, batch, team: *team, scratch };
        Ok(Logits(self.buffers.with(0, |buffers| self.threads.install(|| pass.run(buffers)))))
    }
}
