//! The prepared and running batches of each worker.

use std::collections::BTreeMap;
use std::collections::HashMap;

use crate::engine::fair_queue::BatchSlice;
use crate::engine::flow::FlowId;
use crate::engine::priority::Priority;
use crate::engine::scheduler::BatchId;
use crate::engine::scheduler::ModelId;
use crate::engine::scheduler::Start;
use crate::engine::scheduler::WorkerId;

/// At most one running and one prepared batch per worker.
#[derive(Debug, Default)]
pub(super) struct Batches {
    workers: Vec<Worker>,
    batches: HashMap<BatchId, ScheduledBatch>, // all batches in `workers`
}

/// A batch that has not ended.
#[derive(Debug)]
pub(super) struct ScheduledBatch {
    pub(super) model: ModelId,
    pub(super) priority: Priority,
    pub(super) worker: WorkerId,
    pub(super) slices: Vec<BatchSlice>,
    pub(super) n_tokens: BTreeMap<FlowId, usize>,
    pub(super) budget: usize,
}

/// Whether a worker can take another batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vacancy {
    /// The worker has no batch.
    Free,
    /// A batch is running, and the next one may be prepared.
    CanPrepare,
    /// A batch is already prepared, or the worker does not exist.
    None,
}

#[derive(Debug, Default)]
struct Worker {
    running: Option<BatchId>,
    prepared: Option<BatchId>,
}

impl Batches {
    /// Adds workers until there are at least `n_workers`.
    pub(super) fn grow_to(&mut self, n_workers: usize) {
        let n_workers = n_workers.max(self.workers.len());
        self.workers.resize_with(n_workers, Worker::default);
    }

    /// Returns whether a worker can take another batch.
    pub(super) fn vacancy(&self, worker: WorkerId) -> Vacancy {
        match self.workers.get(worker.0) {
            Some(Worker { running: None, prepared: None }) => Vacancy::Free,
            Some(Worker { running: Some(_), prepared: None }) => Vacancy::CanPrepare,
            _ => Vacancy::None,
        }
    }

    /// Returns whether one of the first `n_workers` workers has no batch.
    pub(super) fn has_free_worker(&self, n_workers: usize) -> bool {
        (0..n_workers).any(|worker| self.vacancy(WorkerId(worker)) == Vacancy::Free)
    }

    /// Adds a prepared batch to a worker that has none.
    pub(super) fn prepare(&mut self, id: BatchId, batch: ScheduledBatch) {
        self.workers[batch.worker.0].prepared = Some(id);
        self.batches.insert(id, batch);
    }

    /// Starts a prepared batch if its worker is free.
    pub(super) fn start(&mut self, id: BatchId) -> Start {
        let Some(batch) = self.batches.get(&id) else { return Start::Cancelled };
        let worker = &mut self.workers[batch.worker.0];
        if worker.running.is_some() {
            return Start::Occupied;
        }
        worker.running = worker.prepared.take();
        Start::Running
    }

    /// Removes a batch, prepared or running.
    pub(super) fn end(&mut self, id: BatchId) -> Option<ScheduledBatch> {
        let batch = self.batches.remove(&id)?;
        let Worker { running, prepared } = &mut self.workers[batch.worker.0];
        for slot in [running, prepared] {
            slot.take_if(|other| *other == id);
        }
        Some(batch)
    }

    /// Removes the prepared batches of a model.
    pub(super) fn cancel_prepared(&mut self, model: ModelId) {
        let is_of_model =
            |(id, batch): (BatchId, &ScheduledBatch)| (batch.model == model).then_some(id);
        let ids: Vec<_> = self.prepared().filter_map(is_of_model).collect();
        for id in ids {
            self.end(id);
        }
    }

    /// Returns the number of tokens in the prepared batches of a model.
    pub(super) fn n_prepared_tokens(&self, model: ModelId, priority: Priority) -> usize {
        self.prepared_of(model, priority).map(ScheduledBatch::n_tokens).sum()
    }

    /// Returns the number of tokens of one flow in the prepared batches of a model.
    pub(super) fn n_prepared_tokens_of(
        &self,
        flow: FlowId,
        model: ModelId,
        priority: Priority,
    ) -> usize {
        self.prepared_of(model, priority).filter_map(|batch| batch.n_tokens.get(&flow)).sum()
    }

