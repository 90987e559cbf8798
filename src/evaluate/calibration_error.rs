//! How far scores are from being probabilities.

use super::outcome::Outcome;

/// Expected calibration error: |mean score − share of positives| over bins, weighted by their texts.
///
/// Equation 3 of Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks (ICML 2017,
/// arXiv:1706.04599), with the score of a category in place of the confidence in the top class.
/// `None` without texts.
pub(super) fn expected_calibration_error(outcomes: &[Outcome]) -> Option<f64> {
    // The weight of a bin cancels the count in its means: |Σ score − Σ positive| is left.
    let mut gaps = [0.0; N_BINS];
    for outcome in outcomes {
        let score = f64::from(outcome.score);
        gaps[bin(score)] += score - f64::from(u8::from(outcome.positive));
    }
    let gap: f64 = gaps.iter().map(|gap| gap.abs()).sum();
    (!outcomes.is_empty()).then(|| gap / outcomes.len() as f64)
}

/// The bin (n / 15, (n + 1) / 15] of a score; 0 and less go to the first, above 1 to the last.
///
/// Counts the inner edges below it. Fifteen times an `f32` is exact in `f64`, so no score strays
/// over an edge by rounding.
fn bin(score: f64) -> usize {
    let scaled = score * N_BINS as f64;
    (1..N_BINS).take_while(|&edge| scaled > edge as f64).count()
}

/// Bins of equal width between 0 and 1, as many as in the experiments of Guo et al.
const N_BINS: usize = 15;
