//! The arithmetic of quotas, at instants chosen by the tests.

use proptest::prelude::*;

use super::*;

fn account(requests: &str, tokens: &str) -> Account {
    Account::new(Quota {
        requests_per_second: Rate::parse(requests),
        tokens_per_second: Rate::parse(tokens),
    })
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Returns the wait in whole milliseconds, as reported to clients.
fn wait_ms(account: &Account, now: Instant) -> Option<u128> {
    account.admit(now).err().map(|wait| wait.as_micros().div_ceil(1000))
}

#[test]
fn a_second_is_worth_its_rate_and_at_least_one_request() {
    for (rate, at_once, then_ms) in
        [("3", 3, 334), ("1", 1, 1000), ("0.5", 1, 2000), ("2.5", 2, 200), ("1000", 1000, 1)]
    {
        let (account, now) = (account(rate, "none"), Instant::now());
        for request in 0..at_once {
            assert_eq!(account.admit(now), Ok(()), "request {request} at {rate} a second");
        }
        assert_eq!(wait_ms(&account, now), Some(then_ms), "{rate} a second");
    }
}

#[test]
fn a_quota_fills_while_nobody_asks_but_not_beyond_a_second() {
    let (account, start) = (account("2", "none"), Instant::now());
    assert_eq!(account.admit(start), Ok(()));
    assert_eq!(account.admit(start), Ok(()));
    assert_eq!(wait_ms(&account, start + ms(100)), Some(400));
    assert_eq!(account.admit(start + ms(500)), Ok(()));
    let later = start + ms(3_600_000);
    assert_eq!(account.admit(later), Ok(()));
    assert_eq!(account.admit(later), Ok(()));
    assert_eq!(wait_ms(&account, later), Some(500));
}

#[test]
fn a_key_in_debt_for_tokens_waits_until_it_is_paid() {
    let (account, start) = (account("none", "100"), Instant::now());
    assert_eq!(account.admit(start), Ok(()));
    account.charge(350, start);
    assert_eq!(wait_ms(&account, start), Some(2500));
    assert_eq!(wait_ms(&account, start + ms(2400)), Some(100));
    assert_eq!(account.admit(start + ms(2500)), Ok(()));
}

#[test]
fn tokens_that_fit_the_second_delay_nobody() {
    let (account, now) = (account("none", "100"), Instant::now());
    for _ in 0..2 {
        account.charge(50, now);
        assert_eq!(account.admit(now), Ok(()));
    }
    account.charge(1, now);
    assert_eq!(wait_ms(&account, now), Some(10));
}

#[test]
fn a_refused_request_costs_nothing_and_the_longer_wait_is_told() {
    let (account, now) = (account("1", "10"), Instant::now());
    assert_eq!(account.admit(now), Ok(()));
    account.charge(15, now);
    assert_eq!(wait_ms(&account, now), Some(1000), "the request's, not the 500 of the tokens");
    assert_eq!(wait_ms(&account, now), Some(1000));
    assert_eq!(account.admit(now + ms(1000)), Ok(()));
}

#[test]
fn without_rates_nothing_is_refused() {
    let (account, now) = (Account::new(Quota::UNLIMITED), Instant::now());
    account.charge(usize::MAX, now);
    assert!((0..1000).all(|_| account.admit(now).is_ok()));
}

#[test]
fn a_request_that_comes_out_of_order_fills_nothing_twice() {
    let (account, start) = (account("1", "none"), Instant::now());
    assert_eq!(account.admit(start + ms(1000)), Ok(()));
    assert!(account.admit(start).is_err());
    assert!(account.admit(start + ms(1500)).is_err());
    assert_eq!(account.admit(start + ms(2000)), Ok(()));
}

#[test]
fn rates_have_bounds() {
    for word in ["", "x", "0", "0.0009", "-1", "1000000001", "inf", "NaN", "1 "] {
        assert_eq!(Rate::parse(word), None, "{word:?}");
    }
    for word in ["0.001", "1", "2.5", "1e3", "1000000000"] {
        assert!(Rate::parse(word).is_some(), "{word:?}");
    }
}

proptest! {
    #[test]
    fn whoever_waits_as_long_as_told_is_let_in(
        rates in (0.001_f64..1e9, 0.001_f64..1e9),
        steps in prop::collection::vec((0_u64..5_000_000, 0_usize..100_000), 1..50),
    ) {
        let account = account(&rates.0.to_string(), &rates.1.to_string());
        let mut now = Instant::now();
        for (pause_us, n_tokens) in steps {
            now += Duration::from_micros(pause_us);
            if let Err(wait) = account.admit(now) {
                now += wait;
                prop_assert_eq!(account.admit(now), Ok(()), "after {:?}", wait);
            }
            account.charge(n_tokens, now);
        }
    }

    #[test]
    fn no_key_gets_more_than_its_rate_and_one_second(
        rate in 1_u32..50,
        pauses_ms in prop::collection::vec(0_u64..200, 1..300),
    ) {
        let (account, start) = (account(&rate.to_string(), "none"), Instant::now());
        let mut now = start;
        let mut n_admitted = 0;
        for pause_ms in pauses_ms {
            now += ms(pause_ms);
            n_admitted += u32::from(account.admit(now).is_ok());
        }
        let most = f64::from(rate) * ((now - start).as_secs_f64() + 1.0) + 1e-3; // for rounding
        prop_assert!(f64::from(n_admitted) <= most, "{n_admitted} of {most}");
    }
}
