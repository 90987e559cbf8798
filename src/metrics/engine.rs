//! Metrics of tokenising, packing and inference.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

use crate::metrics::Metrics;
use crate::metrics::SECONDS;
use crate::metrics::catalogue;
use crate::metrics::registrar::Registrar;

#[derive(Debug)]
pub(super) struct EngineMetrics {
    tokenise: Histogram,
    batch_tokens: Histogram,
    batch_windows: Histogram,
    batch_fill: Histogram,
    forward: Histogram,
    tokens: Counter,
    texts: Counter,
    text_windows: Histogram,
    not_finite: Counter,
}

impl EngineMetrics {
    pub(super) fn register(registrar: &mut Registrar<'_>) -> Self {
        Self {
            tokenise: registrar.histogram(catalogue::TOKENISE, SECONDS),
            batch_tokens: registrar.histogram(catalogue::BATCH_TOKENS, BATCH_TOKENS),
            batch_windows: registrar.histogram(catalogue::BATCH_WINDOWS, WINDOWS),
            batch_fill: registrar.histogram(catalogue::BATCH_FILL, RATIOS),
            forward: registrar.histogram(catalogue::FORWARD, SECONDS),
            tokens: registrar.counter(catalogue::TOKENS),
            texts: registrar.counter(catalogue::TEXTS),
            text_windows: registrar.histogram(catalogue::TEXT_WINDOWS, WINDOWS),
            not_finite: registrar.counter(catalogue::NON_FINITE),
        }
    }
}

impl Metrics {
    /// Records how long the texts of a request took to tokenise.
    pub fn record_tokenization(&self, elapsed: Duration) {
        self.engine.tokenise.observe(elapsed.as_secs_f64());
    }

    /// Records a packed batch; `budget` is the maximum number of tokens in a batch.
    pub fn record_batch(&self, n_windows: usize, n_tokens: usize, budget: usize) {
        self.engine.batch_windows.observe(n_windows as f64);
        self.engine.batch_tokens.observe(n_tokens as f64);
        self.engine.batch_fill.observe(n_tokens as f64 / budget.max(1) as f64);
    }

    /// Records a forward pass.
    pub fn record_forward(&self, elapsed: Duration) {
        self.engine.forward.observe(elapsed.as_secs_f64());
    }

    /// Counts a scored text, its tokens and its windows.
    pub fn count_scored_text(&self, n_tokens: usize, n_windows: usize) {
        self.engine.texts.inc();
        self.engine.tokens.inc_by(n_tokens as u64);
        self.engine.text_windows.observe(n_windows as f64);
    }

    /// Counts a request for which the model gave a logit that is not finite.
    pub fn count_non_finite(&self) {
        self.engine.not_finite.inc();
    }
}

const BATCH_TOKENS: &[f64] =
    &[16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0];
const WINDOWS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
/// With a bucket above 1: a window that is longer than the budget forms a batch of its own.
const RATIOS: &[f64] = &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 2.0];
