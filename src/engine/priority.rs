//! The priority of a request.

/// Whether a client waits for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// A client waits for the answer.
    Foreground,
    /// No client waits for the answer: computed when no foreground work is waiting, with a small
    /// guaranteed share of the time.
    Background,
}
