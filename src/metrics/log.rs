//! The metric of the log.

use prometheus_client::metrics::counter::Counter;

/// The number of log lines that were lost; a clone shares the count.
///
/// The log is created before the other metrics and keeps its own counter.
#[derive(Debug, Clone, Default)]
pub struct DroppedLines(pub(super) Counter);

impl DroppedLines {
    /// Counts one lost line.
    pub fn increment(&self) {
        self.0.inc();
    }

    /// Returns the number of lines lost so far.
    pub fn count(&self) -> u64 {
        self.0.get()
    }
}
