//! A scored and judged input, from which every contract builds its response.

use std::sync::Arc;

use crate::engine::ScoredInput;
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
pub(in crate::http) struct Judged {
    pub(in crate::http) rules: Arc<Rules>,
    pub(in crate::http) scored: ScoredInput,
    pub(in crate::http) verdict: Verdict,
    pub(in crate::http) spans: Option<Spans>, // if requested
}

/// The judgement on one category, or on a category name of another service.
#[derive(Debug)]
pub(in crate::http) struct NamedJudgement<'a> {
    pub(in crate::http) id: &'a str,
    pub(in crate::http) judgement: Judgement,
    /// The parts of the text that cause the violation, if requested.
    pub(in crate::http) spans: Option<Vec<&'a Span>>,
}

impl Judged {
    /// Returns the policy that the input is judged by.
    pub(in crate::http) fn policy(&self) -> &Policy {
        self.rules.policy()
    }

    /// Returns the id of a judged category.
    pub(in crate::http) fn id(&self, category: &CategoryVerdict) -> &str {
        &self.policy().categories[category.category].id
    }

    /// Returns the judgement on each category, in the order of the policy.
    pub(in crate::http) fn entries(&self) -> impl Iterator<Item = NamedJudgement<'_>> {
        self.verdict.categories.iter().map(|category| NamedJudgement {
            id: self.id(category),
            judgement: category.judgement,
            spans: self.spans_of(&[category.category]),
        })
    }

    /// Returns the judgements under the names of another service, or under the policy's own ids
    /// without a namespace.
    pub(in crate::http) fn entries_under<'a>(
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

    /// Returns whether the verdict is to block or report the input.
    pub(in crate::http) fn is_blocked(&self) -> bool {
        self.verdict.action >= Action::Block
    }

    fn spans_of(&self, categories: &[usize]) -> Option<Vec<&Span>> {
        let spans = self.spans.as_ref()?;
        Some(categories.iter().filter_map(|category| spans.get(category)).flatten().collect())
    }
}

/// Returns a sentence that names the categories violated by any of the inputs, or `None` if there
/// are none.
pub(in crate::http) fn reason<'a>(judged: impl IntoIterator<Item = &'a Judged>) -> Option<String> {
    let mut violated = Vec::new();
    for entry in judged.into_iter().flat_map(Judged::entries) {
        if entry.judgement.violated && !violated.contains(&entry.id) {
            violated.push(entry.id);
        }
    }
    if violated.is_empty() {
        return None;
    }
    Some(format!("violates the usage policy: {}", violated.join(", ")))
}
