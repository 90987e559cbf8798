//! How much the engines of a process take on.

use std::time::Duration;

use tokio::sync::Semaphore;

use crate::error::Error;
use crate::error::Result;

/// Bounds that all engines of a process share.
#[derive(Debug, Clone, Copy)]
pub struct EngineSettings {
    /// Tokens in a batch; a longer window goes alone.
    pub batch_tokens: usize,
    /// Tokens that may wait; as many again of the background.
    pub queue_tokens: usize,
    /// How long they may take at the throughput of their models; [`Duration::MAX`] for any time.
    pub queue_time: Duration,
    /// Tokens, of all windows, that one request may cost; at most `queue_tokens`.
    pub max_request_tokens: usize,
    /// Texts tokenised at the same time.
    pub encode_threads: usize,
    /// Tokens that finding the spans of one request may cost beyond its own.
    pub span_tokens: usize,
}

impl EngineSettings {
    /// Holds the numbers against each other.
    pub fn check(&self) -> Result<()> {
        let refuse = |name, reason: &str| Err(Error::Config { name, reason: reason.into() });
        if self.max_request_tokens > self.queue_tokens {
            return refuse("max-request-tokens", "above queue-tokens, so it could never be used");
        }
        if u32::try_from(self.queue_tokens).is_err() || self.queue_tokens > Semaphore::MAX_PERMITS {
            return refuse("queue-tokens", "too large");
        }
        if self.batch_tokens == 0 || self.max_request_tokens == 0 || self.encode_threads == 0 {
            return refuse("batch-tokens, max-request-tokens, threads", "each must be at least 1");
        }
        Ok(())
    }
}
