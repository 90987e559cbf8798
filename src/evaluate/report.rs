//! Every figure about one category.

use serde::Serialize;

use super::calibration_error::expected_calibration_error;
use super::confusion::Confusion;
use super::curve::Curve;
use super::outcome::Outcome;
use crate::policy::Threshold;

/// The measurements of one category, over the texts whose label is known.
///
/// All figures are shares from 0 to 1; scores and thresholds are on one scale.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CategoryReport {
    /// Texts whose label is known.
    pub n_texts: usize,
    /// Those of them whose label is true.
    pub n_positives: usize,
    /// Area under the precision-recall curve, by steps; `None` without positives.
    pub average_precision: Option<f64>,
    /// Chance that a positive scores above a negative, ties half; `None` unless both are present.
    pub roc_auc: Option<f64>,
    /// The threshold in force; `None` in the report on any category, where each has its own.
    pub threshold: Option<Threshold>,
    /// Share of the flagged that are positive, 0 if none is flagged; `None` without positives.
    ///
    /// Flagged is, here and below, a score that violates the threshold, as the service decides.
    pub precision: Option<f64>,
    /// Share of the positives that are flagged; `None` without positives.
    pub recall: Option<f64>,
    /// Harmonic mean of precision and recall; `None` without positives.
    pub f1: Option<f64>,
    /// The highest F1 that any threshold reaches on these texts; `None` without positives.
    ///
    /// Chosen on the very texts it is measured on, hence an upper bound of what to hope for.
    pub best_f1: Option<f64>,
    /// The highest threshold that reaches it, always one of the scores.
    pub best_threshold: Option<f64>,
    /// Recall while flagging at most 1 % of the negatives; `None` unless both are present.
    ///
    /// With fewer than a hundred negatives that allows none of them to be flagged.
    pub recall_at_1pct_fpr: Option<f64>,
    /// Distance of scores from probabilities, in 15 bins (Guo et al. 2017); `None` without texts.
    pub expected_calibration_error: Option<f64>,
}

impl CategoryReport {
    /// Measures one category; `threshold` is only reported, the outcomes know what it flagged.
    pub(super) fn of(outcomes: &[Outcome], threshold: Option<Threshold>) -> Self {
        let in_force = Confusion::of(outcomes);
        let curve = Curve::of(outcomes);
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

/// The false positive rate at which recall is reported: one innocent text in a hundred.
const ONE_PERCENT: f64 = 0.01;
