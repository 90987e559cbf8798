//! The instruments of connections.

use metrics::Gauge;

use crate::metrics::Metrics;
use crate::metrics::catalogue;

/// An open connection; leaves the gauge when dropped.
#[derive(Debug)]
pub struct ConnectionGuard(Gauge);

impl Metrics {
    /// Counts a connection until the guard is dropped.
    pub fn connection(&self) -> ConnectionGuard {
        let gauge = self.unlabelled.connections.clone();
        gauge.increment(1.0);
        ConnectionGuard(gauge)
    }

    /// Counts a connection that was not accepted, or that we ended, and why.
    pub fn connection_refused(&self, reason: &'static str) {
        let labels = [("reason", reason)];
        self.with(|| metrics::counter!(catalogue::CONNECTIONS_REFUSED, &labels).increment(1));
    }

    /// Counts a change of the certificate or its key that could not be followed.
    pub fn tls_kept(&self) {
        self.unlabelled.tls_kept.increment(1);
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
