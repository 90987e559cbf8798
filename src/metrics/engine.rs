//! The instruments of tokenising, packing and computing.

use std::time::Duration;

use crate::metrics::Metrics;

impl Metrics {
    /// Records how long the texts of a request took to tokenise.
    pub fn tokenised(&self, elapsed: Duration) {
        self.unlabelled.tokenise.record(elapsed);
    }

    /// Records a batch on its way into the model; `budget` is what it may have.
    pub fn packed(&self, n_windows: usize, n_tokens: usize, budget: usize) {
        self.unlabelled.batch_windows.record(n_windows as f64);
        self.unlabelled.batch_tokens.record(n_tokens as f64);
        self.unlabelled.batch_fill.record(n_tokens as f64 / budget.max(1) as f64);
    }

    /// Records a forward pass.
    pub fn forwarded(&self, elapsed: Duration) {
        self.unlabelled.forward.record(elapsed);
    }

    /// Counts a scored text, its tokens and its windows.
    pub fn scored(&self, n_tokens: usize, n_windows: usize) {
        self.unlabelled.texts.increment(1);
        self.unlabelled.tokens.increment(n_tokens as u64);
        self.unlabelled.text_windows.record(n_windows as f64);
    }

    /// Counts a request for which the model gave no number.
    pub fn not_finite(&self) {
        self.unlabelled.not_finite.increment(1);
    }
}
