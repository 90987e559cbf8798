//! Scores as labels: what text-classification services answer.

use serde::Serialize;
use utoipa::ToSchema;

use crate::http::judged::Judged;
use crate::score::Judgement;

/// A category and its score.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct Label {
    pub(super) label: String,
    pub(super) score: f64,
}

/// What a client may want to have applied to the logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    /// Calibrated scores from 0 to 1, each category for itself.
    Calibrated,
    /// The logits of the head as they are.
    Raw,
    /// Shares of 1 among the categories, as if a text could have only one.
    Softmax,
}

impl Function {
    /// The labels of a text, from the highest score to the lowest.
    pub(super) fn labels(self, judged: &Judged) -> Vec<Label> {
        let all = judged.entries().map(|entry| entry.judgement.log_odds);
        let largest = all.fold(f64::NEG_INFINITY, f64::max);
        let value = |judgement: Judgement| match self {
            Self::Calibrated => f64::from(judgement.score),
            Self::Raw => judgement.log_odds,
            // Less the largest, which the division takes out: no overflow.
            Self::Softmax => (judgement.log_odds - largest).exp(),
        };
        let mut labels: Vec<_> = judged
            .entries()
            .map(|entry| Label { label: entry.id.to_owned(), score: value(entry.judgement) })
            .collect();
        if self == Self::Softmax {
            let sum: f64 = labels.iter().map(|label| label.score).sum();
            for label in &mut labels {
                label.score /= sum;
            }
        }
        labels.sort_by(|one, other| other.score.total_cmp(&one.score));
        labels
    }
}
