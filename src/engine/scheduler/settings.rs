//! How much the scheduler takes on.

use std::time::Duration;

/// How much is taken on.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct SchedulerSettings {
    /// Tokens in a batch; a longer window goes alone.
    pub(in crate::engine) batch_tokens: usize,
    /// Tokens that may wait, in the foreground and in the background each.
    pub(in crate::engine) queue_tokens: usize,
    /// Tokens of the largest request; one key may have half of the queue waiting, or that.
    pub(in crate::engine) max_request_tokens: usize,
    /// How long what waits in the foreground may take.
    pub(in crate::engine) queue_time: Duration,
}

impl SchedulerSettings {
    /// Tokens that requests of keys which were idle may be computed before those of keys that have
    /// something waiting all the time.
    pub(super) fn max_credit(&self) -> usize {
        self.batch_tokens.saturating_mul(CREDIT_BATCHES)
    }
}

/// Enough for a text of four windows on two cores; more would hold up those that wait for longer.
const CREDIT_BATCHES: usize = 4;
