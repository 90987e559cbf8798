//! Whether somebody waits for an answer.

/// What is computed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Somebody waits for the answer.
    Foreground,
    /// Nobody does: it is computed when nothing of the foreground waits, with a small share of the
    /// time guaranteed.
    Background,
}
