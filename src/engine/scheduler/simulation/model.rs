//! The simulated models, and the settings of the scheduler.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use crate::engine::flow::FlowId;
use crate::engine::priority::Priority;
use crate::engine::scheduler::BatchId;
use crate::engine::scheduler::ModelId;
use crate::engine::scheduler::SchedulerSettings;

/// A model whose replicas have a constant throughput.
pub(super) struct SimulatedModel {
    pub(super) id: ModelId,
    pub(super) rate: f64, // tokens per second of one replica
    pub(super) n_workers: usize,
    pub(super) prepared: BTreeMap<BatchId, (Priority, BTreeMap<FlowId, usize>)>, // tokens
    pub(super) background_since: Option<Instant>,                                // without a turn
}

impl SimulatedModel {
    /// Returns the seconds that all replicas take for `n_tokens`.
    pub(super) fn seconds_for(&self, n_tokens: usize) -> f64 {
        n_tokens as f64 / self.rate / self.n_workers as f64
    }

    /// Returns the number of tokens in the prepared batches.
    pub(super) fn n_prepared(&self, meant: Priority) -> usize {
        let batches = self.prepared.values().filter(|(priority, _)| *priority == meant);
        batches.flat_map(|(_, of_flows)| of_flows.values()).sum()
    }

    /// Returns the number of tokens of one flow in the prepared batches.
    pub(super) fn n_prepared_of(&self, flow: FlowId, meant: Priority) -> usize {
        let batches = self.prepared.values().filter(|(priority, _)| *priority == meant);
        batches.filter_map(|(_, of_flows)| of_flows.get(&flow)).sum()
    }
}

/// Tokens in the largest window.
pub(super) const MAX_WINDOW: u32 = 128;

/// Tokens per second of the slowest replica; the fastest is four times as fast.
pub(super) const MIN_RATE: f64 = 10_000.0;

/// Small, so that every limit is reached.
pub(super) const SETTINGS: SchedulerSettings = SchedulerSettings {
    batch_tokens: 256,
    queue_tokens: 8000,
    max_request_tokens: 4000,
    queue_time: Duration::from_millis(400),
};
