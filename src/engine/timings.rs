//! Where the time of a request goes.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

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
}
