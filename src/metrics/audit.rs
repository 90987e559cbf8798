//! Metrics of the audit log.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use crate::metrics::Metrics;
use crate::metrics::catalogue;
use crate::metrics::registrar::Registrar;

#[derive(Debug)]
pub(super) struct AuditMetrics {
    lines: Counter,
    lines_dropped: Counter,
    write_failures: Counter,
    failing: Gauge,
}

impl AuditMetrics {
    pub(super) fn register(registrar: &mut Registrar<'_>) -> Self {
        Self {
            lines: registrar.counter(catalogue::AUDIT_LINES),
            lines_dropped: registrar.counter(catalogue::AUDIT_DROPPED),
            write_failures: registrar.counter(catalogue::AUDIT_WRITE_FAILURES),
            failing: registrar.gauge(catalogue::AUDIT_FAILING),
        }
    }
}

impl Metrics {
    /// Counts a line written to the audit log.
    pub fn count_audit_line(&self) {
        self.audit.lines.inc();
    }

    /// Counts lines that are lost because the audit log could not queue or write them.
    pub fn count_dropped_audit_lines(&self, n_lines: u64) {
        self.audit.lines_dropped.inc_by(n_lines);
    }

    /// Records whether a write of the audit log succeeded.
    pub fn record_audit_write(&self, succeeded: bool) {
        self.audit.write_failures.inc_by(u64::from(!succeeded));
        self.audit.failing.set(i64::from(!succeeded));
    }
}
