//! The queue of one model for one priority, and its last turn.

use std::time::Duration;
use std::time::Instant;

use crate::engine::fair_queue::BatchContents;
use crate::engine::fair_queue::FairQueue;
use crate::engine::fair_queue::JobId;
use crate::engine::fair_queue::QueuedJob;
use crate::engine::flow::FlowId;

/// A queue that takes turns with others.
#[derive(Debug)]
pub(super) struct Lane {
    queue: FairQueue,
    last_turn: u64,                 // 0 before the first
    waiting_since: Option<Instant>, // for a turn; none if nothing is waiting
}

impl Lane {
    /// Creates an empty lane, whose flows share at most `max_credit` tokens of credit.
    pub(super) fn new(max_credit: usize) -> Self {
        Self { queue: FairQueue::new(max_credit), last_turn: 0, waiting_since: None }
    }

    /// Returns the queue of jobs.
    pub(super) fn queue(&self) -> &FairQueue {
        &self.queue
    }

    /// Returns the number of the last turn, or `None` if nothing is waiting.
    pub(super) fn last_turn(&self) -> Option<u64> {
        self.waiting_since.map(|_| self.last_turn)
    }

    /// Returns since when the lane has been waiting for a turn, if for [`BACKGROUND_WAIT`] or
    /// longer.
    pub(super) fn overdue_since(&self, now: Instant) -> Option<Instant> {
        let is_overdue = |since: &Instant| now.saturating_duration_since(*since) >= BACKGROUND_WAIT;
        self.waiting_since.filter(is_overdue)
    }

    /// Adds a job.
    pub(super) fn push(&mut self, flow: FlowId, job: QueuedJob, now: Instant) {
        self.queue.push(flow, job, now);
        self.waiting_since.get_or_insert(now);
    }

    /// Removes a job's waiting windows.
    pub(super) fn remove(&mut self, flow: FlowId, rank: Instant, id: JobId) {
        self.queue.remove(flow, rank, id);
        self.waiting_since.take_if(|_| self.queue.is_empty());
    }

    /// Takes the windows of the next batch, which counts as a turn.
    pub(super) fn take(&mut self, budget: usize, turn: u64, now: Instant) -> BatchContents {
        self.last_turn = turn;
        let taken = self.queue.take(budget);
        self.waiting_since = (!self.queue.is_empty()).then_some(now);
        taken
    }
}

/// The longest that the background waits for a turn while the foreground is always backlogged, in
/// addition to the batches that are running and prepared by then.
pub(super) const BACKGROUND_WAIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_waits_from_its_first_job_or_its_last_turn_on() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut lane = Lane::new(0);
        assert_eq!((lane.last_turn(), lane.overdue_since(at(100))), (None, None));
        lane.push(FlowId::Anonymous, job(1, start), at(0));
        lane.push(FlowId::Anonymous, job(2, start), at(3));
        assert_eq!(lane.last_turn(), Some(0));
        assert_eq!(lane.overdue_since(at(4)), None);
        assert_eq!(lane.overdue_since(at(5)), Some(at(0)));
        assert_eq!(lane.take(10, 7, at(6)).n_tokens[&FlowId::Anonymous], 10);
        assert_eq!(lane.last_turn(), Some(7));
        assert_eq!(lane.overdue_since(at(10)), None);
        assert_eq!(lane.overdue_since(at(11)), Some(at(6)));
        lane.remove(FlowId::Anonymous, start, JobId(2));
        assert_eq!((lane.last_turn(), lane.overdue_since(at(100))), (None, None));
        lane.push(FlowId::Anonymous, job(3, start), at(20));
        assert_eq!(lane.overdue_since(at(25)), Some(at(20)));
        lane.take(10, 8, at(26));
        assert_eq!(lane.last_turn(), None, "nothing waits");
    }

    fn job(id: u64, rank: Instant) -> QueuedJob {
        QueuedJob { id: JobId(id), rank, windows: vec![10] }
    }
}
