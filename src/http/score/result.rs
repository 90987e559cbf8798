//! A verdict, as `/v1/score` answers it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::http::action::Action;
use crate::http::judged::Judged;
use crate::json::ById;
use crate::policy::Category;
use crate::policy::Threshold;
use crate::score::CategoryVerdict;
use crate::score::ClauseScore;
use crate::score::Span;

/// The verdict on one text, with what it cost.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ScoreResult {
    /// Whether any category is violated.
    flagged: bool,
    /// The most severe action of the violated categories, unless the request names one.
    action: Action,
    /// By category id, in the order of the policy.
    #[schema(value_type = std::collections::HashMap<String, CategoryResult>)]
    categories: ById<CategoryResult>,
    /// Tokens of the text and its context, special tokens counted once.
    n_tokens: usize,
    /// Overlapping windows it was read in; the highest score of each category counts.
    n_windows: usize,
    /// There and true if the text was disguised and has been read without its disguise too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    normalised: bool,
    /// Turns of a conversation that were read as context of the last: the nearest ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    context_turns_used: Option<usize>,
}

/// The verdict on one text in one category.
#[derive(Debug, Serialize, ToSchema)]
struct CategoryResult {
    /// From 0 to 1.
    score: f32,
    /// What it was held against.
    #[schema(value_type = f64)]
    threshold: Threshold,
    /// Whether it was reached.
    violated: bool,
    /// If they were asked for and the category is violated, the scores of those of its clauses that
    /// the model scores, by id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::HashMap<String, ClauseResult>>)]
    clauses: Option<ById<ClauseResult>>,
    /// If they were asked for, the parts of the text that carry the violation.
    #[serde(skip_serializing_if = "Option::is_none")]
    spans: Option<Vec<SpanResult>>,
}

/// How much a text is about one clause of a category.
#[derive(Debug, Serialize, ToSchema)]
struct ClauseResult {
    /// From 0 to 1.
    score: f32,
}

/// A part of a text that carries a violation.
#[derive(Debug, Serialize, ToSchema)]
struct SpanResult {
    /// From byte, to byte (exclusive) of the text in UTF-8.
    bytes: [usize; 2],
    /// The same in characters: Unicode scalar values.
    chars: [usize; 2],
    /// The score of the window that the part lies in, from 0 to 1.
    score: f32,
    /// If clauses were asked for, their scores for the same window, by id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::HashMap<String, ClauseResult>>)]
    clauses: Option<ById<ClauseResult>>,
}

/// What a request wants to see of a verdict.
#[derive(Debug, Clone, Copy)]
pub(super) struct Detail {
    /// So many categories only, from the highest score to the lowest.
    pub(super) top_k: Option<usize>,
    /// The scores of clauses too.
    pub(super) clauses: bool,
}

impl ScoreResult {
    pub(super) fn new(judged: &Judged, detail: Detail) -> Self {
        let mut verdicts: Vec<_> = judged.verdict.categories.iter().collect();
        if let Some(top_k) = detail.top_k {
            let score = |verdict: &CategoryVerdict| verdict.judgement.score;
            verdicts.sort_by(|one, other| score(other).total_cmp(&score(one)));
            verdicts.truncate(top_k);
        }
        let entry = |verdict: &CategoryVerdict| {
            let category = &judged.policy().categories[verdict.category];
            (category.id.clone(), CategoryResult::new(judged, verdict, category, detail))
        };
        Self {
            flagged: judged.verdict.flagged,
            action: judged.verdict.action.into(),
            categories: verdicts.into_iter().map(entry).collect(),
            n_tokens: judged.scored.n_tokens,
            n_windows: judged.scored.n_windows(),
            normalised: judged.scored.normalised,
            context_turns_used: judged.scored.context_turns,
        }
    }
}

impl CategoryResult {
    fn new(
        judged: &Judged,
        verdict: &CategoryVerdict,
        category: &Category,
        detail: Detail,
    ) -> Self {
        let judgement = verdict.judgement;
        let clauses = |scores: &[ClauseScore]| {
            (detail.clauses && judgement.violated).then(|| clauses(category, scores))
        };
        let span = |span: &Span| SpanResult {
            bytes: span.bytes,
            chars: span.chars,
            score: span.score,
            clauses: clauses(&span.clauses),
        };
        let spans = judged.spans.as_ref().and_then(|spans| spans.get(&verdict.category));
        Self {
            score: judgement.score,
            threshold: judgement.threshold,
            violated: judgement.violated,
            clauses: clauses(&verdict.clauses),
            spans: spans.map(|spans| spans.iter().map(span).collect()),
        }
    }
}

fn clauses(category: &Category, scores: &[ClauseScore]) -> ById<ClauseResult> {
    let clause = |clause: &ClauseScore| {
        (clause.id(category).to_owned(), ClauseResult { score: clause.score })
    };
    scores.iter().map(clause).collect()
}