    fn prepared_of(
        &self,
        model: ModelId,
        priority: Priority,
    ) -> impl Iterator<Item = &ScheduledBatch> {
        let batches = self.prepared().map(|(_, batch)| batch);
        batches.filter(move |batch| (batch.model, batch.priority) == (model, priority))
    }

    fn prepared(&self) -> impl Iterator<Item = (BatchId, &ScheduledBatch)> {
        let ids = self.workers.iter().filter_map(|worker| worker.prepared);
        ids.filter_map(|id| Some((id, self.batches.get(&id)?)))
    }
}

impl ScheduledBatch {
    /// Returns the number of tokens of all flows.
    pub(super) fn n_tokens(&self) -> usize {
        self.n_tokens.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_has_one_running_and_one_prepared_batch() {
        let mut batches = two_workers();
        assert_eq!(batches.vacancy(HERE), Vacancy::Free);
        batches.prepare(BatchId(1), batch(MODEL, 10));
        assert_eq!(batches.vacancy(HERE), Vacancy::None, "it is about to run");
        assert_eq!(batches.start(BatchId(1)), Start::Running);
        assert_eq!(batches.vacancy(HERE), Vacancy::CanPrepare);
        batches.prepare(BatchId(2), batch(MODEL, 10));
        assert_eq!(batches.vacancy(HERE), Vacancy::None);
        assert_eq!(batches.start(BatchId(2)), Start::Occupied);
        assert!(batches.end(BatchId(1)).is_some());
        assert_eq!(batches.start(BatchId(2)), Start::Running);
        assert!(batches.end(BatchId(2)).is_some());
        assert_eq!(batches.vacancy(HERE), Vacancy::Free);
        assert!(batches.end(BatchId(2)).is_none(), "it is over");
        assert_eq!(batches.start(BatchId(2)), Start::Cancelled);
    }

    #[test]
    fn a_worker_that_is_not_there_takes_nothing() {
        let batches = two_workers();
        assert_eq!(batches.vacancy(WorkerId(2)), Vacancy::None);
        assert!(!batches.has_free_worker(0));
    }

    #[test]
    fn only_the_workers_of_a_model_are_looked_at() {
        let mut batches = two_workers();
        batches.prepare(BatchId(1), batch(MODEL, 10));
        assert!(!batches.has_free_worker(1));
        assert!(batches.has_free_worker(2));
        batches.grow_to(1);
        assert!(batches.has_free_worker(2), "workers stay");
    }

    #[test]
    fn what_is_prepared_is_cancelled_and_what_runs_goes_on() {
        let mut batches = two_workers();
        batches.prepare(BatchId(1), batch(MODEL, 10));
        batches.start(BatchId(1));
        batches.prepare(BatchId(2), batch(MODEL, 20));
        let there = ScheduledBatch { worker: WorkerId(1), ..batch(OTHER, 40) };
        batches.prepare(BatchId(3), there);
        assert_eq!(batches.n_prepared_tokens(MODEL, Priority::Foreground), 20);
        assert_eq!(batches.n_prepared_tokens(MODEL, Priority::Background), 0);
        batches.cancel_prepared(MODEL);
        assert_eq!(batches.n_prepared_tokens(MODEL, Priority::Foreground), 0);
        assert_eq!(batches.start(BatchId(2)), Start::Cancelled);
        assert_eq!(batches.vacancy(HERE), Vacancy::CanPrepare, "the first one runs");
        assert_eq!(batches.n_prepared_tokens(OTHER, Priority::Foreground), 40);
    }

    #[test]
    fn a_prepared_batch_can_end_before_it_runs() {
        let mut batches = two_workers();
        batches.prepare(BatchId(1), batch(MODEL, 10));
        assert!(batches.end(BatchId(1)).is_some());
        assert_eq!(batches.vacancy(HERE), Vacancy::Free);
    }

    const HERE: WorkerId = WorkerId(0);
    const MODEL: ModelId = ModelId(1);
    const OTHER: ModelId = ModelId(2);

    fn two_workers() -> Batches {
        let mut batches = Batches::default();
        batches.grow_to(2);
        batches
    }

    fn batch(model: ModelId, n_tokens: usize) -> ScheduledBatch {
        let slices = Vec::new();
        let priority = Priority::Foreground;
        let (budget, n_tokens) = (n_tokens, BTreeMap::from([(FlowId::Anonymous, n_tokens)]));
        ScheduledBatch { model, priority, worker: HERE, slices, n_tokens, budget }
    }
}
