//! The result of scoring an input: the scores of its labels, and their cost.

use std::ops::Range;

use ndarray::s;

use crate::error::Error;
use crate::error::Result;
use crate::model::Logits;
use crate::score::LabelScores;
use crate::score::Scorer;
use crate::score::TextScores;
use crate::tokenize::EncodedInput;

/// The scores of one input, and its tokens and windows.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredInput {
    /// The score of each label of the model.
    pub scores: TextScores,
    /// Number of tokens of the text, special tokens counted once.
    pub n_tokens: usize,
    /// The byte range of the judged text that each window covers.
    pub window_bytes: Vec<Range<usize>>,
    /// Whether some of the windows are of the normalised text, with its obfuscation removed.
    pub normalised: bool,
    /// Number of turns included as context; `None` if the input is not a conversation.
    pub context_turns: Option<usize>,
}

impl ScoredInput {
    /// Returns the result for a blank text, which is not sent to the model: 0 for every label.
    pub fn blank(n_labels: usize) -> Self {
        Self {
            scores: TextScores { pooled: LabelScores::blank(n_labels), windows: Vec::new() },
            n_tokens: 0,
            window_bytes: Vec::new(),
            normalised: false,
            context_turns: None,
        }
    }

    /// Returns the number of windows.
    pub fn n_windows(&self) -> usize {
        self.window_bytes.len()
    }
}

/// Splits the logits of a request, (window, label), by input and scores each. Fails with
/// [`Error::NonFinite`].
pub(super) fn assemble(
    scorer: &Scorer,
    logits: &Logits,
    encoded: Vec<EncodedInput>,
) -> Result<Vec<ScoredInput>> {
    let mut row = 0;
    let assemble = |(index, encoded_input): (usize, EncodedInput)| {
        let rows = logits.0.slice(s![row..row + encoded_input.windows.len(), ..]);
        row += encoded_input.windows.len();
        Ok(ScoredInput {
            scores: scorer.score(rows).ok_or(Error::NonFinite { index })?,
            n_tokens: encoded_input.n_tokens,
            window_bytes: encoded_input.windows.into_iter().map(|window| window.bytes).collect(),
            normalised: encoded_input.normalised,
            context_turns: encoded_input.context_turns,
        })
    };
    encoded.into_iter().enumerate().map(assemble).collect()
}
