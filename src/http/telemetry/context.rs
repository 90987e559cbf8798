//! The context of one request, independent of its contract.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::HeaderValue;

use crate::engine::Step;
use crate::engine::Timings;

/// The context of a request, stored in its extensions. Clones share the context.
#[derive(Debug, Clone)]
pub(in crate::http) struct Context(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    request_id: String,
    route: String,
    timings: Timings,
    n_texts: AtomicUsize,
    n_tokens: AtomicUsize,
}

/// The number of texts and tokens that a request has scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) struct Cost {
    pub(in crate::http) n_texts: usize,
    pub(in crate::http) n_tokens: usize,
}

impl Context {
    pub(in crate::http) fn new(request_id: String, route: String) -> Self {
        Self(Arc::new(Inner { request_id, route, ..Inner::default() }))
    }

    pub(in crate::http) fn request_id(&self) -> &str {
        &self.0.request_id
    }

    /// Returns the pattern of the route, never the path from the client.
    pub(in crate::http) fn route(&self) -> &str {
        &self.0.route
    }

    pub(in crate::http) fn timings(&self) -> &Timings {
        &self.0.timings
    }

    /// Adds scored texts and tokens to the cost of the request.
    pub(in crate::http) fn charge(&self, cost: Cost) {
        self.0.n_texts.fetch_add(cost.n_texts, Ordering::Relaxed);
        self.0.n_tokens.fetch_add(cost.n_tokens, Ordering::Relaxed);
    }

    /// Returns the cost of the request, or `None` if nothing was scored.
    pub(in crate::http) fn cost(&self) -> Option<Cost> {
        let n_texts = self.0.n_texts.load(Ordering::Relaxed);
        let n_tokens = self.0.n_tokens.load(Ordering::Relaxed);
        (n_texts > 0).then_some(Cost { n_texts, n_tokens })
    }

    /// Returns the header `server-timing` in milliseconds, or `None` if the request has not reached
    /// the engine.
    pub(in crate::http) fn server_timing(&self, total: Duration) -> Option<HeaderValue> {
        let phases = self.0.timings.phases();
        if phases.is_empty() {
            return None;
        }
        let steps = Step::ALL.map(|step| {
            let of_step = phases.iter().filter(|phase| phase.step == step);
            (step.name(), of_step.map(|phase| phase.elapsed).sum())
        });
        let mut header = String::with_capacity(SERVER_TIMING_BYTES);
        for (name, elapsed) in steps.into_iter().chain([("total", total)]) {
            let separator = if header.is_empty() { "" } else { ", " };
            let _ = write!(header, "{separator}{name};dur={:.3}", elapsed.as_secs_f64() * 1e3);
        }
        HeaderValue::try_from(header).ok()
    }
}

/// More than the header ever has, with times up to hours.
const SERVER_TIMING_BYTES: usize = 128;
