//! Metrics of connections.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::metrics::Metrics;
use crate::metrics::catalogue;
use crate::metrics::registrar::Registrar;

#[derive(Debug)]
pub(super) struct ConnectionMetrics {
    open: Gauge,
    refused: Family<RefusalLabels, Counter>,
    tls_reload_failures: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    reason: &'static str,
}

/// An open connection, removed from the gauge on drop.
#[derive(Debug)]
pub struct ConnectionGuard(Gauge);

impl ConnectionMetrics {
    pub(super) fn register(registrar: &mut Registrar<'_>) -> Self {
        Self {
            open: registrar.gauge(catalogue::CONNECTIONS),
            refused: registrar.counters(catalogue::CONNECTIONS_REFUSED),
            tls_reload_failures: registrar.counter(catalogue::TLS_RELOAD_FAILURES),
        }
    }
}

impl Metrics {
    /// Counts a connection until the guard is dropped.
    pub fn track_connection(&self) -> ConnectionGuard {
        let gauge = self.connections.open.clone();
        gauge.inc();
        ConnectionGuard(gauge)
    }

    /// Counts a connection that the server refused or closed, by reason.
    pub fn count_refused_connection(&self, reason: &'static str) {
        self.connections.refused.get_or_create(&RefusalLabels { reason }).inc();
    }

    /// Counts a change of the certificate or its key that could not be loaded.
    pub fn count_tls_reload_failure(&self) {
        self.connections.tls_reload_failures.inc();
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}
