//! A request in the scheduler.

use std::time::Instant;

use crate::engine::flow::FlowId;
use crate::engine::priority::Priority;
use crate::engine::scheduler::ModelId;
use crate::engine::token_budget::Full;

/// What a request would add to the queue.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Demand {
    pub(in crate::engine) model: ModelId,
    pub(in crate::engine) priority: Priority,
    pub(in crate::engine) flow: FlowId,
    pub(in crate::engine) n_tokens: usize,
}

/// A request to be queued.
#[derive(Debug, Clone)]
pub(in crate::engine) struct NewJob {
    pub(in crate::engine) model: ModelId,
    pub(in crate::engine) priority: Priority,
    pub(in crate::engine) flow: FlowId,
    /// The number of tokens in each window; at least one window.
    pub(in crate::engine) windows: Vec<u32>,
    /// When the job expires; none of its windows is computed after that unless already in a batch.
    pub(in crate::engine) deadline: Option<Instant>,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Refusal {
    /// Too much is waiting.
    Full(Full),
    /// The model was removed.
    Removed,
}

/// A job that has not ended.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) model: ModelId,
    pub(super) priority: Priority,
    pub(super) flow: FlowId,
    pub(super) rank: Instant,
    pub(super) deadline: Option<Instant>,
    pub(super) n_missing: usize, // windows not computed yet
}
