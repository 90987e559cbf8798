//! The handle with which a caller waits for an admitted request.

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::oneshot;

use crate::engine::dispatcher::Dispatcher;
use crate::engine::dispatcher::JobOutput;
use crate::engine::fair_queue::JobId;
use crate::error::Error;
use crate::error::Result;

/// Waits for the answer to a job; abandons the job if dropped before the answer.
#[derive(Debug)]
pub(in crate::engine) struct Ticket<'a> {
    pub(super) dispatcher: &'a Dispatcher,
    pub(super) job: Option<JobId>, // none once answered
    pub(super) answer: oneshot::Receiver<Result<JobOutput>>,
    /// The permits that a request without a deadline has waited for.
    pub(super) _permits: Option<OwnedSemaphorePermit>,
}

impl Ticket<'_> {
    /// Waits for the output of the job, or its error.
    pub(in crate::engine) async fn output(mut self) -> Result<JobOutput> {
        let output = (&mut self.answer).await.map_err(|_| Error::Stopped);
        self.job = None;
        output?
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if let Some(job) = self.job {
            self.dispatcher.abandon(job);
        }
    }
}
