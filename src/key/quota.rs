//! The rate limits of a key: token buckets that take the current time as an argument.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

/// The rate limits of a key; `None` means unlimited.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quota {
    /// Requests per second, counted on arrival.
    pub requests_per_second: Option<Rate>,
    /// Tokens per second that are passed to the model.
    pub tokens_per_second: Option<Rate>,
}

/// A number per second, from [`Rate::MIN`] to [`Rate::MAX`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate(f64);

/// The remaining quota of a key, shared by all requests with that key.
#[derive(Debug)]
pub struct Account {
    quota: Quota,
    // Locked for a few additions; a channel would let a request pass before the last one is
    // counted.
    buckets: Mutex<Buckets>,
}

#[derive(Debug)]
struct Buckets {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
}

/// Refills at a rate, up to one second's worth but at least 1; a charge may leave a negative level.
#[derive(Debug)]
struct Bucket {
    rate: Rate,
    level: f64,
    at: Option<Instant>, // time of `level`; `None` before first use
}

impl Quota {
    /// No limits.
    pub const UNLIMITED: Self = Self { requests_per_second: None, tokens_per_second: None };
}

impl Rate {
    /// At a lower rate, a single request would wait longer than anyone intends.
    pub const MIN: f64 = 0.001;
    /// More than any machine can serve.
    pub const MAX: f64 = 1e9;

    /// Parses a number within the bounds.
    pub fn parse(word: &str) -> Option<Self> {
        let rate: f64 = word.parse().ok()?;
        (Self::MIN..=Self::MAX).contains(&rate).then_some(Self(rate))
    }
}

impl Account {
    /// Creates an account with the full quota.
    pub fn new(quota: Quota) -> Self {
        let buckets = Buckets {
            requests: quota.requests_per_second.map(Bucket::full),
            tokens: quota.tokens_per_second.map(Bucket::full),
        };
        Self { quota, buckets: Mutex::new(buckets) }
    }

    /// Returns the quota of the account.
    pub fn quota(&self) -> Quota {
        self.quota
    }

    /// Admits one request, or returns the time to wait before the next attempt.
    ///
    /// A key with a negative token level waits until the level is back at 0.
    pub fn admit(&self, now: Instant) -> Result<(), Duration> {
        self.with(|Buckets { requests, tokens }| {
            let request = requests.as_mut().map_or(Duration::ZERO, |all| all.wait_for(1.0, now));
            let debt = tokens.as_mut().map_or(Duration::ZERO, |all| all.wait_for(0.0, now));
            let wait = request.max(debt);
            if !wait.is_zero() {
                return Err(wait);
            }
            if let Some(requests) = requests {
                requests.take(1.0, now);
            }
            Ok(())
        })
    }

    /// Charges the tokens of an admitted request.
    pub fn charge(&self, n_tokens: usize, now: Instant) {
        self.with(|buckets| {
            if let Some(tokens) = &mut buckets.tokens {
                tokens.take(n_tokens as f64, now);
            }
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut Buckets) -> T) -> T {
        work(&mut self.buckets.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Bucket {
    fn full(rate: Rate) -> Self {
        Self { rate, level: rate.0.max(1.0), at: None }
    }

    /// Returns the time until the bucket holds `amount`; zero if it already does.
    fn wait_for(&mut self, amount: f64, now: Instant) -> Duration {
        self.fill(now);
        let missing_s = (amount - self.level) / self.rate.0;
        if missing_s <= CLOCK_S {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(missing_s).unwrap_or(Duration::MAX)
    }

    fn take(&mut self, amount: f64, now: Instant) {
        self.fill(now);
        self.level -= amount;
    }

    fn fill(&mut self, now: Instant) {
        // Requests on several threads may arrive out of order; no time is counted twice.
        let at = self.at.map_or(now, |at| at.max(now));
        let elapsed = self.at.map_or(Duration::ZERO, |before| at.duration_since(before));
        self.level = (self.level + self.rate.0 * elapsed.as_secs_f64()).min(self.rate.0.max(1.0));
        self.at = Some(at);
    }
}

/// The tolerance, in seconds, that admits a client after exactly the wait it was given: a wait is
/// rounded to a nanosecond, and the rounding errors of many additions stay below a microsecond.
const CLOCK_S: f64 = 1e-6;

#[cfg(test)]
mod tests;
