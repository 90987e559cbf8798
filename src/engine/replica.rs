//! One copy of a model, at one place.

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
    forward: Mutex<Box<dyn Forward>>, // never contended: the scheduler runs one batch at a place
    /// Where the model is measured.
    pub(super) metrics: Arc<Metrics>,
}

impl Replica {
    /// A replica that nobody else uses.
    pub(super) fn new(forward: Box<dyn Forward>, metrics: Arc<Metrics>) -> Self {
        Self { forward: Mutex::new(forward), metrics }
    }

    /// One row of logits for each window.
    pub(super) fn forward(&self, batch: &Batch) -> Result<Logits> {
        self.forward.lock().unwrap_or_else(PoisonError::into_inner).forward(batch)
    }
}
