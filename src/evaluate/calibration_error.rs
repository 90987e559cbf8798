//! How far scores are from probabilities.

use super::outcome::Outcome;

/// Computes the expected calibration error: |mean score − share of positives| over bins, weighted
/// by their numbers of texts.
///
/// Equation 3 of Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks (ICML 2017,
/// arXiv:1706.04599), with the score of a category in place of the confidence in the top class.
/// Returns `None` without texts.
pub(super) fn expected_calibration_error(outcomes: &[Outcome]) -> Option<f64> {
    // The weight of a bin cancels the count in its means, which leaves |Σ score − Σ positive|.
    let mut gaps = [0.0; N_BINS];
    for outcome in outcomes {
        let score = f64::from(outcome.score);
        gaps[bin(score)] += score - f64::from(u8::from(outcome.positive));
    }
    let gap: f64 = gaps.iter().map(|gap| gap.abs()).sum();
    (!outcomes.is_empty()).then(|| gap / outcomes.len() as f64)
}

/// Returns the index n of the bin (n / 15, (n + 1) / 15] of a score; 0 and below fall into the
/// first bin, above 1 into the last.
///
/// Counts the inner edges below the score. Fifteen times an `f32` is exact in `f64`, so rounding
/// moves no score across an edge.
fn bin(score: f64) -> usize {
    let scaled = score * N_BINS as f64;
    (1..N_BINS).take_while(|&edge| scaled > edge as f64).count()
}

/// The number of equal-width bins between 0 and 1, as in the experiments of Guo et al.
const N_BINS: usize = 15;
