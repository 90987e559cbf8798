//! Metrics of HTTP requests and responses.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::metrics::Metrics;
use crate::metrics::SECONDS;
use crate::metrics::catalogue;
use crate::metrics::registrar::Histograms;
use crate::metrics::registrar::Registrar;

#[derive(Debug)]
pub(super) struct HttpMetrics {
    requests: Family<RequestLabels, Counter>,
    durations: Histograms<RouteLabels>,
    errors: Family<ErrorLabels, Counter>,
    keys_reload_failures: Counter,
    ready: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    code: &'static str,
}

impl HttpMetrics {
    pub(super) fn register(registrar: &mut Registrar<'_>) -> Self {
        Self {
            requests: registrar.counters(catalogue::HTTP_REQUESTS),
            durations: registrar.histograms(catalogue::HTTP_DURATION, SECONDS),
            errors: registrar.counters(catalogue::ERRORS),
            keys_reload_failures: registrar.counter(catalogue::KEYS_RELOAD_FAILURES),
            ready: registrar.gauge(catalogue::READY),
        }
    }
}

impl Metrics {
    /// Counts an answered request; `route` is the route's pattern, never the path from the client.
    pub fn record_response(
        &self,
        route: &str,
        method: &'static str,
        status: u16,
        elapsed: Duration,
    ) {
        let labels = RequestLabels { route: route.to_owned(), method, status };
        self.http.requests.get_or_create(&labels).inc();
        let labels = RouteLabels { route: labels.route };
        self.http.durations.get_or_create(&labels).observe(elapsed.as_secs_f64());
    }

    /// Counts an error response by its code.
    pub fn count_error(&self, code: &'static str) {
        self.http.errors.get_or_create(&ErrorLabels { code }).inc();
    }

    /// Counts a change of the key file that could not be loaded.
    pub fn count_keys_reload_failure(&self) {
        self.http.keys_reload_failures.inc();
    }

    /// Records whether the server is ready for requests.
    pub fn set_ready(&self, is_ready: bool) {
        self.http.ready.set(i64::from(is_ready));
    }
}
