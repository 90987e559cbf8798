//! How much a key may ask for: token buckets, whose clock is an argument.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

/// What a key may ask for in a second; no rate is no bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quota {
    /// Requests, each when it comes.
    pub requests_per_second: Option<Rate>,
    /// Tokens that are handed to the model.
    pub tokens_per_second: Option<Rate>,
}

/// So many a second; at least [`Rate::MIN`] and at most [`Rate::MAX`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate(f64);

/// What is left of a key's quota; shared by all requests that come with it.
#[derive(Debug)]
pub struct Account {
    quota: Quota,
    // Held for a few additions; a channel would let a request pass before the last one is counted.
    buckets: Mutex<Buckets>,
}

#[derive(Debug)]
struct Buckets {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
}

/// Fills at a rate up to one second's worth, at least one; what is charged may leave it in debt.
#[derive(Debug)]
struct Bucket {
    rate: Rate,
    level: f64,
    at: Option<Instant>, // of that level; none while it is full and untouched
}

impl Quota {
    /// No bounds.
    pub const UNLIMITED: Self = Self { requests_per_second: None, tokens_per_second: None };
}

impl Rate {
    /// Below, a single request would wait for longer than anybody means.
    pub const MIN: f64 = 0.001;
    /// More than any machine does.
    pub const MAX: f64 = 1e9;

    /// Reads a number within the bounds.
    pub fn parse(word: &str) -> Option<Self> {
        let rate: f64 = word.parse().ok()?;
        (Self::MIN..=Self::MAX).contains(&rate).then_some(Self(rate))
    }
}

impl Account {
    /// All of the quota.
    pub fn new(quota: Quota) -> Self {
        let buckets = Buckets {
            requests: quota.requests_per_second.map(Bucket::full),
            tokens: quota.tokens_per_second.map(Bucket::full),
        };
        Self { quota, buckets: Mutex::new(buckets) }
    }

    /// What it was made of.
    pub fn quota(&self) -> Quota {
        self.quota
    }

    /// Takes one request out, or says after which time to ask again.
    ///
    /// A key that is in debt for tokens waits until the debt is paid.
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

    /// Charges the tokens of a request that was admitted.
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

    /// The time until it holds so much; zero if it does.
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
        // Requests on several threads may come out of order, and time is counted once.
        let at = self.at.map_or(now, |at| at.max(now));
        let elapsed = self.at.map_or(Duration::ZERO, |before| at.duration_since(before));
        self.level = (self.level + self.rate.0 * elapsed.as_secs_f64()).min(self.rate.0.max(1.0));
        self.at = Some(at);
    }
}

/// Whoever waits as long as was said is let in: a wait is rounded to a nanosecond, and the last bits
/// of a sum of many are worth less than a microsecond.
const CLOCK_S: f64 = 1e-6;

#[cfg(test)]
mod tests;
