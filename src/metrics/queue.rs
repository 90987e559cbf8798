//! The instruments of what waits for the model.

use std::time::Duration;

use metrics::Gauge;

use crate::metrics::Metrics;
use crate::metrics::catalogue;

/// A request in the queue; leaves the gauges when dropped.
#[derive(Debug)]
pub struct QueuedGuard {
    tokens: Gauge,
    requests: Gauge,
    n_tokens: f64,
}

impl Metrics {
    /// Counts a request into the queue until the guard is dropped.
    pub fn queued(&self, n_tokens: usize) -> QueuedGuard {
        let guard = QueuedGuard {
            tokens: self.unlabelled.queue_tokens.clone(),
            requests: self.unlabelled.queue_requests.clone(),
            n_tokens: n_tokens as f64,
        };
        guard.tokens.increment(guard.n_tokens);
        guard.requests.increment(1.0);
        guard
    }

    /// Records how long a request waited for its first batch.
    pub fn waited(&self, elapsed: Duration) {
        self.unlabelled.queue_wait.record(elapsed);
    }

    /// Counts a request that was dropped from the queue, since nobody waited for it any more.
    pub fn abandoned(&self) {
        self.unlabelled.abandoned.increment(1);
    }

    /// Counts a request that was not waited for to the end: `client_gone` or `too_late`.
    pub fn given_up(&self, reason: &'static str) {
        self.with(|| metrics::counter!(catalogue::GIVEN_UP, "reason" => reason).increment(1));
    }
}

impl Drop for QueuedGuard {
    fn drop(&mut self) {
        self.tokens.decrement(self.n_tokens);
        self.requests.decrement(1.0);
    }
}
