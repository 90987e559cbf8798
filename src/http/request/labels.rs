//! Scores as labels, as text-classification services return them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::http::request::judged::Judged;
use crate::http::request::judged::NamedJudgement;
use crate::score::Judgement;

/// A category and its score.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(in crate::http) struct Label {
    pub(in crate::http) label: String,
    pub(in crate::http) score: f64,
}

/// The function that a client may have applied to the logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Function {
    /// Calibrated scores from 0 to 1, independent for each category.
    Calibrated,
    /// The unchanged logits of the head.
    Raw,
    /// The softmax over the categories, as if a text could have only one.
    Softmax,
}

impl Function {
    /// Returns the value of one judgement, before any normalisation over the categories.
    pub(in crate::http) fn score(self, judgement: Judgement) -> f64 {
        match self {
            Self::Calibrated => f64::from(judgement.score),
            Self::Raw | Self::Softmax => judgement.log_odds,
        }
    }

    /// Returns the labels of a text, from the highest score to the lowest.
    pub(in crate::http) fn labels(self, judged: &Judged) -> Vec<Label> {
        let label = |entry: NamedJudgement<'_>| Label {
            label: entry.id.to_owned(),
            score: self.score(entry.judgement),
        };
        let mut labels: Vec<_> = judged.entries().map(label).collect();
        match self {
            // A blank text has no logits to normalise.
            Self::Softmax if judged.scored.n_tokens == 0 => {
                for label in &mut labels {
                    label.score = 0.0;
                }
            }
            Self::Softmax => softmax(&mut labels),
            Self::Calibrated | Self::Raw => {}
        }
        labels.sort_by(|one, other| other.score.total_cmp(&one.score));
        labels
    }
}

/// Replaces logits with their softmax.
fn softmax(labels: &mut [Label]) {
    let largest = labels.iter().map(|label| label.score).fold(f64::NEG_INFINITY, f64::max);
    for label in labels.iter_mut() {
        // Subtracting the largest logit prevents overflow and cancels out in the division.
        label.score = (label.score - largest).exp();
    }
    let sum: f64 = labels.iter().map(|label| label.score).sum();
    for label in labels {
        label.score /= sum;
    }
}
