//! What the clients do.

use std::time::Duration;

/// Requests, and what becomes of them.
#[derive(Clone, Copy)]
pub(super) struct Load {
    pub(super) seed: u64,
    pub(super) n_models: usize,
    pub(super) n_places: usize,
    /// Beside those who have no key.
    pub(super) n_keys: usize,
    /// Between two requests.
    pub(super) mean_gap: Duration,
    /// The part of the requests for which nobody waits.
    pub(super) background: f64,
    /// The part of the requests that are abandoned some time.
    pub(super) abandoned: f64,
    /// The part of the batches that fail.
    pub(super) failing: f64,
    /// The part of the requests that have a deadline.
    pub(super) with_deadline: f64,
    /// After which another model takes the place of one.
    pub(super) model_lifetime: Option<Duration>,
}

/// Requests of one model that go well.
pub(super) const CALM: Load = Load {
    seed: 0,
    n_models: 1,
    n_places: 1,
    n_keys: 4,
    mean_gap: Duration::from_millis(4),
    background: 0.0,
    abandoned: 0.0,
    failing: 0.0,
    with_deadline: 0.0,
    model_lifetime: None,
};

/// Anything may happen.
pub(super) const WILD: Load = Load {
    n_models: 3,
    n_places: 3,
    n_keys: 6,
    mean_gap: Duration::from_millis(1),
    background: 0.2,
    abandoned: 0.1,
    failing: 0.02,
    with_deadline: 0.3,
    model_lifetime: Some(Duration::from_secs(3)),
    ..CALM
};
