//! The instrument of the log.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use crate::metrics::Metrics;

/// How many lines of the log were lost; a clone is the same counter. The log is older than the
/// other instruments and counts by itself.
#[derive(Debug, Clone, Default)]
pub struct DroppedLines(Arc<AtomicU64>);

impl DroppedLines {
    /// Counts one more.
    pub fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Metrics {
    /// Brings the counter up to date.
    pub(super) fn record_dropped_lines(&self) {
        self.unlabelled.log_dropped.absolute(self.dropped_lines.count());
    }
}
