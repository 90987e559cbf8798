//! The outcome of one text in one category, for which the label is known.

/// The score, the decision and the true label of one text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome {
    /// Finite; higher means more likely positive.
    pub(super) score: f32,
    /// Whether the thresholds in force flag the text.
    pub(super) flagged: bool,
    /// The known label.
    pub(super) positive: bool,
}
