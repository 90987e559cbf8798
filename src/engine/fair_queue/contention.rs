//! Tracks whether several flows have been active recently.

use std::time::Duration;
use std::time::Instant;

use crate::engine::flow::FlowId;

/// The flow of the last arrival, and when consecutive arrivals last came from different flows.
#[derive(Debug, Default)]
pub(super) struct Contention {
    last: Option<FlowId>,
    met: Option<Instant>,
}

impl Contention {
    /// Records an arrival.
    pub(super) fn arrived(&mut self, flow: FlowId, now: Instant) {
        if self.last.replace(flow).is_some_and(|last| last != flow) {
            self.met = Some(now);
        }
    }

    /// Returns whether requests of two flows have arrived within the last [`CONTENTION_WINDOW`].
    pub(super) fn is_recent(&self, now: Instant) -> bool {
        self.met.is_some_and(|met| now.saturating_duration_since(met) < CONTENTION_WINDOW)
    }
}

/// Longer than the gaps of a client that sends a request every two seconds.
const CONTENTION_WINDOW: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_parties_contend_for_three_seconds_after_one_followed_the_other() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut contention = Contention::default();
        contention.arrived(FlowId::Key(1), at(0));
        assert!(!contention.is_recent(at(0)), "one party alone");
        contention.arrived(FlowId::Key(1), at(1));
        assert!(!contention.is_recent(at(1)), "the same party again");
        contention.arrived(FlowId::Anonymous, at(10));
        contention.arrived(FlowId::Anonymous, at(20));
        for (ms, is_recent) in [(10, true), (3009, true), (3010, false), (60_000, false)] {
            assert_eq!(contention.is_recent(at(ms)), is_recent, "{ms} ms");
        }
        contention.arrived(FlowId::Key(1), at(60_000));
        assert!(contention.is_recent(at(60_001)));
    }
}
