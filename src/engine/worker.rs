//! The threads of a worker, which pack and compute batches and deliver the results.

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::time::Instant;

use tracing::debug;

use crate::batch::Batch;
use crate::engine::dispatcher::Dispatcher;
use crate::engine::dispatcher::Task;
use crate::engine::dispatcher::Work;
use crate::engine::scheduler::WorkerId;
use crate::error::Error;
use crate::error::Result;

/// Starts the threads of a worker. They exit when the dispatcher is shut down.
pub(super) fn spawn(dispatcher: &Arc<Dispatcher>, worker: WorkerId) -> Result<()> {
    for _ in 0..THREADS {
        let dispatcher = Arc::clone(dispatcher);
        let run = move || {
            if catch_unwind(AssertUnwindSafe(|| run(&dispatcher, worker))).is_err() {
                dispatcher.break_down();
            }
        };
        std::thread::Builder::new()
            .name(format!("worker-{}", worker.0))
            .spawn(run)
            .map_err(|fault| Error::Config { name: "threads", reason: fault.to_string() })?;
    }
    Ok(())
}

fn run(dispatcher: &Dispatcher, worker: WorkerId) {
    loop {
        match dispatcher.next(worker) {
            Task::Compute(work) => compute_or_crash(dispatcher, work),
            Task::Expire(jobs) => {
                for job in jobs {
                    job.expire();
                }
            }
            Task::Free(replicas) => drop(replicas),
            Task::End => return,
        }
    }
}

/// Computes a batch. A panic removes the model but does not end the worker, which serves other
/// models too; the panic hook has already logged the panic.
fn compute_or_crash(dispatcher: &Dispatcher, work: Work) {
    let (model, batch) = (work.model, work.batch);
    if catch_unwind(AssertUnwindSafe(|| compute(dispatcher, work))).is_err() {
        dispatcher.crash(model, batch);
    }
}

fn compute(dispatcher: &Dispatcher, mut work: Work) {
    let batch = Batch::pack(&std::mem::take(&mut work.windows));
    let (n_windows, n_tokens) = (batch.n_windows(), batch.n_tokens());
    debug!(batch.windows = n_windows, batch.tokens = n_tokens, "packed a batch");
    let Some(waits) = dispatcher.start(&work) else { return };
    let start = Instant::now();
    let logits = work.replica.forward(&batch);
    let elapsed = start.elapsed();
    // Completing or failing the batch frees the worker for the next one.
    let (jobs, error) = match logits {
        Ok(logits) => (dispatcher.complete(&work, logits, elapsed), None),
        Err(error) => (dispatcher.fail(&work), Some(error)),
    };
    let metrics = &work.replica.metrics;
    metrics.record_batch(n_windows, n_tokens, work.budget);
    metrics.record_forward(elapsed);
    for wait in waits {
        metrics.record_wait(wait);
    }
    for job in jobs {
        match &error {
            None => job.complete(start + elapsed),
            Some(error) => job.fail(error.clone()),
        }
    }
}

/// While one thread computes a batch, the other delivers the previous one and packs the next.
const THREADS: usize = 2;
