//! Measures scores against labels: ranking, decisions and calibration.
//!
//! Pure. Everything is computed in `f64` and costs O(n log n) for n texts of a category. An
//! undefined figure (such as recall without positives) is `None`, never 0 or NaN.

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

/// Evaluates every category, their macro average, and whether any category applies.
pub fn evaluate(labelled: &Labelled<'_>) -> Evaluation {
    let categories: Vec<_> = (0..labelled.thresholds.len())
        .map(|col| {
            let outcomes = labelled.category_outcomes(col);
            CategoryReport::from_outcomes(&outcomes, Some(labelled.thresholds[col]))
        })
        .collect();
    Evaluation {
        macro_average: MacroAverage::over(&categories),
        any_category: CategoryReport::from_outcomes(&labelled.any_category_outcomes(), None),
        categories,
    }
}

/// The measurements of a scorer on one set of labelled texts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// One report per category, in the order of the columns.
    pub categories: Vec<CategoryReport>,
    /// The means over the categories.
    pub macro_average: MacroAverage,
    /// The report on whether a text belongs to any category at all.
    ///
    /// A text is positive if any of its labels is true, negative if all are false, and left out
    /// otherwise. Its score is its highest over the categories. It counts as flagged, for
    /// precision, recall and F1, if any score violates the threshold of its own category.
    pub any_category: CategoryReport,
}

/// Scores of texts with their known labels, and the thresholds in force.
///
/// The fields are private because their shapes must agree, with at least one category.
#[derive(Debug, Clone, Copy)]
pub struct Labelled<'a> {
    scores: ArrayView2<'a, f32>,          // (text, category)
    labels: ArrayView2<'a, Option<bool>>, // (text, category)
    thresholds: &'a [Threshold],          // (category)
}

impl<'a> Labelled<'a> {
    /// Creates the labelled scores, or returns `None` if the shapes disagree or there is no
    /// category.
    ///
    /// `scores` and `labels` are `(text, category)`, `thresholds` is `(category)`. A label of
    /// `None` is unknown and left out. Scores must be finite and should lie in 0 to 1; others
    /// affect only the calibration error, which counts them in its first or last bin.
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

/// Returns whether any label is true, or `None` if that depends on unknown labels.
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
