//! Admission control: which requests are refused.

use crate::engine::flow::FlowId;
use crate::engine::priority::Priority;
use crate::engine::scheduler::Demand;
use crate::engine::scheduler::ModelId;
use crate::engine::scheduler::Refusal;
use crate::engine::scheduler::Scheduler;
use crate::engine::scheduler::model_queues::ModelQueues;
use crate::engine::token_budget::Backlog;
use crate::engine::token_budget::TokenBudget;

impl Scheduler {
    /// Checks whether a request would be admitted now.
    pub(in crate::engine) fn check(&self, demand: Demand) -> Result<(), Refusal> {
        let Demand { model, priority, flow, n_tokens } = demand;
        let own = self.models.get(&model).ok_or(Refusal::Removed)?;
        let all = self.backlog_before(model, own, priority);
        let of_key = flow.is_key().then(|| self.backlog_of(flow, priority));
        self.budget(priority).check(own.backlog(n_tokens), all, of_key).map_err(Refusal::Full)
    }

    /// Returns whether the foreground backlog leaves no time for the background: it exceeds half of
    /// the token capacity or half of the longest wait.
    pub(in crate::engine) fn is_busy(&self) -> bool {
        let TokenBudget { capacity, max_wait, .. } = self.budget(Priority::Foreground);
        let waiting = self
            .models
            .iter()
            .map(|(&id, model)| model.backlog(self.n_waiting(id, Priority::Foreground)));
        let all = sum(waiting);
        all.n_tokens > capacity / 2 || all.seconds > max_wait.as_secs_f64() / 2.0
    }

    /// Returns the number of tokens that are waiting for a model or in a prepared batch.
    pub(in crate::engine) fn n_waiting(&self, model: ModelId, priority: Priority) -> usize {
        let queued = |queues: &ModelQueues| queues.queue(priority).n_tokens();
        let n_queued = self.models.get(&model).map_or(0, queued);
        n_queued + self.batches.n_prepared_tokens(model, priority)
    }

    /// Returns all waiting tokens of a priority, and the seconds until a request that arrives now
    /// has its turn: the time for the backlog of its own model, and for the batches of other
    /// models, which take turns with it.
    fn backlog_before(&self, model: ModelId, own: &ModelQueues, priority: Priority) -> Backlog {
        let n_own = self.n_waiting(model, priority);
        let others = self.models.iter().filter(|&(&id, _)| id != model).map(|(&id, queues)| {
            let n_tokens = self.n_waiting(id, priority);
            let n_before = n_tokens.min(n_own + self.settings.batch_tokens);
            Backlog { n_tokens, seconds: queues.seconds_for(n_before) }
        });
        sum(others.chain([own.backlog(n_own)]))
    }

    /// Returns the waiting and prepared tokens of one key, for all models.
    fn backlog_of(&self, flow: FlowId, priority: Priority) -> Backlog {
        sum(self.models.iter().map(|(&id, queues)| {
            let n_prepared = self.batches.n_prepared_tokens_of(flow, id, priority);
            queues.backlog(queues.queue(priority).n_tokens_of(flow) + n_prepared)
        }))
    }

    /// Returns the budget of a priority. The time of the background is not bounded, since no client
    /// waits for it.
    fn budget(&self, priority: Priority) -> TokenBudget {
        let settings = &self.settings;
        TokenBudget {
            capacity: settings.queue_tokens,
            capacity_per_key: settings.max_request_tokens.max(settings.queue_tokens / 2),
            max_wait: match priority {
                Priority::Foreground => settings.queue_time,
                Priority::Background => std::time::Duration::MAX,
            },
        }
    }
}

fn sum(backlogs: impl Iterator<Item = Backlog>) -> Backlog {
    backlogs.fold(Backlog { n_tokens: 0, seconds: 0.0 }, |all, one| Backlog {
        n_tokens: all.n_tokens + one.n_tokens,
        seconds: all.seconds + one.seconds,
    })
}
