//! How good scores are, measured against labels: ranking, decisions and calibration.
//!
//! Pure. Everything is computed in `f64` and costs O(n log n) in the texts of a category. A figure
//! that its definition leaves open (a recall without positives) is `None`, never 0 or NaN.

mod calibration_error;
mod confusion;
mod curve;
mod macro_average;
mod outcome;
mod report;

use ndarray::ArrayView2;
use serde::Serialize;

use self::outcome::Outcome;

pub use self::macro_average::MacroAverage;
pub use self::macro_average::Mean;
pub use self::report::CategoryReport;
use crate::policy::Threshold;

/// Measures every category, their average, and the question whether any of them applies.
pub fn evaluate(labelled: &Labelled<'_>) -> Evaluation {
    let categories: Vec<_> = (0..labelled.thresholds.len())
        .map(|col| {
            let outcomes = labelled.category_outcomes(col);
            CategoryReport::of(&outcomes, Some(labelled.thresholds[col]))
        })
        .collect();
    Evaluation {
        macro_average: MacroAverage::over(&categories),
        any_category: CategoryReport::of(&labelled.any_category_outcomes(), None),
        categories,
    }
}

/// The measurements of a scorer on one set of labelled texts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// One report a category, in the order of the columns.
    pub categories: Vec<CategoryReport>,
    /// The means over the categories.
    pub macro_average: MacroAverage,
    /// The report on the question whether a text falls into any category at all.
    ///
    /// A text is positive if any of its labels is true, negative if all are false, and left out
    /// otherwise. Its score is the highest of its scores. It is flagged, which decides precision,
    /// recall and F1, if any score violates the threshold of its own category.
    pub any_category: CategoryReport,
}

/// Scores of texts beside what is known of them, and the thresholds in force.
///
/// The fields are private because their shapes agree, with at least one category.
#[derive(Debug, Clone, Copy)]
pub struct Labelled<'a> {
    scores: ArrayView2<'a, f32>,          // (text, category)
    labels: ArrayView2<'a, Option<bool>>, // (text, category)
    thresholds: &'a [Threshold],          // (category)
}

impl<'a> Labelled<'a> {
    /// Joins the three, or answers `None` if their shapes disagree or there is no category.
    ///
    /// `scores` and `labels` are (text, category), `thresholds` has one entry a category. A label of
    /// `None` is unknown and left out. Scores are finite and meant to lie in 0 to 1; of those outside
    /// only the calibration error takes notice, which counts them in its first or last bin.
    #[expect(clippy::needless_pass_by_value, reason = "a view is itself a reference")]
    pub fn new(
        scores: ArrayView2<'a, f32>,
        labels: ArrayView2<'a, Option<bool>>,
        thresholds: &'a [Threshold],
    ) -> Option<Self> {
        let agree = scores.dim() == labels.dim() && scores.ncols() == thresholds.len();
        if !agree || thresholds.is_empty() {
            return None;
        }
        Some(Self { scores, labels, thresholds })
    }

    fn category_outcomes(&self, col: usize) -> Vec<Outcome> {
        let threshold = self.thresholds[col];
        std::iter::zip(self.scores.column(col), self.labels.column(col))
            .filter_map(|(&score, &label)| {
                let flagged = threshold.is_violated_by(score);
                Some(Outcome { score, flagged, positive: label? })
            })
            .collect()
    }

    fn any_category_outcomes(&self) -> Vec<Outcome> {
        std::iter::zip(self.scores.rows(), self.labels.rows())
            .filter_map(|(scores, labels)| {
                let score = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let flagged = std::iter::zip(scores, self.thresholds)
                    .any(|(&score, threshold)| threshold.is_violated_by(score));
                Some(Outcome { score, flagged, positive: any_label(labels.iter().copied())? })
            })
            .collect()
    }
}

/// Tells whether any label is true, as far as the unknown ones allow an answer.
fn any_label(labels: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    let mut answer = Some(false);
    for label in labels {
        match label {
            Some(true) => return Some(true),
            Some(false) => {}
            None => answer = None,
        }
    }
    answer
}
