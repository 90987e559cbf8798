//! Which batch is next at a place.

use std::time::Instant;

use crate::engine::priority::Priority;
use crate::engine::scheduler::ModelId;
use crate::engine::scheduler::PlaceId;
use crate::engine::scheduler::Scheduler;
use crate::engine::scheduler::batches::Vacancy;
use crate::engine::scheduler::model_queues::ModelQueues;

/// A batch that is next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    pub(super) model: ModelId,
    pub(super) priority: Priority,
    pub(super) budget: usize,
}

impl Scheduler {
    /// The next batch of a place, if one may be planned now.
    pub(super) fn turn(&self, place: PlaceId, now: Instant) -> Option<Turn> {
        let vacancy = self.batches.vacancy(place);
        if vacancy == Vacancy::None {
            return None;
        }
        let (model, priority) = self.next_lane(place, now)?;
        let queues = self.models.get(&model)?;
        let budget = self.batch_budget(queues, priority, now);
        let may_begin = vacancy == Vacancy::Free || self.may_prepare(queues, budget, now);
        may_begin.then_some(Turn { model, priority, budget })
    }

    /// Whose turn it is: the background's if it has waited for too long, else the foreground's, else
    /// the background's.
    fn next_lane(&self, place: PlaceId, now: Instant) -> Option<(ModelId, Priority)> {
        self.overdue(place, now)
            .or_else(|| self.longest_without_turn(place, Priority::Foreground))
            .or_else(|| self.longest_without_turn(place, Priority::Background))
    }

    fn overdue(&self, place: PlaceId, now: Instant) -> Option<(ModelId, Priority)> {
        let since = |queues: &ModelQueues| queues.lane(Priority::Background).overdue_since(now);
        let overdue = self.models_at(place).filter_map(|(id, queues)| Some((since(queues)?, id)));
        overdue.min().map(|(_, id)| (id, Priority::Background))
    }

    fn longest_without_turn(
        &self,
        place: PlaceId,
        priority: Priority,
    ) -> Option<(ModelId, Priority)> {
        let last = |queues: &ModelQueues| queues.lane(priority).last_turn();
        let waiting = self.models_at(place).filter_map(|(id, queues)| Some((last(queues)?, id)));
        waiting.min().map(|(_, id)| (id, priority))
    }

    fn models_at(&self, place: PlaceId) -> impl Iterator<Item = (ModelId, &ModelQueues)> {
        let models = self.models.iter().map(|(&id, queues)| (id, queues));
        models.filter(move |(_, queues)| queues.is_at(place))
    }

    /// The background gives its place back soon, and so does one key that has much to do beside
    /// others.
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

    /// Whether a batch may be prepared while another runs: only a full one, which those who come
    /// late would miss anyway. Batches of the background are smaller, so that nobody waits for two
    /// of them; and while one key has more waiting than all others, the others' next text is soon
    /// to come and would wait for two batches of that key.
    fn may_prepare(&self, queues: &ModelQueues, budget: usize, now: Instant) -> bool {
        let foreground = queues.queue(Priority::Foreground);
        budget == self.settings.batch_tokens
            && foreground.n_tokens() >= budget
            && !foreground.is_dominated(0, now)
            && !self.batches.has_free_place(queues.n_places)
    }
}

/// A batch is smaller by this while one key has more than a batch waiting, and more than all others.
const DOMINATED_DIVISOR: usize = 2;
/// A batch of the background is smaller by this.
const BACKGROUND_DIVISOR: usize = 4;
