//! Metrics of the queue.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use crate::metrics::Metrics;
use crate::metrics::SECONDS;
use crate::metrics::catalogue;
use crate::metrics::registrar::Registrar;

#[derive(Debug)]
pub(super) struct QueueMetrics {
    tokens: Gauge,
    requests: Gauge,
    wait: Histogram,
    abandoned: Counter,
    given_up: Family<GivenUpLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GivenUpLabels {
    reason: &'static str,
}

/// A queued request, removed from the gauges on drop.
#[derive(Debug)]
pub struct QueuedGuard {
    tokens: Gauge,
    requests: Gauge,
    n_tokens: i64,
}

impl QueueMetrics {
    pub(super) fn register(registrar: &mut Registrar<'_>) -> Self {
        Self {
            tokens: registrar.gauge(catalogue::QUEUE_TOKENS),
            requests: registrar.gauge(catalogue::QUEUE_REQUESTS),
            wait: registrar.histogram(catalogue::QUEUE_WAIT, SECONDS),
            abandoned: registrar.counter(catalogue::ABANDONED),
            given_up: registrar.counters(catalogue::GIVEN_UP),
        }
    }
}

impl Metrics {
    /// Counts a request and its tokens as queued until the guard is dropped.
    pub fn track_queued(&self, n_tokens: usize) -> QueuedGuard {
        let guard = QueuedGuard {
            tokens: self.queue.tokens.clone(),
            requests: self.queue.requests.clone(),
            n_tokens: i64::try_from(n_tokens).unwrap_or(i64::MAX),
        };
        guard.tokens.inc_by(guard.n_tokens);
        guard.requests.inc();
        guard
    }

    /// Records how long a request waited for its first batch.
    pub fn record_wait(&self, elapsed: Duration) {
        self.queue.wait.observe(elapsed.as_secs_f64());
    }

    /// Counts a request that was dropped from the queue because nobody waited for it any more.
    pub fn count_abandoned(&self) {
        self.queue.abandoned.inc();
    }

    /// Counts a request that was given up before its end: `client_gone` or `too_late`.
    pub fn count_given_up(&self, reason: &'static str) {
        self.queue.given_up.get_or_create(&GivenUpLabels { reason }).inc();
    }
}

impl Drop for QueuedGuard {
    fn drop(&mut self) {
        self.tokens.dec_by(self.n_tokens);
        self.requests.dec();
    }
}
