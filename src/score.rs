//! Logits to scores: activation, pooling of windows, calibration.

mod calibration;
mod report;
mod span;
mod verdict;

use std::str::FromStr;

use ndarray::ArrayView2;

pub use self::calibration::Calibration;
pub use self::calibration::Platt;
pub use self::report::ById;
pub use self::report::CategoryReport;
pub use self::report::Report;
pub use self::span::Span;
pub use self::span::carriers;
pub use self::span::sentences;
pub use self::verdict::Judgement;
pub use self::verdict::Terms;
pub use self::verdict::Verdict;
use crate::policy::Policy;

/// How the model's head was trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Every label for itself: a text may have several.
    Sigmoid,
    /// Labels exclude each other: a text has one.
    Softmax,
}

/// What turns the logits of one text into its scores.
#[derive(Debug, Clone)]
pub struct Scorer {
    /// How the head was trained.
    pub activation: Activation,
    /// For each category the column of its label.
    pub columns: Vec<usize>,
    /// How raw scores become probabilities.
    pub calibration: Calibration,
}

/// A policy, and what gives its scores from the logits of the model that serves.
#[derive(Debug, Clone)]
pub struct Ruleset {
    /// What texts are judged by.
    pub policy: Policy,
    /// Logits to the scores of its categories.
    pub scorer: Scorer,
}

/// The scores of one text, from 0 to 1, in the order of the policy's categories.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores(pub Vec<f32>);

impl Scorer {
    /// Scores one text from the logits of its windows, (window, label).
    ///
    /// A category's score is that of the window where it is highest. `None` if any logit is not
    /// finite: such a text has no score, and above all no low one.
    pub fn score(&self, logits: &ArrayView2<'_, f32>) -> Option<Scores> {
        let log_odds = self.log_odds(logits)?;
        let scores = std::iter::zip(log_odds, &self.calibration.categories);
        Some(Scores(scores.map(|(log_odds, platt)| platt.probability(log_odds)).collect()))
    }

    /// The same before calibration: the logarithm of p / (1 - p), for a sigmoid head the logit.
    pub fn log_odds(&self, logits: &ArrayView2<'_, f32>) -> Option<Vec<f64>> {
        if logits.nrows() == 0 || logits.iter().any(|logit| !logit.is_finite()) {
            return None;
        }
        let highest = |&column: &usize| {
            let rows = logits.rows().into_iter();
            rows.map(|row| self.activation.log_odds(row.iter().copied(), column))
                .fold(f64::NEG_INFINITY, f64::max)
        };
        Some(self.columns.iter().map(highest).collect())
    }
}

impl Activation {
    /// Its name, as `--activation` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sigmoid => "sigmoid",
            Self::Softmax => "softmax",
        }
    }

    /// The logarithm of p / (1 - p) for the label in `column`; its sigmoid is the probability.
    ///
    /// For a sigmoid head that is the logit itself. For a softmax head it is the logit less the
    /// log-sum-exp of the others, since p / (1 - p) = exp(z) / sum(exp(others)).
    fn log_odds(self, row: impl Iterator<Item = f32> + Clone, column: usize) -> f64 {
        let logit = row.clone().nth(column).map_or(f64::NAN, f64::from);
        match self {
            Self::Sigmoid => logit,
            Self::Softmax => {
                let others = row.enumerate().filter(|(label, _)| *label != column);
                logit - log_sum_exp(others.map(|(_, other)| f64::from(other)))
            }
        }
    }
}

impl FromStr for Activation {
    type Err = String;

    /// `sigmoid` or `softmax`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "sigmoid" => Ok(Self::Sigmoid),
            "softmax" => Ok(Self::Softmax),
            _ => Err(format!("expected sigmoid or softmax, found {text:?}")),
        }
    }
}

fn log_sum_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let max = values.clone().fold(f64::NEG_INFINITY, f64::max);
    if max == f64::NEG_INFINITY {
        return max;
    }
    max + values.map(|value| (value - max).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use ndarray::arr2;
    use proptest::prelude::*;

    use super::*;

    fn scorer(activation: Activation, columns: Vec<usize>) -> Scorer {
        let calibration = Calibration::identity(columns.len());
        Scorer { activation, columns, calibration }
    }

    fn softmax(row: &[f32], column: usize) -> f64 {
        let sum: f64 = row.iter().map(|&logit| f64::from(logit).exp()).sum();
        f64::from(row[column]).exp() / sum
    }

    #[test]
    fn a_text_scores_as_its_worst_window() {
        let logits = arr2(&[[-1.0, 2.0], [3.0, -4.0]]);
        let Scores(scores) = scorer(Activation::Sigmoid, vec![1, 0]).score(&logits.view()).unwrap();
        assert!((scores[0] - 0.880_797).abs() < 1e-6, "sigmoid(2), got {}", scores[0]);
        assert!((scores[1] - 0.952_574).abs() < 1e-6, "sigmoid(3), got {}", scores[1]);
    }

    #[test]
    fn a_logit_that_is_not_finite_has_no_score() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let logits = arr2(&[[0.0, 1.0], [bad, 0.0]]);
            // Column 1 alone is scored; the fault in column 0 still counts.
            assert!(scorer(Activation::Sigmoid, vec![1]).score(&logits.view()).is_none(), "{bad}");
        }
    }

    #[test]
    fn extreme_logits_of_a_softmax_head_stay_finite() {
        let logits = arr2(&[[-3.0e38, 3.0e38]]);
        let Scores(scores) = scorer(Activation::Softmax, vec![0, 1]).score(&logits.view()).unwrap();
        assert_eq!(scores, [0.0, 1.0]);
    }

    proptest! {
        #[test]
        fn a_softmax_head_gives_the_softmax(row in prop::collection::vec(-20.0_f32..20.0, 2..6)) {
            let columns: Vec<usize> = (0..row.len()).collect();
            let logits = Array2::from_shape_vec((1, row.len()), row.clone()).unwrap();
            let Scores(scores) = scorer(Activation::Softmax, columns).score(&logits.view()).unwrap();
            for (column, &score) in scores.iter().enumerate() {
                prop_assert!((f64::from(score) - softmax(&row, column)).abs() < 1e-6);
            }
        }

        #[test]
        fn labels_of_a_sigmoid_head_do_not_know_each_other(
            row in prop::collection::vec(-20.0_f32..20.0, 2..6), other in -20.0_f32..20.0,
        ) {
            let score = |row: &[f32]| {
                let logits = Array2::from_shape_vec((1, row.len()), row.to_vec()).unwrap();
                scorer(Activation::Sigmoid, vec![0]).score(&logits.view()).unwrap()
            };
            let mut changed = row.clone();
            changed[1] = other;
            prop_assert_eq!(score(&row), score(&changed));
        }
    }
}
