//! The queues of one model, and its replicas and their throughput.

use std::time::Duration;

use crate::engine::fair_queue::FairQueue;
use crate::engine::priority::Priority;
use crate::engine::scheduler::WorkerId;
use crate::engine::scheduler::lane::Lane;
use crate::engine::throughput::ThroughputEstimate;
use crate::engine::token_budget::Backlog;

/// The foreground and background lanes of a model.
#[derive(Debug)]
pub(super) struct ModelQueues {
    /// The number of replicas: one for each of the first workers.
    pub(super) n_workers: usize,
    /// The throughput of one replica.
    pub(super) throughput: ThroughputEstimate,
    foreground: Lane,
    background: Lane,
}

impl ModelQueues {
    /// Creates empty lanes; the flows of each share at most `max_credit` tokens of credit.
    pub(super) fn new(n_workers: usize, tokens_per_second: Option<f64>, max_credit: usize) -> Self {
        let throughput = ThroughputEstimate::new(tokens_per_second);
        let (foreground, background) = (Lane::new(max_credit), Lane::new(max_credit));
        Self { n_workers, throughput, foreground, background }
    }

    /// Returns whether the model has a replica on a worker.
    pub(super) fn is_at(&self, worker: WorkerId) -> bool {
        worker.0 < self.n_workers
    }

    /// Returns the lane of a priority.
    pub(super) fn lane(&self, priority: Priority) -> &Lane {
        match priority {
            Priority::Foreground => &self.foreground,
            Priority::Background => &self.background,
        }
    }

    /// Returns the lane of a priority, mutably.
    pub(super) fn lane_mut(&mut self, priority: Priority) -> &mut Lane {
        match priority {
            Priority::Foreground => &mut self.foreground,
            Priority::Background => &mut self.background,
        }
    }

    /// Returns the waiting jobs of a priority.
    pub(super) fn queue(&self, priority: Priority) -> &FairQueue {
        self.lane(priority).queue()
    }

    /// Returns a backlog of `n_tokens` and the seconds that the replicas take for it; 0 while their
    /// throughput is unknown.
    pub(super) fn backlog(&self, n_tokens: usize) -> Backlog {
        Backlog { n_tokens, seconds: self.seconds_for(n_tokens) }
    }

    /// Returns the seconds that the replicas take for `n_tokens`; 0 while their throughput is
    /// unknown.
    pub(super) fn seconds_for(&self, n_tokens: usize) -> f64 {
        self.throughput.seconds_for(n_tokens, self.n_workers).unwrap_or(0.0)
    }

    /// Returns the delay after arrival during which shorter requests of the same flow may overtake
    /// a request: its own computing time. No request is overtaken for ever, since later arrivals
    /// rank later.
    pub(super) fn delay_of(&self, n_tokens: usize) -> Duration {
        Duration::from_secs_f64(self.seconds_for(n_tokens).min(MAX_DELAY.as_secs_f64()))
    }
}

/// A longer estimate is assumed to be wrong.
const MAX_DELAY: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_follows_from_the_throughput_of_all_replicas() {
        for (rate, n_workers, seconds, delay_ms) in [
            (None, 1, 0.0, 0),
            (Some(1000.0), 1, 0.5, 500),
            (Some(1000.0), 2, 0.25, 250),
            (Some(1e-3), 1, 500_000.0, 60_000),
        ] {
            let model = ModelQueues::new(n_workers, rate, 0);
            assert!((model.seconds_for(500) - seconds).abs() < 1e-9, "{rate:?}");
            assert_eq!(model.delay_of(500), Duration::from_millis(delay_ms), "{rate:?}");
        }
    }

    #[test]
    fn a_model_is_at_its_first_places() {
        let model = ModelQueues::new(2, None, 0);
        let there: Vec<_> = (0..4).map(|worker| model.is_at(WorkerId(worker))).collect();
        assert_eq!(there, [true, true, false, false]);
    }
}
