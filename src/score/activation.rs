//! Converts the logits of a head to log-odds per label.

use std::str::FromStr;

/// The activation that the model's head was trained with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Labels are independent: a text may have several.
    Sigmoid,
    /// Labels are mutually exclusive: a text has exactly one.
    Softmax,
}

impl Activation {
    /// Returns the name, as accepted by `--activation`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sigmoid => "sigmoid",
            Self::Softmax => "softmax",
        }
    }

    /// Returns the log-odds, ln(p / (1 - p)), of each label of a window; their sigmoid is the
    /// probability.
    ///
    /// For a sigmoid head, the log-odds are the logits themselves. For a softmax head, each is the
    /// logit minus the log-sum-exp of all others: p / (1 - p) = exp(z) / sum(exp(others)).
    pub(super) fn log_odds(self, logits: &[f64]) -> Vec<f64> {
        match self {
            Self::Sigmoid => logits.to_vec(),
            Self::Softmax => {
                let others = log_sum_exp_of_others(logits);
                std::iter::zip(logits, others).map(|(logit, others)| logit - others).collect()
            }
        }
    }
}

impl FromStr for Activation {
    type Err = String;

    /// Parses `sigmoid` or `softmax`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "sigmoid" => Ok(Self::Sigmoid),
            "softmax" => Ok(Self::Softmax),
            _ => Err(format!("expected sigmoid or softmax, found {text:?}")),
        }
    }
}

/// Returns, for each value, the log-sum-exp of all other values.
///
/// Sums prefixes and suffixes separately: subtracting a dominant value from the total would lose
/// the others to cancellation.
fn log_sum_exp_of_others(values: &[f64]) -> Vec<f64> {
    let mut behind: Vec<f64> =
        values.iter().copied().rev().scan(f64::NEG_INFINITY, fold_exclusive).collect();
    behind.reverse();
    let before = values.iter().copied().scan(f64::NEG_INFINITY, fold_exclusive);
    std::iter::zip(before, behind).map(|(before, behind)| log_add_exp(before, behind)).collect()
}

/// Adds `value` to `sum` in log space and returns the previous sum, for an exclusive scan.
#[expect(clippy::unnecessary_wraps, reason = "what Iterator::scan calls")]
fn fold_exclusive(sum: &mut f64, value: f64) -> Option<f64> {
    let next = log_add_exp(*sum, value);
    Some(std::mem::replace(sum, next))
}

/// Computes ln(exp(one) + exp(other)) without overflow.
fn log_add_exp(one: f64, other: f64) -> f64 {
    let (high, low) = (one.max(other), one.min(other));
    if high == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn probabilities(logits: &[f64]) -> Vec<f64> {
        let log_odds = Activation::Softmax.log_odds(logits);
        log_odds.into_iter().map(|log_odds| 1.0 / (1.0 + (-log_odds).exp())).collect()
    }

    #[test]
    fn a_sigmoid_head_gives_its_logits() {
        assert_eq!(Activation::Sigmoid.log_odds(&[1.5, -2.0]), [1.5, -2.0]);
    }

    #[test]
    fn the_only_label_of_a_softmax_head_is_certain() {
        assert_eq!(Activation::Softmax.log_odds(&[0.25]), [f64::INFINITY]);
    }

    #[test]
    fn a_label_that_dwarfs_the_others_hides_none_of_them() {
        let log_odds = Activation::Softmax.log_odds(&[1.0, 800.0, 2.0]);
        assert!((log_odds[0] - (1.0 - 800.0)).abs() < 1e-9, "{log_odds:?}");
        // The log-sum-exp of the others is ln(e + e^2).
        assert!((log_odds[1] - (800.0 - 2.313_261_687_518_223)).abs() < 1e-9, "{log_odds:?}");
    }

    proptest! {
        #[test]
        fn a_softmax_head_gives_the_softmax(logits in prop::collection::vec(-20.0_f64..20.0, 1..9)) {
            let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
            for (found, logit) in probabilities(&logits).into_iter().zip(&logits) {
                prop_assert!((found - logit.exp() / sum).abs() < 1e-12);
            }
        }
    }
}
