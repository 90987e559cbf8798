//! A request on its way through the scheduler.

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

/// A request that asks to be computed.
#[derive(Debug, Clone)]
pub(in crate::engine) struct NewJob {
    pub(in crate::engine) model: ModelId,
    pub(in crate::engine) priority: Priority,
    pub(in crate::engine) flow: FlowId,
    /// Tokens of each window; one window at least.
    pub(in crate::engine) windows: Vec<u32>,
    /// It is not begun and not gone on with later than that.
    pub(in crate::engine) deadline: Option<Instant>,
}

/// Why a request is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Refusal {
    /// Too much waits.
    Full(Full),
    /// The model is there no more.
    Removed,
}

/// A job that is not over.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) model: ModelId,
    pub(super) priority: Priority,
    pub(super) flow: FlowId,
    pub(super) rank: Instant,
    pub(super) deadline: Option<Instant>,
    pub(super) n_missing: usize, // windows that are not computed yet
}
