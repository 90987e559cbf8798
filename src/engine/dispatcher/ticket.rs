//! A request that was admitted, as long as somebody waits for its answer.

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::oneshot;

use crate::engine::dispatcher::Dispatcher;
use crate::engine::dispatcher::JobOutput;
use crate::engine::fair_queue::JobId;
use crate::error::Error;
use crate::error::Result;

/// Waits for the answer. Dropped before, it abandons the job at once.
#[derive(Debug)]
pub(in crate::engine) struct Ticket<'a> {
    pub(super) dispatcher: &'a Dispatcher,
    pub(super) job: Option<JobId>, // none once it is answered
    pub(super) answer: oneshot::Receiver<Result<JobOutput>>,
    /// Room that a request without a deadline has waited for.
    pub(super) _room: Option<OwnedSemaphorePermit>,
}

impl Ticket<'_> {
    /// What came of it.
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
