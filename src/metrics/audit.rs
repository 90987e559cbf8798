//! The instruments of the audit log.

use crate::metrics::Metrics;

impl Metrics {
    /// Counts a line that the audit log has taken.
    pub fn audited(&self) {
        self.unlabelled.audited.increment(1);
    }

    /// Counts lines that it could not take, or not keep.
    pub fn audit_dropped(&self, n_lines: u64) {
        self.unlabelled.audit_dropped.increment(n_lines);
    }

    /// Tells whether the audit log could be written.
    pub fn audit_wrote(&self, well: bool) {
        self.unlabelled.audit_faults.increment(u64::from(!well));
        self.unlabelled.audit_failing.set(if well { 0.0 } else { 1.0 });
    }
}
