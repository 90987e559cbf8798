//! What becomes of a subject: its scores, those of its windows, and its report.

use std::ops::Range;

use ndarray::ArrayView2;
use ndarray::Axis;
use ndarray::s;

use crate::encode::Reading;
use crate::encode::Window;
use crate::engine::Spans;
use crate::error::Error;
use crate::error::Result;
use crate::model::Logits;
use crate::policy::Policy;
use crate::score::CategoryReport;
use crate::score::Report;
use crate::score::Scorer;
use crate::score::Scores;
use crate::score::Verdict;

/// The scores of one subject and what they cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// In the order of the policy's categories.
    pub scores: Scores,
    /// The same before calibration, as log-odds.
    pub log_odds: Vec<f64>,
    /// Tokens of the text, special tokens counted once.
    pub n_tokens: usize,
    /// Each window it was read in, of which the highest score of each category counts.
    pub windows: Vec<ScoredWindow>,
    /// Whether some of the windows are of the text without its disguise.
    pub normalised: bool,
    /// Turns read as context; `None` if the subject is no conversation.
    pub context_turns: Option<usize>,
}

/// The scores of one window.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredWindow {
    /// The bytes of the judged text that it covers.
    pub bytes: Range<usize>,
    /// In the order of the policy's categories.
    pub scores: Scores,
}

impl Scored {
    /// What a blank text scores, which the model is not asked about: 0 in every category.
    pub fn blank(policy: &Policy) -> Self {
        let n_categories = policy.categories.len();
        Self {
            scores: Scores(vec![0.0; n_categories]),
            log_odds: vec![f64::NEG_INFINITY; n_categories],
            n_tokens: 0,
            windows: Vec::new(),
            normalised: false,
            context_turns: None,
        }
    }

    /// Windows it was read in.
    pub fn n_windows(&self) -> usize {
        self.windows.len()
    }

    /// Writes out the verdict on it; `spans` if they were asked for.
    pub fn report(&self, verdict: &Verdict, policy: &Policy, spans: Option<&Spans>) -> Report {
        let mut categories = CategoryReport::all(verdict, policy);
        for (judgement, (_, report)) in verdict.categories.iter().zip(&mut categories.0) {
            report.log_odds = self.log_odds.get(judgement.category).copied().unwrap_or_default();
            report.spans = spans.and_then(|spans| spans.get(&judgement.category).cloned());
        }
        Report {
            flagged: verdict.flagged,
            action: verdict.action,
            categories,
            n_tokens: self.n_tokens,
            n_windows: self.n_windows(),
            normalised: self.normalised,
            context_turns_used: self.context_turns,
        }
    }
}

/// Splits the rows of a request by subject.
pub(super) fn assemble(
    by: &Scorer,
    logits: &Logits,
    readings: Vec<Reading>,
) -> Result<Vec<Scored>> {
    let mut row = 0;
    let assemble = |(index, reading): (usize, Reading)| {
        let not_finite = || Error::NonFinite { index };
        let rows = logits.0.slice(s![row..row + reading.windows.len(), ..]);
        row += reading.windows.len();
        let scores = by.score(&rows).ok_or_else(not_finite)?;
        let log_odds = by.log_odds(&rows).ok_or_else(not_finite)?;
        let windows = std::iter::zip(reading.windows, rows.axis_chunks_iter(Axis(0), 1));
        let window = |(window, row): (Window, ArrayView2<'_, f32>)| {
            let scores = by.score(&row).ok_or_else(not_finite)?;
            Ok(ScoredWindow { bytes: window.bytes, scores })
        };
        Ok(Scored {
            scores,
            log_odds,
            n_tokens: reading.n_tokens,
            windows: windows.map(window).collect::<Result<_>>()?,
            normalised: reading.normalised,
            context_turns: reading.context_turns,
        })
    };
    readings.into_iter().enumerate().map(assemble).collect()
}
