//! The time that a request spends on each step.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

/// The phases of one request, in the order in which they ended; a request for spans goes through
/// all steps twice.
#[derive(Debug, Default)]
pub struct Timings(Mutex<Vec<Phase>>);

/// Time spent on one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Phase {
    /// The step.
    pub step: Step,
    /// When it started.
    pub start: Instant,
    /// How long it took.
    pub elapsed: Duration,
}

/// A step of a request through the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Tokenisation, including the wait for a permit.
    Tokenise,
    /// From admission to the start of the first batch.
    Queue,
    /// From the start of the first batch to the end of the last.
    Forward,
}

impl Step {
    /// All steps, in order.
    pub const ALL: [Self; 3] = [Self::Tokenise, Self::Queue, Self::Forward];

    /// Returns the name used in headers and traces.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokenise => "tokenise",
            Self::Queue => "queue",
            Self::Forward => "forward",
        }
    }
}

impl Timings {
    /// Returns the phases recorded so far.
    pub fn phases(&self) -> Vec<Phase> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn add(&self, phase: Phase) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(phase);
    }
}
