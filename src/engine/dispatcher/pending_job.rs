//! A request between its admission and its answer.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use ndarray::ArrayView2;
use ndarray::Axis;
use ndarray::s;
use tokio::sync::oneshot;

use crate::engine::deadline::Deadline;
use crate::engine::scheduler::ModelId;
use crate::error::Result;
use crate::key::Account;
use crate::metrics::Metrics;
use crate::model::Logits;
use crate::tokenize::Window;

/// The data of a job that the scheduler does not need: its windows, results and reply channel.
#[derive(Debug)]
pub(in crate::engine) struct PendingJob {
    pub(super) model: ModelId,
    /// The windows that are not in a batch yet, in order.
    pub(super) windows: VecDeque<Window>,
    pub(super) reply: Reply,
    /// Kept alive so that no other account gets the same flow id while the job exists.
    pub(super) _account: Option<Arc<Account>>,
    pub(super) deadline: Option<Deadline>,
    pub(super) admitted: Instant,
    /// When the first batch of the job started.
    pub(super) began: Option<Instant>,
    /// The logits computed so far, in order of completion.
    pub(super) parts: Vec<Part>,
    pub(super) metrics: Arc<Metrics>,
}

/// The logits of a completed job, and its timestamps.
#[derive(Debug)]
pub(in crate::engine) struct JobOutput {
    /// One row per window, in order: (window, label).
    pub(in crate::engine) logits: Logits,
    pub(in crate::engine) admitted: Instant,
    /// When the first batch of the job started.
    pub(in crate::engine) began: Instant,
    /// When the last batch of the job ended.
    pub(in crate::engine) ended: Instant,
}

/// Sends the output of a job or its error; if the sender is dropped unused, the request fails with
/// [`crate::error::Error::Stopped`].
pub(super) type Reply = oneshot::Sender<Result<JobOutput>>;

/// Rows of a batch that belong to consecutive windows of a job.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) first_window: usize,
    pub(super) logits: Arc<Logits>, // of the whole batch
    pub(super) rows: Range<usize>,
}

impl PendingJob {
    /// Answers with the logits of all windows; does nothing if the client has disconnected.
    pub(in crate::engine) fn complete(mut self, ended: Instant) {
        // Batches on different workers end in any order.
        self.parts.sort_unstable_by_key(|part| part.first_window);
        let parts: Vec<ArrayView2<'_, f32>> = self.parts.iter().map(Part::rows).collect();
        let rows = ndarray::concatenate(Axis(0), &parts);
        let logits = Logits(rows.expect("parts are rows of one head, and a job has at least one"));
        let (admitted, began) = (self.admitted, self.began.unwrap_or(self.admitted));
        let _ = self.reply.send(Ok(JobOutput { logits, admitted, began, ended }));
    }

    /// Answers with the error of a failed batch.
    pub(in crate::engine) fn fail(self, error: crate::error::Error) {
        let _ = self.reply.send(Err(error));
    }

    /// Answers that the deadline has passed.
    pub(in crate::engine) fn expire(self) {
        self.abandon();
        if let Some(deadline) = self.deadline {
            let _ = self.reply.send(Err(deadline.exceeded()));
        }
    }

    /// Counts the job as abandoned if none of its batches has started.
    pub(super) fn abandon(&self) {
        if self.began.is_none() {
            self.metrics.count_abandoned();
        }
    }
}

impl Part {
    fn rows(&self) -> ArrayView2<'_, f32> {
        self.logits.0.slice(s![self.rows.clone(), ..])
    }
}
