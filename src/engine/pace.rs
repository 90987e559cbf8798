//! How fast the model works, so that a refusal can say when to come again.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A moving average, in tokens a second.
#[derive(Debug, Default)]
pub(super) struct Pace(AtomicU64); // the bits of an f64; 0 until something was measured

impl Pace {
    /// Takes a batch into the average, of which the last ones weigh most.
    pub(super) fn observe(&self, n_tokens: usize, elapsed: Duration) {
        let sample = n_tokens as f64 / elapsed.as_secs_f64().max(1e-6);
        let before = f64::from_bits(self.0.load(Ordering::Relaxed));
        let after =
            if before == 0.0 { sample } else { before + WEIGHT_OF_LAST * (sample - before) };
        self.0.store(after.to_bits(), Ordering::Relaxed);
    }

    /// How many tokens are worked off in that time; any number while nothing was measured.
    pub(super) fn tokens_in(&self, time: Duration) -> usize {
        let per_second = f64::from_bits(self.0.load(Ordering::Relaxed));
        if per_second == 0.0 {
            return usize::MAX;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let n_tokens = (per_second * time.as_secs_f64()) as usize;
        n_tokens
    }

    /// How long so many tokens take, from a tenth of a second to a minute.
    pub(super) fn millis_for(&self, n_tokens: usize) -> u64 {
        let per_second = f64::from_bits(self.0.load(Ordering::Relaxed));
        let seconds = if per_second > 0.0 { n_tokens as f64 / per_second } else { 1.0 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0.1 to 60 s")]
        let millis = (seconds.clamp(0.1, 60.0) * 1e3).ceil() as u64;
        millis
    }
}

/// Ten batches or so make the average.
const WEIGHT_OF_LAST: f64 = 0.1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_follows_from_the_pace_within_bounds() {
        let pace = Pace::default();
        assert_eq!(pace.millis_for(1_000_000), 1000, "nothing is known");
        assert_eq!(pace.tokens_in(Duration::from_secs(1)), usize::MAX, "nothing is known");
        pace.observe(2000, Duration::from_millis(100));
        assert_eq!(pace.millis_for(20_000), 1000);
        assert_eq!(pace.tokens_in(Duration::from_millis(500)), 10_000);
        assert_eq!(pace.tokens_in(Duration::MAX), usize::MAX);
        assert_eq!(pace.millis_for(1), 100);
        assert_eq!(pace.millis_for(usize::MAX), 60_000);
        for _ in 0..100 {
            pace.observe(1000, Duration::from_millis(100));
        }
        assert!((1990..=2000).contains(&pace.millis_for(20_000)), "the last batches weigh most");
    }
}
