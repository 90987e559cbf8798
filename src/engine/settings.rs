//! The limits of the engines of a process.

use std::time::Duration;

use tokio::sync::Semaphore;

use crate::error::Error;
use crate::error::Result;

/// Limits shared by all engines of a process.
#[derive(Debug, Clone, Copy)]
pub struct EngineSettings {
    /// Maximum tokens in a batch; a longer window forms a batch of its own.
    pub batch_tokens: usize,
    /// Maximum waiting tokens, for the foreground and for the background each.
    pub queue_tokens: usize,
    /// Maximum time to compute the waiting tokens at the throughput of their models;
    /// [`Duration::MAX`] for no limit.
    pub queue_time: Duration,
    /// Maximum tokens of one request in all windows; at most `queue_tokens`.
    pub max_request_tokens: usize,
    /// Number of texts tokenised concurrently.
    pub tokenize_permits: usize,
    /// Maximum tokens for finding the spans of one request, in addition to its own.
    pub span_tokens: usize,
}

impl EngineSettings {
    /// Checks that the limits are valid and consistent. Fails with [`Error::Config`].
    pub fn check(&self) -> Result<()> {
        let refuse = |name, reason: &str| Err(Error::Config { name, reason: reason.into() });
        if self.max_request_tokens > self.queue_tokens {
            return refuse(
                "max-request-tokens",
                "above max-queue-tokens, so it could never be used",
            );
        }
        if u32::try_from(self.queue_tokens).is_err() || self.queue_tokens > Semaphore::MAX_PERMITS {
            return refuse("max-queue-tokens", "too large");
        }
        if self.batch_tokens == 0 || self.max_request_tokens == 0 || self.tokenize_permits == 0 {
            return refuse(
                "max-batch-tokens, max-request-tokens, threads",
                "each must be at least 1",
            );
        }
        Ok(())
    }
}
