//! Admission control in tokens: how much may wait, in total and per key.

use std::time::Duration;

/// Limits on the waiting work of one priority.
#[derive(Debug, Clone, Copy)]
pub(super) struct TokenBudget {
    /// Maximum waiting tokens.
    pub(super) capacity: usize,
    /// Maximum waiting tokens of one key.
    pub(super) capacity_per_key: usize,
    /// A request is refused if the work before it takes this long or longer; a request of a key
    /// also if work of that key is waiting and takes, with the request, half as long or longer.
    pub(super) max_wait: Duration,
}

/// Waiting work, and how long it takes to compute.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backlog {
    /// Number of tokens.
    pub(super) n_tokens: usize,
    /// Seconds to compute the tokens whose model has a known throughput.
    pub(super) seconds: f64,
}

/// The limit that refuses a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full {
    /// Waiting tokens: all, or those of the key.
    pub(super) queued_tokens: usize,
    /// Maximum waiting tokens.
    pub(super) capacity: usize,
    /// Estimated time until half of the waiting tokens are computed.
    pub(super) retry_after: Duration,
}

impl TokenBudget {
    /// Checks whether a request may wait in addition to `all` and to the waiting work of its key.
    ///
    /// The waiting work of one key stays within its half, so that others find room in the other
    /// half. The request counts too, but the time limit does not apply to the only request of a
    /// key.
    pub(super) fn check(
        &self,
        request: Backlog,
        all: Backlog,
        of_key: Option<Backlog>,
    ) -> Result<(), Full> {
        let max_seconds = self.max_wait.as_secs_f64();
        check_seconds(all.seconds, all, max_seconds)?;
        check_tokens(request.n_tokens, all, self.capacity)?;
        let Some(of_key) = of_key else { return Ok(()) };
        check_seconds(of_key.seconds + request.seconds, of_key, max_seconds / KEY_DIVISOR)?;
        check_tokens(request.n_tokens, of_key, self.capacity_per_key)
    }
}

