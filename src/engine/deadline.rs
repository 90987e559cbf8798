//! The time by which a request must be answered.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::Error;
use crate::metrics::Metrics;

/// A moment, and how much time there was until then.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    start: Instant,
    timeout: Duration,
}

/// Counts a request as given up if it is dropped before its answer has come.
pub(super) struct DeadlineGuard<'a> {
    deadline: Deadline,
    metrics: &'a Metrics,
    is_answered: bool,
}

impl Deadline {
    /// From now on.
    pub fn after(timeout: Duration) -> Self {
        Self { start: Instant::now(), timeout }
    }

    /// The moment itself.
    pub fn at(&self) -> Instant {
        self.start + self.timeout
    }

    /// The time that was given.
    pub fn timeout_ms(&self) -> u64 {
        u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX)
    }

    /// The same beginning with less time; more is not given.
    #[must_use]
    pub fn lowered_to(self, timeout: Duration) -> Self {
        Self { timeout: timeout.min(self.timeout), ..self }
    }

    /// The error of a request that was not answered by then.
    pub(super) fn exceeded(&self) -> Error {
        Error::DeadlineExceeded { timeout_ms: self.timeout_ms() }
    }
}

impl<'a> DeadlineGuard<'a> {
    /// Begins to wait.
    pub(super) fn new(deadline: Deadline, metrics: &'a Metrics) -> Self {
        Self { deadline, metrics, is_answered: false }
    }

    /// Ends with an answer, whatever it says.
    pub(super) fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for DeadlineGuard<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            let is_late = Instant::now() >= self.deadline.at();
            self.metrics.given_up(if is_late { "too_late" } else { "client_gone" });
        }
    }
}
