//! A request between its admission and its answer.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use ndarray::ArrayView2;
use ndarray::Axis;
use ndarray::s;
use tokio::sync::oneshot;

use crate::encode::Window;
use crate::engine::deadline::Deadline;
use crate::engine::scheduler::ModelId;
use crate::error::Result;
use crate::key::Account;
use crate::metrics::Metrics;
use crate::model::Logits;

/// What the scheduler need not know of a job.
#[derive(Debug)]
pub(in crate::engine) struct PendingJob {
    pub(super) model: ModelId,
    /// Those that no batch has had, in order.
    pub(super) windows: VecDeque<Window>,
    pub(super) reply: Reply,
    /// While the job is there, its flow's id is not given to another key.
    pub(super) _account: Option<Arc<Account>>,
    pub(super) deadline: Option<Deadline>,
    pub(super) admitted: Instant,
    /// When its first batch began to run.
    pub(super) began: Option<Instant>,
    /// Logits so far, in order of computing.
    pub(super) parts: Vec<Part>,
    pub(super) metrics: Arc<Metrics>,
}

/// What came of a job, and when.
#[derive(Debug)]
pub(in crate::engine) struct JobOutput {
    /// A row for each window, in order.
    pub(in crate::engine) logits: Logits,
    pub(in crate::engine) admitted: Instant,
    /// When its first batch began to run.
    pub(in crate::engine) began: Instant,
    /// When its last batch had run.
    pub(in crate::engine) ended: Instant,
}

/// Takes what was computed, or the error; dropped without, it is [`crate::error::Error::Stopped`].
pub(super) type Reply = oneshot::Sender<Result<JobOutput>>;

/// Rows of a batch that belong to consecutive windows of a job.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) first_window: usize,
    pub(super) logits: Arc<Logits>, // of the whole batch
    pub(super) rows: Range<usize>,
}

impl PendingJob {
    /// Answers with all rows; a client that has just gone takes nothing.
    pub(in crate::engine) fn complete(mut self, ended: Instant) {
        // Batches at different places end in any order.
        self.parts.sort_unstable_by_key(|part| part.first_window);
        let parts: Vec<ArrayView2<'_, f32>> = self.parts.iter().map(Part::rows).collect();
        let rows = ndarray::concatenate(Axis(0), &parts);
        let logits = Logits(rows.expect("parts are rows of one head, and a job has at least one"));
        let (admitted, began) = (self.admitted, self.began.unwrap_or(self.admitted));
        let _ = self.reply.send(Ok(JobOutput { logits, admitted, began, ended }));
    }

    /// Answers that its batch has failed.
    pub(in crate::engine) fn fail(self, error: crate::error::Error) {
        let _ = self.reply.send(Err(error));
    }

    /// Answers that its deadline has passed.
    pub(in crate::engine) fn expire(self) {
        self.abandon();
        if let Some(deadline) = self.deadline {
            let _ = self.reply.send(Err(deadline.exceeded()));
        }
    }

    /// Counts it if it has cost nothing.
    pub(super) fn abandon(&self) {
        if self.began.is_none() {
            self.metrics.abandoned();
        }
    }
}

impl Part {
    fn rows(&self) -> ArrayView2<'_, f32> {
        self.logits.0.slice(s![self.rows.clone(), ..])
    }
}
