//! One text, in one category, whose label is known.

/// What was scored, what was decided and what is true of one text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome {
    /// Finite, higher for more likely positive.
    pub(super) score: f32,
    /// Whether the thresholds in force would have flagged it.
    pub(super) flagged: bool,
    /// The known label.
    pub(super) positive: bool,
}
