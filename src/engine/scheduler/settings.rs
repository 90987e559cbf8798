//! The limits of the scheduler.

use std::time::Duration;

/// The limits on batches and on the queue.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct SchedulerSettings {
    /// Maximum tokens in a batch; a longer window forms a batch of its own.
    pub(in crate::engine) batch_tokens: usize,
    /// Maximum waiting tokens, for the foreground and for the background each.
    pub(in crate::engine) queue_tokens: usize,
    /// Maximum tokens of a request; one key may have as many waiting, or half of the queue if that
    /// is more.
    pub(in crate::engine) max_request_tokens: usize,
    /// Maximum time that the waiting foreground work may take.
    pub(in crate::engine) queue_time: Duration,
}

impl SchedulerSettings {
    /// Returns the tokens by which requests of keys that were idle may be served before those of
    /// continuously backlogged keys.
    pub(super) fn max_credit(&self) -> usize {
        self.batch_tokens.saturating_mul(CREDIT_BATCHES)
    }
}

/// Enough for a text of four windows on two cores; more would delay requests that have waited
/// longer.
const CREDIT_BATCHES: usize = 4;
