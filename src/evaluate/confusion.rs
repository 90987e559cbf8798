//! Confusion counts of a decision rule, and the rates computed from them.

use super::outcome::Outcome;

/// How many texts there are, how many are flagged, and how many of both are positive.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_field_names, reason = "n_ marks a count")]
pub(super) struct ConfusionCounts {
    pub(super) n_texts: usize,
    pub(super) n_positives: usize,
    pub(super) n_flagged: usize,
    pub(super) n_true_positives: usize,
}

impl ConfusionCounts {
    /// Counts the decisions recorded in the outcomes.
    pub(super) fn from_outcomes(outcomes: &[Outcome]) -> Self {
        Self {
            n_flagged: outcomes.iter().filter(|outcome| outcome.flagged).count(),
            n_true_positives: outcomes
                .iter()
                .filter(|outcome| outcome.flagged && outcome.positive)
                .count(),
            ..Self::with_none_flagged(outcomes)
        }
    }

    /// Counts for a rule that flags no text.
    pub(super) fn with_none_flagged(outcomes: &[Outcome]) -> Self {
        Self {
            n_texts: outcomes.len(),
            n_positives: outcomes.iter().filter(|outcome| outcome.positive).count(),
            n_flagged: 0,
            n_true_positives: 0,
        }
    }

    /// Returns the share of the flagged texts that are positive.
    ///
    /// 0 if no text is flagged, as with scikit-learn's `zero_division=0`; `None` without
    /// positives, where every rule would get 0.
    pub(super) fn precision(&self) -> Option<f64> {
        let flagged = self.n_flagged.max(1);
        (self.n_positives > 0).then(|| self.n_true_positives as f64 / flagged as f64)
    }

    /// Returns the share of the positive texts that are flagged; `None` without positives.
    pub(super) fn recall(&self) -> Option<f64> {
        ratio(self.n_true_positives, self.n_positives)
    }

    /// Returns the harmonic mean of precision and recall; `None` without positives.
    ///
    /// Computed as 2 TP / (flagged + positives): one division, so that ties are exact.
    pub(super) fn f1(&self) -> Option<f64> {
        let twice_true_positives = 2 * self.n_true_positives;
        (self.n_positives > 0)
            .then(|| twice_true_positives as f64 / (self.n_flagged + self.n_positives) as f64)
    }

    /// Returns the share of the negative texts that are flagged; `None` without negatives.
    pub(super) fn false_positive_rate(&self) -> Option<f64> {
        ratio(self.n_flagged - self.n_true_positives, self.n_texts - self.n_positives)
    }
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
