//! Unweighted means over categories.

use serde::Serialize;

use super::report::CategoryReport;

/// The mean of each figure over the categories where it is defined.
///
/// Thresholds are not averaged: their mean has no meaning.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MacroAverage {
    /// Mean of [`CategoryReport::average_precision`].
    pub average_precision: Mean,
    /// Mean of [`CategoryReport::roc_auc`].
    pub roc_auc: Mean,
    /// Mean of [`CategoryReport::precision`].
    pub precision: Mean,
    /// Mean of [`CategoryReport::recall`].
    pub recall: Mean,
    /// Mean of [`CategoryReport::f1`].
    pub f1: Mean,
    /// Mean of [`CategoryReport::best_f1`].
    pub best_f1: Mean,
    /// Mean of [`CategoryReport::recall_at_1pct_fpr`].
    pub recall_at_1pct_fpr: Mean,
    /// Mean of [`CategoryReport::expected_calibration_error`].
    pub expected_calibration_error: Mean,
}

/// A mean and the number of categories it is over.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Mean {
    /// The mean; `None` if no category defines the figure.
    pub value: Option<f64>,
    /// The number of categories where the figure is defined.
    pub n_categories: usize,
}

impl MacroAverage {
    /// Averages the reports of the categories.
    pub(super) fn over(categories: &[CategoryReport]) -> Self {
        let mean = |figure: fn(&CategoryReport) -> Option<f64>| {
            Mean::from_figures(&categories.iter().filter_map(figure).collect::<Vec<_>>())
        };
        Self {
            average_precision: mean(|category| category.average_precision),
            roc_auc: mean(|category| category.roc_auc),
            precision: mean(|category| category.precision),
            recall: mean(|category| category.recall),
            f1: mean(|category| category.f1),
            best_f1: mean(|category| category.best_f1),
            recall_at_1pct_fpr: mean(|category| category.recall_at_1pct_fpr),
            expected_calibration_error: mean(|category| category.expected_calibration_error),
        }
    }
}

impl Mean {
    fn from_figures(figures: &[f64]) -> Self {
        let n_categories = figures.len();
        let sum: f64 = figures.iter().sum();
        Self { value: (n_categories > 0).then(|| sum / n_categories as f64), n_categories }
    }
}
