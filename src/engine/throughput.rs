//! How fast a model computes: an exponential moving average of tokens per second.

use std::time::Duration;

/// Tokens per second of one replica of one model.
#[derive(Debug, Clone, Copy)]
pub(super) struct ThroughputEstimate {
    tokens_per_second: Option<f64>, // finite and above 0; none while unknown
}

/// The measurement of a computed batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measurement {
    /// Tokens in the batch.
    pub(super) n_tokens: usize,
    /// The token budget of the batch.
    pub(super) budget: usize,
    /// Time of the forward pass.
    pub(super) elapsed: Duration,
}

impl ThroughputEstimate {
    /// Creates an estimate from an earlier measurement, or without one.
    pub(super) fn new(tokens_per_second: Option<f64>) -> Self {
        let is_valid = |rate: &f64| rate.is_finite() && *rate > 0.0;
        Self { tokens_per_second: tokens_per_second.filter(is_valid) }
    }

    /// Adds a batch to the average.
    ///
    /// Small batches are slow for their size, so a batch below half of its budget counts only if it
    /// is faster than the estimate, or if there is no estimate yet. An estimate that is too low
    /// recovers under any load.
    pub(super) fn observe(&mut self, batch: Measurement) {
        let sample = batch.tokens_per_second();
        self.tokens_per_second = Some(match self.tokens_per_second {
            None => sample,
            Some(before) if batch.is_small() && sample <= before => before,
            Some(before) => before + SMOOTHING_FACTOR * (sample - before),
        });
    }

    /// Returns the seconds for `n_tokens` on `n_replicas` replicas; `None` while the throughput is
    /// unknown.
    pub(super) fn seconds_for(&self, n_tokens: usize, n_replicas: usize) -> Option<f64> {
        let rate = self.tokens_per_second?;
        Some(n_tokens as f64 / rate / n_replicas.max(1) as f64)
    }
}

impl Measurement {
    fn tokens_per_second(&self) -> f64 {
        self.n_tokens.max(1) as f64 / self.elapsed.as_secs_f64().max(MIN_SECONDS)
    }

    fn is_small(&self) -> bool {
        self.n_tokens < self.budget / SMALL_DIVISOR
    }
}

/// The average spans about ten batches.
const SMOOTHING_FACTOR: f64 = 0.1;
/// A batch below its budget divided by this is small.
const SMALL_DIVISOR: usize = 2;
/// Clocks are not finer than this, and a lower bound keeps the rate finite.
const MIN_SECONDS: f64 = 1e-6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_known_without_a_seed_or_a_batch() {
        for seed in [None, Some(0.0), Some(-1.0), Some(f64::NAN), Some(f64::INFINITY)] {
            assert_eq!(ThroughputEstimate::new(seed).seconds_for(100, 1), None, "{seed:?}");
        }
        let mut estimate = ThroughputEstimate::new(None);
        estimate.observe(batch(10, 1000, 1000));
        assert_eq!(estimate.seconds_for(100, 1), Some(10.0), "a small batch is better than none");
    }

    #[test]
    fn replicas_share_the_work() {
        let estimate = ThroughputEstimate::new(Some(1000.0));
        for (n_tokens, n_replicas, seconds) in
            [(0, 1, 0.0), (500, 1, 0.5), (500, 2, 0.25), (500, 0, 0.5)]
        {
            assert_eq!(estimate.seconds_for(n_tokens, n_replicas), Some(seconds), "{n_replicas}");
        }
    }

    #[test]
    fn the_last_batches_weigh_most() {
        let mut estimate = ThroughputEstimate::new(Some(1000.0));
        estimate.observe(batch(1000, 1000, 500)); // 2,000 tokens per second
        assert!((rate(&estimate) - 1100.0).abs() < 1e-6, "{estimate:?}");
        for _ in 0..100 {
            estimate.observe(batch(1000, 1000, 500));
        }
        assert!((1999.0..=2000.0).contains(&rate(&estimate)), "{estimate:?}");
    }

    #[test]
    fn a_small_batch_counts_only_if_it_is_faster() {
        for (n_tokens, elapsed_ms, expected) in [
            (500, 1000, 950.0), // half of the budget, 500 tokens per second
            (499, 998, 1000.0), // less than half and slower
            (499, 1, 50_800.0), // less than half and faster: 499,000
            (100, 100, 1000.0), // less than half and as fast
        ] {
            let mut estimate = ThroughputEstimate::new(Some(1000.0));
            estimate.observe(batch(n_tokens, 1000, elapsed_ms));
            assert!((rate(&estimate) - expected).abs() < 1e-6, "{n_tokens}: {estimate:?}");
        }
    }

    #[test]
    fn a_batch_of_no_time_leaves_a_finite_rate() {
        let mut estimate = ThroughputEstimate::new(None);
        estimate.observe(batch(0, 10, 0));
        assert!((rate(&estimate) - 1e6).abs() < 1e-3, "{estimate:?}");
    }

    fn batch(n_tokens: usize, budget: usize, elapsed_ms: u64) -> Measurement {
        Measurement { n_tokens, budget, elapsed: Duration::from_millis(elapsed_ms) }
    }

    fn rate(estimate: &ThroughputEstimate) -> f64 {
        1.0 / estimate.seconds_for(1, 1).unwrap()
    }
}
