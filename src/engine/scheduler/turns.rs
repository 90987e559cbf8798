//! Chooses the next batch of a worker.

use std::time::Instant;

use crate::engine::priority::Priority;
use crate::engine::scheduler::ModelId;
use crate::engine::scheduler::Scheduler;
use crate::engine::scheduler::WorkerId;
use crate::engine::scheduler::batches::Vacancy;
use crate::engine::scheduler::model_queues::ModelQueues;

/// The next batch of a worker.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    pub(super) model: ModelId,
    pub(super) priority: Priority,
    pub(super) budget: usize,
}

impl Scheduler {
    /// Returns the next batch of a worker, if one may be planned now.
    pub(super) fn turn(&self, worker: WorkerId, now: Instant) -> Option<Turn> {
        let vacancy = self.batches.vacancy(worker);
        if vacancy == Vacancy::None {
            return None;
        }
        let (model, priority) = self.next_lane(worker, now)?;
        let queues = self.models.get(&model)?;
        let budget = self.batch_budget(queues, priority, now);
        let may_begin = vacancy == Vacancy::Free || self.may_prepare(queues, budget, now);
        may_begin.then_some(Turn { model, priority, budget })
    }

    /// Returns the model and the priority to be served next: the background if it is overdue, else
    /// the foreground, else the background.
    fn next_lane(&self, worker: WorkerId, now: Instant) -> Option<(ModelId, Priority)> {
        self.overdue(worker, now)
            .or_else(|| self.longest_without_turn(worker, Priority::Foreground))
            .or_else(|| self.longest_without_turn(worker, Priority::Background))
    }

    fn overdue(&self, worker: WorkerId, now: Instant) -> Option<(ModelId, Priority)> {
        let since = |queues: &ModelQueues| queues.lane(Priority::Background).overdue_since(now);
        let overdue = self.models_at(worker).filter_map(|(id, queues)| Some((since(queues)?, id)));
        overdue.min().map(|(_, id)| (id, Priority::Background))
    }

    fn longest_without_turn(
        &self,
        worker: WorkerId,
        priority: Priority,
    ) -> Option<(ModelId, Priority)> {
        let last = |queues: &ModelQueues| queues.lane(priority).last_turn();
        let waiting = self.models_at(worker).filter_map(|(id, queues)| Some((last(queues)?, id)));
        waiting.min().map(|(_, id)| (id, priority))
    }

    fn models_at(&self, worker: WorkerId) -> impl Iterator<Item = (ModelId, &ModelQueues)> {
        let models = self.models.iter().map(|(&id, queues)| (id, queues));
        models.filter(move |(_, queues)| queues.is_at(worker))
    }

    /// Returns the token budget of the next batch: smaller for the background, and for a key that
    /// dominates others, so that the worker is free again soon.
    fn batch_budget(&self, queues: &ModelQueues, priority: Priority, now: Instant) -> usize {
        let batch_tokens = self.settings.batch_tokens;
        let is_dominated = queues.queue(priority).is_dominated(batch_tokens, now);
        let divisor = match priority {
            Priority::Background => BACKGROUND_DIVISOR,
            Priority::Foreground if is_dominated => DOMINATED_DIVISOR,
            Priority::Foreground => 1,
        };
        batch_tokens.div_ceil(divisor)
    }

    /// Returns whether a batch may be prepared while another runs: only a full one, which late
    /// requests would miss anyway. Background batches are smaller and so never prepared ahead: no
    /// request waits for two of them. Nor is a batch prepared while one key has more waiting than
    /// all others together: a request of another key is likely to arrive soon and would wait for
    /// two batches of that key.
    fn may_prepare(&self, queues: &ModelQueues, budget: usize, now: Instant) -> bool {
        let foreground = queues.queue(Priority::Foreground);
        budget == self.settings.batch_tokens
            && foreground.n_tokens() >= budget
            && !foreground.is_dominated(0, now)
            && !self.batches.has_free_worker(queues.n_workers)
    }
}

/// Divides the budget of a batch while one key has more than a batch waiting, and more than all
/// others together.
const DOMINATED_DIVISOR: usize = 2;
/// Divides the budget of a background batch.
const BACKGROUND_DIVISOR: usize = 4;
