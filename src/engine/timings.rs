//! Where the time of a request goes, and whether its caller waits to the end.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use crate::engine::Deadline;
use crate::engine::queue::Computed;
use crate::metrics::Metrics;

/// The phases of one request, in the order in which they ended; a request that asks for spans goes
/// through them twice.
#[derive(Debug, Default)]
pub struct Timings(Mutex<Vec<Phase>>);

/// Time spent on one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Phase {
    /// On what.
    pub step: Step,
    /// From when on.
    pub start: Instant,
    /// How long.
    pub elapsed: Duration,
}

/// A step of a request through the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Texts to tokens, waiting for a thread included.
    Tokenise,
    /// From there to the first batch.
    Queue,
    /// From the first batch to the end of the last.
    Forward,
}

impl Step {
    /// In order.
    pub const ALL: [Self; 3] = [Self::Tokenise, Self::Queue, Self::Forward];

    /// As headers and traces call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokenise => "tokenise",
            Self::Queue => "queue",
            Self::Forward => "forward",
        }
    }
}

impl Timings {
    /// What was taken down so far.
    pub fn phases(&self) -> Vec<Phase> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn add(&self, phase: Phase) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(phase);
    }

    pub(super) fn add_computed(&self, computed: &Computed) {
        let &Computed { admitted, began, ended, .. } = computed;
        self.add(Phase { step: Step::Queue, start: admitted, elapsed: began - admitted });
        self.add(Phase { step: Step::Forward, start: began, elapsed: ended - began });
    }
}

/// A caller who waits. Dropped before it is over, it counts as one who gave up.
pub(super) struct Waiting<'a> {
    deadline: Deadline,
    metrics: &'a Metrics,
    is_over: bool,
}

impl<'a> Waiting<'a> {
    pub(super) fn until(deadline: Deadline, metrics: &'a Metrics) -> Self {
        Self { deadline, metrics, is_over: false }
    }

    pub(super) fn over(mut self) {
        self.is_over = true;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            let is_late = tokio::time::Instant::now() >= self.deadline.at();
            self.metrics.given_up(if is_late { "too_late" } else { "client_gone" });
        }
    }
}
