//! What belongs to one request from its first line to its last, whatever contract it is in.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::HeaderValue;

use crate::engine::Step;
use crate::engine::Timings;

/// Put into the extensions of every request; a clone is of the same request.
#[derive(Debug, Clone)]
pub(super) struct Context(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    request_id: String,
    route: String,
    timings: Timings,
    n_texts: AtomicUsize,
    n_tokens: AtomicUsize,
}

/// What a request has cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) n_texts: usize,
    pub(super) n_tokens: usize,
}

impl Context {
    pub(super) fn new(request_id: String, route: String) -> Self {
        Self(Arc::new(Inner { request_id, route, ..Inner::default() }))
    }

    pub(super) fn request_id(&self) -> &str {
        &self.0.request_id
    }

    /// The pattern, never the path as typed.
    pub(super) fn route(&self) -> &str {
        &self.0.route
    }

    pub(super) fn timings(&self) -> &Timings {
        &self.0.timings
    }

    /// Takes down that texts were scored.
    pub(super) fn charge(&self, cost: Cost) {
        self.0.n_texts.fetch_add(cost.n_texts, Ordering::Relaxed);
        self.0.n_tokens.fetch_add(cost.n_tokens, Ordering::Relaxed);
    }

    /// None if nothing was scored.
    pub(super) fn cost(&self) -> Option<Cost> {
        let n_texts = self.0.n_texts.load(Ordering::Relaxed);
        let n_tokens = self.0.n_tokens.load(Ordering::Relaxed);
        (n_texts > 0).then_some(Cost { n_texts, n_tokens })
    }

    /// The header `server-timing` of a request that has reached the engine, in milliseconds.
    pub(super) fn server_timing(&self, total: Duration) -> Option<HeaderValue> {
        let phases = self.0.timings.phases();
        if phases.is_empty() {
            return None;
        }
        let steps = Step::ALL.map(|step| {
            let of_step = phases.iter().filter(|phase| phase.step == step);
            (step.name(), of_step.map(|phase| phase.elapsed).sum())
        });
        let entry = |(name, elapsed): (&str, Duration)| {
            format!("{name};dur={:.3}", elapsed.as_secs_f64() * 1e3)
        };
        let entries: Vec<_> = steps.into_iter().chain([("total", total)]).map(entry).collect();
        HeaderValue::try_from(entries.join(", ")).ok()
    }
}
