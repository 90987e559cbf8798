//! The verdict on one input in a response of `/v1/score`.

use serde::Serialize;
use utoipa::ToSchema;

use crate::http::request::action::Action;
use crate::http::request::judged::Judged;
use crate::json::OrderedMap;
use crate::policy::Category;
use crate::score::CategoryVerdict;
use crate::score::ClauseScore;
use crate::score::Span;

/// The verdict on one text or conversation, with its token and window counts.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ScoreResult {
    /// Whether any category is violated.
    flagged: bool,
    /// The most severe action of the violated categories, unless the request overrides it.
    action: Action,
    /// Results by category id, in the order of the policy, or by descending score with `top_k`.
    #[schema(value_type = std::collections::HashMap<String, CategoryResult>)]
    categories: OrderedMap<CategoryResult>,
    /// Tokens of the text and its context, special tokens counted once.
    n_tokens: usize,
    /// Number of overlapping windows that the text was read in; each category takes its highest
    /// score.
    n_windows: usize,
    /// Present and true if the text was obfuscated and its normalised form was scored too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    normalised: bool,
    /// Number of turns that were read as context of the last one, counted back from it;
    /// conversations only.
    #[serde(skip_serializing_if = "Option::is_none")]
    context_turns_used: Option<usize>,
}

/// The verdict on one text in one category.
#[derive(Debug, Serialize, ToSchema)]
struct CategoryResult {
    /// From 0 to 1.
    score: f32,
    /// The threshold that the score was compared with.
    threshold: f32,
    /// Whether the category is violated: the score reached a threshold below 1.
    violated: bool,
    /// Scores by id of the category's clauses that the model scores; present if requested and the
    /// category is violated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::HashMap<String, ClauseResult>>)]
    clauses: Option<OrderedMap<ClauseResult>>,
    /// The parts of the text that cause the violation, if requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    spans: Option<Vec<SpanResult>>,
}

/// The score of a text for one clause of a category.
#[derive(Debug, Serialize, ToSchema)]
struct ClauseResult {
    /// From 0 to 1.
    score: f32,
}

/// A part of a text that causes a violation.
#[derive(Debug, Serialize, ToSchema)]
struct SpanResult {
    /// Start and end (exclusive) in bytes of the text in UTF-8.
    bytes: [usize; 2],
    /// Start and end (exclusive) in characters (Unicode scalar values).
    chars: [usize; 2],
    /// The score of the window that the part lies in, from 0 to 1.
    score: f32,
    /// Clause scores by id for the same window, if requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::HashMap<String, ClauseResult>>)]
    clauses: Option<OrderedMap<ClauseResult>>,
}

/// The level of detail that a request asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Detail {
    /// Maximum number of categories to return, from the highest score to the lowest.
    pub(super) top_k: Option<usize>,
    /// Whether to include clause scores.
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
            threshold: judgement.threshold.value(),
            violated: judgement.violated,
            clauses: clauses(&verdict.clauses),
            spans: spans.map(|spans| spans.iter().map(span).collect()),
        }
    }
}

fn clauses(category: &Category, scores: &[ClauseScore]) -> OrderedMap<ClauseResult> {
    let clause = |clause: &ClauseScore| {
        (clause.id(category).to_owned(), ClauseResult { score: clause.score })
    };
    scores.iter().map(clause).collect()
}
