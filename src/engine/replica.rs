//! One copy of a model, on one worker.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::batch::Batch;
use crate::error::Result;
use crate::metrics::Metrics;
use crate::model::Forward;
use crate::model::Logits;

/// A forward pass that runs one batch at a time.
#[derive(Debug)]
pub(super) struct Replica {
    forward: Mutex<Box<dyn Forward>>, // never contended: a worker runs one batch at a time
    /// The metrics that its batches are recorded in.
    pub(super) metrics: Arc<Metrics>,
}

impl Replica {
    /// Creates a replica.
    pub(super) fn new(forward: Box<dyn Forward>, metrics: Arc<Metrics>) -> Self {
        Self { forward: Mutex::new(forward), metrics }
    }

    /// Runs the forward pass; returns one row of logits per window: (window, label).
    pub(super) fn forward(&self, batch: &Batch) -> Result<Logits> {
        self.forward.lock().unwrap_or_else(PoisonError::into_inner).forward(batch)
    }
}
