//! A verdict in the output format of the command line.

use serde::Serialize;

use crate::engine::ScoredInput;
use crate::json::OrderedMap;
use crate::policy::Action;
use crate::policy::Threshold;
use crate::score::CategoryVerdict;
use crate::score::ClauseScore;
use crate::score::Rules;

/// The verdict on one text, with the fields of `/v1/score`.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) flagged: bool,
    pub(super) action: Action,
    pub(super) categories: OrderedMap<CategoryReport>,
    pub(super) n_tokens: usize,
    pub(super) n_windows: usize,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) normalised: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) context_turns_used: Option<usize>,
}

/// The verdict on one text in one category.
#[derive(Debug, Serialize)]
pub(super) struct CategoryReport {
    pub(super) score: f32,
    pub(super) threshold: Threshold,
    pub(super) violated: bool,
    /// Present if clauses were requested and the category is violated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) clauses: Option<OrderedMap<ClauseReport>>,
}

/// The score of a clause.
#[derive(Debug, Serialize)]
pub(super) struct ClauseReport {
    pub(super) score: f32,
}

impl Report {
    /// Judges a scored input; includes clause scores if `clauses` is true.
    pub(super) fn new(scored: &ScoredInput, rules: &Rules, clauses: bool) -> Self {
        let verdict = rules.judge(&scored.scores.pooled);
        let category = |verdict: &CategoryVerdict| {
            let category = &rules.policy().categories[verdict.category];
            let judgement = verdict.judgement;
            let clause = |clause: &ClauseScore| {
                (clause.id(category).to_owned(), ClauseReport { score: clause.score })
            };
            let clauses = (clauses && judgement.violated)
                .then(|| verdict.clauses.iter().map(clause).collect());
            let report = CategoryReport {
                score: judgement.score,
                threshold: judgement.threshold,
                violated: judgement.violated,
                clauses,
            };
            (category.id.clone(), report)
        };
        Self {
            flagged: verdict.flagged,
            action: verdict.action,
            categories: verdict.categories.iter().map(category).collect(),
            n_tokens: scored.n_tokens,
            n_windows: scored.n_windows(),
            normalised: scored.normalised,
            context_turns_used: scored.context_turns,
        }
    }
}
