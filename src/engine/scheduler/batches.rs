//! The batches that are prepared or running, and the places where.

use std::collections::BTreeMap;
use std::collections::HashMap;

use crate::engine::fair_queue::BatchSlice;
use crate::engine::flow::FlowId;
use crate::engine::priority::Priority;
use crate::engine::scheduler::BatchId;
use crate::engine::scheduler::ModelId;
use crate::engine::scheduler::PlaceId;
use crate::engine::scheduler::Start;

/// At most one running and one prepared batch a place.
#[derive(Debug, Default)]
pub(super) struct Batches {
    places: Vec<Place>,
    batches: HashMap<BatchId, ScheduledBatch>, // those of the places
}

/// A batch that is not over.
#[derive(Debug)]
pub(super) struct ScheduledBatch {
    pub(super) model: ModelId,
    pub(super) priority: Priority,
    pub(super) place: PlaceId,
    pub(super) slices: Vec<BatchSlice>,
    pub(super) n_tokens: BTreeMap<FlowId, usize>,
    pub(super) budget: usize,
}

/// Whether a place can take a further batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vacancy {
    /// It has none.
    Free,
    /// One runs, and the next may be prepared.
    Ahead,
    /// One is prepared.
    None,
}

#[derive(Debug, Default)]
struct Place {
    running: Option<BatchId>,
    prepared: Option<BatchId>,
}

impl Batches {
    /// Has so many places at least.
    pub(super) fn grow_to(&mut self, n_places: usize) {
        let n_places = n_places.max(self.places.len());
        self.places.resize_with(n_places, Place::default);
    }

    /// What the place can take.
    pub(super) fn vacancy(&self, place: PlaceId) -> Vacancy {
        match self.places.get(place.0) {
            Some(Place { running: None, prepared: None }) => Vacancy::Free,
            Some(Place { running: Some(_), prepared: None }) => Vacancy::Ahead,
            _ => Vacancy::None,
        }
    }

    /// Whether one of the first places has no batch.
    pub(super) fn has_free_place(&self, n_places: usize) -> bool {
        (0..n_places).any(|place| self.vacancy(PlaceId(place)) == Vacancy::Free)
    }

    /// Adds a batch at a place without a prepared one.
    pub(super) fn prepare(&mut self, id: BatchId, batch: ScheduledBatch) {
        self.places[batch.place.0].prepared = Some(id);
        self.batches.insert(id, batch);
    }

    /// Runs a prepared batch if its place is free.
    pub(super) fn start(&mut self, id: BatchId) -> Start {
        let Some(batch) = self.batches.get(&id) else { return Start::Cancelled };
        let place = &mut self.places[batch.place.0];
        if place.running.is_some() {
            return Start::Occupied;
        }
        place.running = place.prepared.take();
        Start::Running
    }

    /// Takes out a batch, prepared or running.
    pub(super) fn end(&mut self, id: BatchId) -> Option<ScheduledBatch> {
        let batch = self.batches.remove(&id)?;
        let Place { running, prepared } = &mut self.places[batch.place.0];
        for slot in [running, prepared] {
            slot.take_if(|other| *other == id);
        }
        Some(batch)
    }

    /// Takes out the prepared batches of a model.
    pub(super) fn cancel_prepared(&mut self, model: ModelId) {
        let is_of_model =
            |(id, batch): (BatchId, &ScheduledBatch)| (batch.model == model).then_some(id);
        let ids: Vec<_> = self.prepared().filter_map(is_of_model).collect();
        for id in ids {
            self.end(id);
        }
    }

    /// Tokens in prepared batches of a model.
    pub(super) fn n_prepared_tokens(&self, model: ModelId, priority: Priority) -> usize {
        self.prepared_of(model, priority).map(ScheduledBatch::n_tokens).sum()
    }

    /// Those of one flow.
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
        let ids = self.places.iter().filter_map(|place| place.prepared);
        ids.filter_map(|id| Some((id, self.batches.get(&id)?)))
    }
}

impl ScheduledBatch {
    /// Of all flows.
    pub(super) fn n_tokens(&self) -> usize {
        self.n_tokens.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_one_running_and_one_prepared_batch() {
        let mut batches = two_places();
        assert_eq!(batches.vacancy(HERE), Vacancy::Free);
        batches.prepare(BatchId(1), batch(MODEL, 10));
        assert_eq!(batches.vacancy(HERE), Vacancy::None, "it is about to run");
        assert_eq!(batches.start(BatchId(1)), Start::Running);
        assert_eq!(batches.vacancy(HERE), Vacancy::Ahead);
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
    fn a_place_that_is_not_there_takes_nothing() {
        let batches = two_places();
        assert_eq!(batches.vacancy(PlaceId(2)), Vacancy::None);
        assert!(!batches.has_free_place(0));
    }

    #[test]
    fn only_the_places_of_a_model_are_looked_at() {
        let mut batches = two_places();
        batches.prepare(BatchId(1), batch(MODEL, 10));
        assert!(!batches.has_free_place(1));
        assert!(batches.has_free_place(2));
        batches.grow_to(1);
        assert!(batches.has_free_place(2), "places stay");
    }

    #[test]
    fn what_is_prepared_is_cancelled_and_what_runs_goes_on() {
        let mut batches = two_places();
        batches.prepare(BatchId(1), batch(MODEL, 10));
        batches.start(BatchId(1));
        batches.prepare(BatchId(2), batch(MODEL, 20));
        let there = ScheduledBatch { place: PlaceId(1), ..batch(OTHER, 40) };
        batches.prepare(BatchId(3), there);
        assert_eq!(batches.n_prepared_tokens(MODEL, Priority::Foreground), 20);
        assert_eq!(batches.n_prepared_tokens(MODEL, Priority::Background), 0);
        batches.cancel_prepared(MODEL);
        assert_eq!(batches.n_prepared_tokens(MODEL, Priority::Foreground), 0);
        assert_eq!(batches.start(BatchId(2)), Start::Cancelled);
        assert_eq!(batches.vacancy(HERE), Vacancy::Ahead, "the first one runs");
        assert_eq!(batches.n_prepared_tokens(OTHER, Priority::Foreground), 40);
    }

    #[test]
    fn a_prepared_batch_can_end_before_it_runs() {
        let mut batches = two_places();
        batches.prepare(BatchId(1), batch(MODEL, 10));
        assert!(batches.end(BatchId(1)).is_some());
        assert_eq!(batches.vacancy(HERE), Vacancy::Free);
    }

    const HERE: PlaceId = PlaceId(0);
    const MODEL: ModelId = ModelId(1);
    const OTHER: ModelId = ModelId(2);

    fn two_places() -> Batches {
        let mut batches = Batches::default();
        batches.grow_to(2);
        batches
    }

    fn batch(model: ModelId, n_tokens: usize) -> ScheduledBatch {
        let slices = Vec::new();
        let priority = Priority::Foreground;
        let (budget, n_tokens) = (n_tokens, BTreeMap::from([(FlowId::Anonymous, n_tokens)]));
        ScheduledBatch { model, priority, place: HERE, slices, n_tokens, budget }
    }
}
