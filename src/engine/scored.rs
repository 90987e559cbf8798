//! What becomes of a subject: the scores of its labels, and what they cost.

use std::ops::Range;

use ndarray::s;

use crate::encode::Reading;
use crate::error::Error;
use crate::error::Result;
use crate::model::Logits;
use crate::score::LabelScores;
use crate::score::Scorer;
use crate::score::TextScores;

/// The scores of one subject and what they cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// Per label of the model.
    pub scores: TextScores,
    /// Tokens of the text, special tokens counted once.
    pub n_tokens: usize,
    /// The bytes of the judged text that each window covers.
    pub window_bytes: Vec<Range<usize>>,
    /// Whether some of the windows are of the text without its disguise.
    pub normalised: bool,
    /// Turns read as context; `None` if the subject is no conversation.
    pub context_turns: Option<usize>,
}

impl Scored {
    /// What a blank text scores, which the model is not asked about: 0 for every label.
    pub fn blank(n_labels: usize) -> Self {
        Self {
            scores: TextScores { pooled: LabelScores::zero(n_labels), windows: Vec::new() },
            n_tokens: 0,
            window_bytes: Vec::new(),
            normalised: false,
            context_turns: None,
        }
    }

    /// Windows it was read in.
    pub fn n_windows(&self) -> usize {
        self.window_bytes.len()
    }
}

/// Splits the rows of a request by subject.
pub(super) fn assemble(
    scorer: &Scorer,
    logits: &Logits,
    readings: Vec<Reading>,
) -> Result<Vec<Scored>> {
    let mut row = 0;
    let assemble = |(index, reading): (usize, Reading)| {
        let rows = logits.0.slice(s![row..row + reading.windows.len(), ..]);
        row += reading.windows.len();
        Ok(Scored {
            scores: scorer.score(rows).ok_or(Error::NonFinite { index })?,
            n_tokens: reading.n_tokens,
            window_bytes: reading.windows.into_iter().map(|window| window.bytes).collect(),
            normalised: reading.normalised,
            context_turns: reading.context_turns,
        })
    };
    readings.into_iter().enumerate().map(assemble).collect()
}