/// Checks a time limit; an empty queue never exceeds it.
fn check_seconds(seconds: f64, backlog: Backlog, max_seconds: f64) -> Result<(), Full> {
    if backlog.n_tokens == 0 || seconds < max_seconds {
        return Ok(());
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    let capacity = (backlog.n_tokens as f64 * max_seconds / backlog.seconds) as usize;
    Err(backlog.full(capacity.max(1)))
}

impl Backlog {
    fn full(&self, capacity: usize) -> Full {
        Full { queued_tokens: self.n_tokens, capacity, retry_after: self.retry_after() }
    }

    /// Returns half of the time to compute the backlog, within bounds; one second if unknown.
    fn retry_after(&self) -> Duration {
        let is_known = self.seconds > 0.0;
        let seconds = if is_known { self.seconds / 2.0 } else { 1.0 };
        Duration::from_secs_f64(seconds.clamp(MIN_RETRY_SECONDS, MAX_RETRY_SECONDS))
    }
}

fn check_tokens(n_tokens: usize, backlog: Backlog, capacity: usize) -> Result<(), Full> {
    let is_room = backlog.n_tokens.checked_add(n_tokens).is_some_and(|all| all <= capacity);
    if is_room { Ok(()) } else { Err(backlog.full(capacity)) }
}

/// The time limit of one key is the limit of all keys divided by this.
const KEY_DIVISOR: f64 = 2.0;
/// An earlier retry is not worth a connection.
const MIN_RETRY_SECONDS: f64 = 0.1;
/// A later retry is as good as none.
const MAX_RETRY_SECONDS: f64 = 60.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_bounded_in_all_and_for_a_key() {
        struct Case {
            n_tokens: usize,
            all: usize,
            of_key: Option<usize>,
            full: Option<(usize, usize)>,
        }
        for Case { n_tokens, all, of_key, full } in [
            Case { n_tokens: 100, all: 0, of_key: None, full: None },
            Case { n_tokens: 101, all: 0, of_key: None, full: Some((0, 100)) },
            Case { n_tokens: 1, all: 99, of_key: None, full: None },
            Case { n_tokens: 1, all: 100, of_key: None, full: Some((100, 100)) },
            Case { n_tokens: 50, all: 0, of_key: Some(0), full: None },
            Case { n_tokens: 51, all: 0, of_key: Some(0), full: Some((0, 50)) },
            Case { n_tokens: 20, all: 60, of_key: Some(30), full: None },
            Case { n_tokens: 21, all: 60, of_key: Some(30), full: Some((30, 50)) },
            Case { n_tokens: usize::MAX, all: 1, of_key: None, full: Some((1, 100)) },
        ] {
            let waits = |n_tokens| Backlog { n_tokens, seconds: 0.0 };
            let checked = budget().check(waits(n_tokens), waits(all), of_key.map(waits));
            let found = checked.err().map(|full| (full.queued_tokens, full.capacity));
            assert_eq!(found, full, "{n_tokens} beside {all} and {of_key:?}");
        }
    }

    #[test]
    fn time_is_bounded_in_all_and_half_of_it_for_a_key() {
        struct Case {
            request: f64,
            all: f64,
            of_key: Option<f64>,
            capacity: Option<usize>,
        }
        for Case { request, all, of_key, capacity } in [
            Case { request: 0.1, all: 3.9, of_key: None, capacity: None },
            Case { request: 9.0, all: 3.9, of_key: None, capacity: None },
            Case { request: 0.1, all: 4.0, of_key: None, capacity: Some(40) },
            Case { request: 0.1, all: 8.0, of_key: None, capacity: Some(20) },
            Case { request: 0.1, all: 1e9, of_key: None, capacity: Some(1) },
            Case { request: 0.1, all: 3.9, of_key: Some(1.8), capacity: None },
            Case { request: 0.1, all: 3.9, of_key: Some(2.0), capacity: Some(40) },
            Case { request: 1.5, all: 3.9, of_key: Some(0.5), capacity: Some(160) },
            Case { request: 1.4, all: 3.9, of_key: Some(0.5), capacity: None },
            Case { request: 0.0, all: 3.9, of_key: Some(4.0), capacity: Some(20) },
        ] {
            let waits = |seconds| Backlog { n_tokens: 40, seconds };
            let asked = Backlog { n_tokens: 1, seconds: request };
            let checked = budget().check(asked, waits(all), of_key.map(waits));
            let found = checked.err().map(|full| full.capacity);
            assert_eq!(found, capacity, "{request} beside {all} and {of_key:?}");
        }
    }

    #[test]
    fn nobody_is_refused_for_time_where_nothing_waits() {
        let nothing = Backlog { n_tokens: 0, seconds: 0.0 };
        let much = Backlog { n_tokens: 1, seconds: 1e12 };
        let impatient = TokenBudget { max_wait: Duration::ZERO, ..budget() };
        assert_eq!(impatient.check(much, nothing, Some(nothing)), Ok(()));
        let endless = TokenBudget { max_wait: Duration::MAX, ..budget() };
        assert_eq!(endless.check(much, much, Some(much)), Ok(()));
    }

    #[test]
    fn the_time_to_retry_is_half_of_what_waits_within_bounds() {
        for (seconds, retry_ms) in
            [(0.0, 1000), (0.01, 100), (0.2, 100), (10.0, 5000), (120.0, 60_000), (1e9, 60_000)]
        {
            let backlog = Backlog { n_tokens: 100, seconds };
            let full = budget().check(backlog, backlog, None).unwrap_err();
            assert_eq!(full.retry_after, Duration::from_millis(retry_ms), "{seconds} s");
        }
    }

    fn budget() -> TokenBudget {
        TokenBudget { capacity: 100, capacity_per_key: 50, max_wait: Duration::from_secs(4) }
    }
}
