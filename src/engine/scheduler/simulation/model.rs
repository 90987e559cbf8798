//! The models that are simulated, and how the scheduler is set up for them.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use crate::engine::flow::FlowId;
use crate::engine::priority::Priority;
use crate::engine::scheduler::BatchId;
use crate::engine::scheduler::ModelId;
use crate::engine::scheduler::SchedulerSettings;

/// A model whose replicas compute at an even pace.
pub(super) struct SimulatedModel {
    pub(super) id: ModelId,
    pub(super) rate: f64, // tokens per second of one replica
    pub(super) n_places: usize,
    pub(super) prepared: BTreeMap<BatchId, (Priority, BTreeMap<FlowId, usize>)>, // tokens
    pub(super) background_since: Option<Instant>,                                // without a turn
}

impl SimulatedModel {
    /// By all of its replicas.
    pub(super) fn seconds_for(&self, n_tokens: usize) -> f64 {
        n_tokens as f64 / self.rate / self.n_places as f64
    }

    /// Tokens in its prepared batches.
    pub(super) fn n_prepared(&self, meant: Priority) -> usize {
        let batches = self.prepared.values().filter(|(priority, _)| *priority == meant);
        batches.flat_map(|(_, of_flows)| of_flows.values()).sum()
    }

    /// Those of one flow.
    pub(super) fn n_prepared_of(&self, flow: FlowId, meant: Priority) -> usize {
        let batches = self.prepared.values().filter(|(priority, _)| *priority == meant);
        batches.filter_map(|(_, of_flows)| of_flows.get(&flow)).sum()
    }
}

/// Tokens in the largest window.
pub(super) const MAX_WINDOW: u32 = 128;

/// Tokens per second of the slowest replica; the fastest has four times as many.
pub(super) const MIN_RATE: f64 = 10_000.0;

/// Small, so that every bound is met.
pub(super) const SETTINGS: SchedulerSettings = SchedulerSettings {
    batch_tokens: 256,
    queue_tokens: 8000,
    max_request_tokens: 4000,
    queue_time: Duration::from_millis(400),
};
