//! The time by which a request must be answered.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::Error;
use crate::metrics::Metrics;

/// The deadline of a request: when it started and how long it may take.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    start: Instant,
    timeout: Duration,
}

/// Counts a request as abandoned if dropped before [`AbandonmentGuard::answered`] is called.
pub(super) struct AbandonmentGuard<'a> {
    deadline: Deadline,
    metrics: &'a Metrics,
    is_answered: bool,
}

impl Deadline {
    /// Creates a deadline `timeout` from now.
    pub fn after(timeout: Duration) -> Self {
        Self { start: Instant::now(), timeout }
    }

    /// Returns the instant at which the deadline passes.
    pub fn at(&self) -> Instant {
        self.start + self.timeout
    }

    /// Returns the timeout in milliseconds.
    pub fn timeout_ms(&self) -> u64 {
        u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX)
    }

    /// Returns a deadline with the same start and the shorter of the two timeouts.
    #[must_use]
    pub fn shortened_to(self, timeout: Duration) -> Self {
        Self { timeout: timeout.min(self.timeout), ..self }
    }

    /// Returns the error for a request that was not answered in time.
    pub(super) fn exceeded(&self) -> Error {
        Error::DeadlineExceeded { timeout_ms: self.timeout_ms() }
    }
}

impl<'a> AbandonmentGuard<'a> {
    /// Creates a guard for a request that has not been answered yet.
    pub(super) fn new(deadline: Deadline, metrics: &'a Metrics) -> Self {
        Self { deadline, metrics, is_answered: false }
    }

    /// Marks the request as answered, whether with scores or an error.
    pub(super) fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for AbandonmentGuard<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            let is_late = Instant::now() >= self.deadline.at();
            self.metrics.count_given_up(if is_late { "too_late" } else { "client_gone" });
        }
    }
}
