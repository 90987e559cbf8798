//! Scores per label of the model: of a window, and of a text.

/// The scores of a text or of one of its windows, in the order of the labels of the head.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelScores {
    /// Calibrated, from 0 to 1.
    pub probabilities: Vec<f32>,
    /// Before calibration: the logarithm of p / (1 - p), for a sigmoid head the logit.
    pub log_odds: Vec<f64>,
}

/// The scores of a text, and of each window that it was read in.
#[derive(Debug, Clone, PartialEq)]
pub struct TextScores {
    /// Of each label the score of the window where it is highest.
    pub pooled: LabelScores,
    /// In the order of the windows.
    pub windows: Vec<LabelScores>,
}

impl LabelScores {
    /// Of each label the highest of several scores; 0 where there is none.
    pub(super) fn highest(of: &[Self], n_labels: usize) -> Self {
        let mut highest = Self::zero(n_labels);
        for scores in of {
            let probabilities = highest.probabilities.iter_mut().zip(&scores.probabilities);
            probabilities.for_each(|(highest, score)| *highest = highest.max(*score));
            let log_odds = highest.log_odds.iter_mut().zip(&scores.log_odds);
            log_odds.for_each(|(highest, log_odds)| *highest = highest.max(*log_odds));
        }
        highest
    }

    /// What a blank text scores, which the model is not asked about.
    pub fn zero(n_labels: usize) -> Self {
        Self { probabilities: vec![0.0; n_labels], log_odds: vec![f64::NEG_INFINITY; n_labels] }
    }
}
