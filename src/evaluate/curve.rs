//! The decisions at every possible threshold, and the figures that need no fixed threshold.

use super::confusion::ConfusionCounts;
use super::outcome::Outcome;

/// The counts with each distinct score as the threshold, from flagging nothing to flagging
/// everything.
#[derive(Debug)]
pub(super) struct Curve {
    none_flagged: ConfusionCounts,
    points: Vec<Point>, // thresholds strictly decrease
}

/// The threshold with the highest F1.
#[derive(Debug, Clone, Copy)]
pub(super) struct BestF1 {
    pub(super) f1: f64,
    pub(super) threshold: f64,
}

impl Curve {
    /// Ranks the outcomes; texts with the same score share a point, since no threshold separates
    /// them.
    pub(super) fn from_outcomes(outcomes: &[Outcome]) -> Self {
        let mut ranked = outcomes.to_vec();
        ranked.sort_unstable_by(|left, right| right.score.total_cmp(&left.score));

        let none_flagged = ConfusionCounts::with_none_flagged(outcomes);
        let mut confusion = none_flagged;
        // In descending order, "not above the next one" means a tie, which includes 0 and -0.
        let points = ranked
            .chunk_by(|above, below| above.score <= below.score)
            .map(|tied| {
                confusion.n_flagged += tied.len();
                confusion.n_true_positives +=
                    tied.iter().filter(|outcome| outcome.positive).count();
                Point { threshold: tied[0].score, confusion }
            })
            .collect();
        Self { none_flagged, points }
    }

    /// Returns the precision averaged over the steps of recall, without interpolation.
    ///
    /// Σ (Rₙ − Rₙ₋₁) Pₙ, as `sklearn.metrics.average_precision_score` of scikit-learn 1.9.1. `None`
    /// without positives.
    pub(super) fn average_precision(&self) -> Option<f64> {
        let mut recall_before = self.none_flagged.recall()?;
        let mut average = 0.0;
        for Point { confusion, .. } in &self.points {
            let recall = confusion.recall()?;
            average += (recall - recall_before) * confusion.precision()?;
            recall_before = recall;
        }
        Some(average)
    }

    /// Returns the probability that a positive text scores above a negative one, ties counting
    /// half.
    ///
    /// The area under recall over false positive rate by the trapezoidal rule, as
    /// `sklearn.metrics.roc_auc_score` of scikit-learn 1.9.1. `None` unless both kinds of text are
    /// present.
    pub(super) fn roc_auc(&self) -> Option<f64> {
        let mut recall_before = self.none_flagged.recall()?;
        let mut rate_before = self.none_flagged.false_positive_rate()?;
        let mut area = 0.0;
        for Point { confusion, .. } in &self.points {
            let recall = confusion.recall()?;
            let rate = confusion.false_positive_rate()?;
            area += (rate - rate_before) * f64::midpoint(recall, recall_before);
            (recall_before, rate_before) = (recall, rate);
        }
        Some(area)
    }

    /// Returns the highest F1 of all scores as thresholds, with the highest threshold that reaches
    /// it.
    ///
    /// `None` without positives.
    pub(super) fn best_f1(&self) -> Option<BestF1> {
        let mut best: Option<BestF1> = None;
        for Point { threshold, confusion } in &self.points {
            let f1 = confusion.f1()?;
            if best.is_none_or(|best| f1 > best.f1) {
                best = Some(BestF1 { f1, threshold: f64::from(*threshold) });
            }
        }
        best
    }

    /// Returns the highest recall of all thresholds that flag at most this share of the negatives.
    ///
    /// 0 if even the highest score as threshold flags more; no interpolation between thresholds, as
    /// when choosing from `sklearn.metrics.roc_curve(drop_intermediate=False)`. `None` unless both
    /// kinds of text are present.
    pub(super) fn recall_at(&self, false_positive_rate: f64) -> Option<f64> {
        let mut recall = self.none_flagged.recall()?;
        self.none_flagged.false_positive_rate()?;
        for Point { confusion, .. } in &self.points {
            if confusion.false_positive_rate()? > false_positive_rate {
                break;
            }
            recall = confusion.recall()?;
        }
        Some(recall)
    }
}

/// The counts when every score at or above this threshold is flagged.
#[derive(Debug, Clone, Copy)]
struct Point {
    threshold: f32,
    confusion: ConfusionCounts,
}
