//! Converts logits to scores per label (activation, calibration, pooling over windows) and judges
//! the scores by a policy.

mod activation;
mod calibration;
mod label_scores;
mod mapping;
mod rules;
mod span;
mod verdict;

use ndarray::ArrayView1;
use ndarray::ArrayView2;

pub use self::activation::Activation;
pub use self::calibration::Calibration;
pub use self::calibration::Platt;
pub use self::label_scores::LabelScores;
pub use self::label_scores::TextScores;
pub use self::mapping::Mapping;
pub use self::rules::Rules;
pub use self::span::Span;
pub use self::span::carriers;
pub use self::span::sentences;
pub use self::verdict::CategoryVerdict;
pub use self::verdict::ClauseScore;
pub use self::verdict::Judgement;
pub use self::verdict::NameVerdict;
pub use self::verdict::Verdict;

/// Converts the logits of a model into scores for its labels.
#[derive(Debug, Clone)]
pub struct Scorer {
    /// The activation that the head was trained with.
    pub activation: Activation,
    /// The calibration of each label, from log-odds to a probability.
    pub calibration: Calibration,
}

impl Scorer {
    /// Scores one text from the logits of its windows, of shape `(window, label)`.
    ///
    /// A label scores its maximum over the windows. Returns `None` if there is no window or if any
    /// logit is not finite: such a text has no score, and must not pass as one with low scores.
    pub fn score(&self, logits: ArrayView2<'_, f32>) -> Option<TextScores> {
        if logits.nrows() == 0 || logits.iter().any(|logit| !logit.is_finite()) {
            return None;
        }
        let windows: Vec<_> = logits.rows().into_iter().map(|row| self.score_window(row)).collect();
        Some(TextScores { pooled: LabelScores::highest(&windows, logits.ncols()), windows })
    }

    fn score_window(&self, logits: ArrayView1<'_, f32>) -> LabelScores {
        let logits: Vec<f64> = logits.iter().copied().map(f64::from).collect();
        let log_odds = self.activation.log_odds(&logits);
        let calibrated = std::iter::zip(&log_odds, &self.calibration.labels);
        let probabilities = calibrated.map(|(&log_odds, platt)| platt.probability(log_odds));
        LabelScores { probabilities: probabilities.collect(), log_odds }
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exact by construction")]
mod tests {
    use ndarray::arr2;
    use proptest::prelude::*;

    use super::*;

    fn scorer(activation: Activation, n_labels: usize) -> Scorer {
        Scorer { activation, calibration: Calibration::identity(n_labels) }
    }

    #[test]
    fn a_text_scores_as_its_highest_windows() {
        let logits = arr2(&[[-1.0, 2.0], [3.0, -4.0]]);
        let scores = scorer(Activation::Sigmoid, 2).score(logits.view()).unwrap();
        let [first, second] = scores.pooled.probabilities[..] else { panic!("two labels") };
        assert!((first - 0.952_574).abs() < 1e-6, "sigmoid(3), got {first}");
        assert!((second - 0.880_797).abs() < 1e-6, "sigmoid(2), got {second}");
        assert_eq!(scores.pooled.log_odds, [3.0, 2.0]);
        assert_eq!(scores.windows[0].log_odds, [-1.0, 2.0]);
        assert_eq!(scores.windows[1].probabilities[0].to_bits(), first.to_bits());
    }

    #[test]
    fn a_label_is_calibrated_by_itself() {
        let mut calibrated = scorer(Activation::Sigmoid, 2);
        calibrated.calibration.labels[1] = Platt { scale: 2.0, offset: -4.0 };
        let scores = calibrated.score(arr2(&[[2.0, 2.0]]).view()).unwrap();
        assert_eq!(scores.pooled.probabilities[1], 0.5);
        assert!(scores.pooled.probabilities[0] > 0.88);
        assert_eq!(scores.pooled.log_odds, [2.0, 2.0], "before calibration");
    }

    #[test]
    fn a_logit_that_is_not_finite_has_no_score() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let logits = arr2(&[[0.0, 1.0], [bad, 0.0]]);
            assert!(scorer(Activation::Sigmoid, 2).score(logits.view()).is_none(), "{bad}");
        }
        let none = ndarray::Array2::<f32>::zeros((0, 2));
        assert!(scorer(Activation::Sigmoid, 2).score(none.view()).is_none());
    }

    #[test]
    fn extreme_logits_of_a_softmax_head_stay_finite() {
        let logits = arr2(&[[-3.0e38, 3.0e38]]);
        let scores = scorer(Activation::Softmax, 2).score(logits.view()).unwrap();
        assert_eq!(scores.pooled.probabilities, [0.0, 1.0]);
    }

    proptest! {
        #[test]
        fn labels_of_a_sigmoid_head_do_not_know_each_other(
            row in prop::array::uniform3(-20.0_f32..20.0), other in -20.0_f32..20.0,
        ) {
            let score = |row: [f32; 3]| {
                let scores = scorer(Activation::Sigmoid, 3).score(arr2(&[row]).view()).unwrap();
                scores.pooled.probabilities[0]
            };
            prop_assert_eq!(score(row), score([row[0], other, row[2]]));
        }
    }
}
