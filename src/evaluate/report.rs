//! All figures of one category.

use serde::Serialize;

use super::calibration_error::expected_calibration_error;
use super::confusion::ConfusionCounts;
use super::curve::Curve;
use super::outcome::Outcome;
use crate::policy::Threshold;

/// The measurements of one category, over the texts whose label is known.
///
/// All figures but the counts are from 0 to 1; scores and thresholds share one scale.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CategoryReport {
    /// The number of texts whose label is known.
    pub n_texts: usize,
    /// The number of texts whose label is true.
    pub n_positives: usize,
    /// Area under the stepwise precision-recall curve; `None` without positives.
    pub average_precision: Option<f64>,
    /// Probability that a positive scores above a negative; `None` unless both are present.
    ///
    /// Ties count half.
    pub roc_auc: Option<f64>,
    /// The threshold in force; `None` in the report on any category, where each has its own.
    pub threshold: Option<Threshold>,
    /// Share of the flagged texts that are positive, 0 if none is flagged; `None` without
    /// positives.
    ///
    /// Here and below, a text is flagged if its score violates the threshold, as in the service.
    pub precision: Option<f64>,
    /// Share of the positive texts that are flagged; `None` without positives.
    pub recall: Option<f64>,
    /// Harmonic mean of precision and recall; `None` without positives.
    pub f1: Option<f64>,
    /// The highest F1 that any threshold reaches on these texts; `None` without positives.
    ///
    /// Chosen on the same texts that it is measured on, hence an optimistic upper bound.
    pub best_f1: Option<f64>,
    /// The highest threshold with the best F1, always one of the scores.
    pub best_threshold: Option<f64>,
    /// Recall when at most 1 % of the negatives are flagged; `None` unless both are present.
    ///
    /// With fewer than a hundred negatives, none of them may be flagged.
    pub recall_at_1pct_fpr: Option<f64>,
    /// Expected calibration error over 15 bins (Guo et al. 2017); `None` without texts.
    pub expected_calibration_error: Option<f64>,
}

impl CategoryReport {
    /// Evaluates one category; `threshold` is only reported, as the outcomes hold the decisions.
    pub(super) fn from_outcomes(outcomes: &[Outcome], threshold: Option<Threshold>) -> Self {
        let in_force = ConfusionCounts::from_outcomes(outcomes);
        let curve = Curve::from_outcomes(outcomes);
        let best = curve.best_f1();
        Self {
            n_texts: in_force.n_texts,
            n_positives: in_force.n_positives,
            average_precision: curve.average_precision(),
            roc_auc: curve.roc_auc(),
            threshold,
            precision: in_force.precision(),
            recall: in_force.recall(),
            f1: in_force.f1(),
            best_f1: best.map(|best| best.f1),
            best_threshold: best.map(|best| best.threshold),
            recall_at_1pct_fpr: curve.recall_at(ONE_PERCENT),
            expected_calibration_error: expected_calibration_error(outcomes),
        }
    }
}

/// The false positive rate at which recall is reported: one negative text in a hundred.
const ONE_PERCENT: f64 = 0.01;
