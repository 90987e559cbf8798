//! One model: where it has replicas, how fast they are, and what waits for it.

use std::time::Duration;

use crate::engine::fair_queue::FairQueue;
use crate::engine::priority::Priority;
use crate::engine::scheduler::PlaceId;
use crate::engine::scheduler::lane::Lane;
use crate::engine::throughput::ThroughputEstimate;
use crate::engine::token_budget::Backlog;

/// A model with its two lanes.
#[derive(Debug)]
pub(super) struct ModelQueues {
    /// A replica at each of the first places.
    pub(super) n_places: usize,
    /// Of one replica.
    pub(super) throughput: ThroughputEstimate,
    foreground: Lane,
    background: Lane,
}

impl ModelQueues {
    /// Nothing waits; flows have at most `max_credit` tokens of credit in each lane.
    pub(super) fn new(n_places: usize, tokens_per_second: Option<f64>, max_credit: usize) -> Self {
        let throughput = ThroughputEstimate::new(tokens_per_second);
        let (foreground, background) = (Lane::new(max_credit), Lane::new(max_credit));
        Self { n_places, throughput, foreground, background }
    }

    /// Whether it has a replica there.
    pub(super) fn is_at(&self, place: PlaceId) -> bool {
        place.0 < self.n_places
    }

    /// What waits with a priority.
    pub(super) fn lane(&self, priority: Priority) -> &Lane {
        match priority {
            Priority::Foreground => &self.foreground,
            Priority::Background => &self.background,
        }
    }

    /// The same, to change it.
    pub(super) fn lane_mut(&mut self, priority: Priority) -> &mut Lane {
        match priority {
            Priority::Foreground => &mut self.foreground,
            Priority::Background => &mut self.background,
        }
    }

    /// The jobs that wait with a priority.
    pub(super) fn queue(&self, priority: Priority) -> &FairQueue {
        self.lane(priority).queue()
    }

    /// So many tokens, and how long its replicas take for them; 0 while their throughput is not
    /// known.
    pub(super) fn backlog(&self, n_tokens: usize) -> Backlog {
        Backlog { n_tokens, seconds: self.seconds_for(n_tokens) }
    }

    /// Seconds that its replicas take for so many tokens.
    pub(super) fn seconds_for(&self, n_tokens: usize) -> f64 {
        self.throughput.seconds_for(n_tokens, self.n_places).unwrap_or(0.0)
    }

    /// How long a request lets shorter ones of its flow pass: as long as it takes itself. Nobody is
    /// passed for ever, since what comes later ranks later.
    pub(super) fn delay_of(&self, n_tokens: usize) -> Duration {
        Duration::from_secs_f64(self.seconds_for(n_tokens).min(MAX_DELAY.as_secs_f64()))
    }
}

/// Beyond, an estimate is a wrong one.
const MAX_DELAY: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_follows_from_the_throughput_of_all_replicas() {
        for (rate, n_places, seconds, delay_ms) in [
            (None, 1, 0.0, 0),
            (Some(1000.0), 1, 0.5, 500),
            (Some(1000.0), 2, 0.25, 250),
            (Some(1e-3), 1, 500_000.0, 60_000),
        ] {
            let model = ModelQueues::new(n_places, rate, 0);
            assert!((model.seconds_for(500) - seconds).abs() < 1e-9, "{rate:?}");
            assert_eq!(model.delay_of(500), Duration::from_millis(delay_ms), "{rate:?}");
        }
    }

    #[test]
    fn a_model_is_at_its_first_places() {
        let model = ModelQueues::new(2, None, 0);
        let there: Vec<_> = (0..4).map(|place| model.is_at(PlaceId(place))).collect();
        assert_eq!(there, [true, true, false, false]);
    }
}
