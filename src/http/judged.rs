//! A text or a conversation, scored and judged: what every contract writes its answer from.

use std::sync::Arc;

use crate::engine::Scored;
use crate::engine::Spans;
use crate::policy::Action;
use crate::policy::Namespace;
use crate::policy::Policy;
use crate::score::CategoryVerdict;
use crate::score::Judgement;
use crate::score::NameVerdict;
use crate::score::Rules;
use crate::score::Span;
use crate::score::Verdict;

/// One input with its scores and the verdict on it.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) rules: Arc<Rules>,
    pub(super) scored: Scored,
    pub(super) verdict: Verdict,
    pub(super) spans: Option<Spans>, // if they were asked for
}

/// What is said of one category, or of what another service calls by that name.
#[derive(Debug)]
pub(super) struct NamedJudgement<'a> {
    pub(super) id: &'a str,
    pub(super) judgement: Judgement,
    /// If they were asked for, the parts of the text that carry the violation.
    pub(super) spans: Option<Vec<&'a Span>>,
}

impl Judged {
    /// By whose categories it is judged.
    pub(super) fn policy(&self) -> &Policy {
        self.rules.policy()
    }

    /// The id of a judged category.
    pub(super) fn id(&self, category: &CategoryVerdict) -> &str {
        &self.policy().categories[category.category].id
    }

    /// What is said of each category, in the order of the policy.
    pub(super) fn entries(&self) -> impl Iterator<Item = NamedJudgement<'_>> {
        self.verdict.categories.iter().map(|category| NamedJudgement {
            id: self.id(category),
            judgement: category.judgement,
            spans: self.spans_of(&[category.category]),
        })
    }

    /// The same under the names of another service; under our own if there is none.
    pub(super) fn entries_under<'a>(
        &'a self,
        namespace: Option<&'a Namespace>,
    ) -> Vec<NamedJudgement<'a>> {
        let Some(namespace) = namespace else { return self.entries().collect() };
        let scores = &self.scored.scores.pooled;
        let names = self.rules.judge_names(namespace, &self.verdict, scores).into_iter();
        let entry = |name: NameVerdict<'a>| NamedJudgement {
            id: name.name,
            judgement: name.judgement,
            spans: self.spans_of(&name.categories),
        };
        names.map(entry).collect()
    }

    /// Whether the policy has it withheld.
    pub(super) fn is_blocked(&self) -> bool {
        self.verdict.action >= Action::Block
    }

    fn spans_of(&self, categories: &[usize]) -> Option<Vec<&Span>> {
        let spans = self.spans.as_ref()?;
        Some(categories.iter().filter_map(|category| spans.get(category)).flatten().collect())
    }
}
