//! Scores per label of the model, for a window and for a text.

/// The scores of a text or of one of its windows, in the order of the head's labels.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelScores {
    /// The calibrated probabilities, from 0 to 1.
    pub probabilities: Vec<f32>,
    /// The log-odds before calibration, ln(p / (1 - p)); for a sigmoid head, the logits.
    pub log_odds: Vec<f64>,
}

/// The scores of a text and of each of its windows.
#[derive(Debug, Clone, PartialEq)]
pub struct TextScores {
    /// The maximum of each label over the windows.
    pub pooled: LabelScores,
    /// The scores of each window, in the order of the windows.
    pub windows: Vec<LabelScores>,
}

impl LabelScores {
    /// Returns the maximum of each label over one or more scores.
    pub(super) fn highest(of: &[Self], n_labels: usize) -> Self {
        let mut highest = Self {
            probabilities: vec![0.0; n_labels],
            log_odds: vec![f64::NEG_INFINITY; n_labels],
        };
        for scores in of {
            let probabilities = highest.probabilities.iter_mut().zip(&scores.probabilities);
            probabilities.for_each(|(highest, score)| *highest = highest.max(*score));
            let log_odds = highest.log_odds.iter_mut().zip(&scores.log_odds);
            log_odds.for_each(|(highest, log_odds)| *highest = highest.max(*log_odds));
        }
        highest
    }

    /// Returns the scores of a blank text, which is not passed to the model.
    pub fn blank(n_labels: usize) -> Self {
        Self { probabilities: vec![0.0; n_labels], log_odds: vec![BLANK_LOG_ODDS; n_labels] }
    }
}

/// A finite stand-in for ln(0), which JSON cannot represent: a probability of two in a billion.
const BLANK_LOG_ODDS: f64 = -20.0;
