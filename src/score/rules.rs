//! A policy with a request's overrides; turns label scores into a verdict.

use std::sync::Arc;

use crate::error::Error;
use crate::error::Result;
use crate::error::shorten;
use crate::policy::Action;
use crate::policy::Name;
use crate::policy::Namespace;
use crate::policy::Policy;
use crate::policy::Threshold;
use crate::score::CategoryVerdict;
use crate::score::ClauseScore;
use crate::score::Judgement;
use crate::score::LabelScores;
use crate::score::Mapping;
use crate::score::NameVerdict;
use crate::score::Verdict;
use crate::score::mapping::Combination;
use crate::score::mapping::NameSources;
use crate::score::mapping::Source;

/// The categories to judge for a request, each with its threshold and action; by default all
/// categories of the policy with its own settings.
#[derive(Debug, Clone)]
pub struct Rules {
    mapping: Arc<Mapping>,
    categories: Vec<CategoryRule>, // in the order of the policy, each category once
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct CategoryRule {
    category: usize,
    threshold: Threshold,
    action: Action,
}

impl Rules {
    /// Creates the rules for all categories, with the thresholds and actions of the policy.
    pub fn new(mapping: Arc<Mapping>) -> Self {
        let categories = mapping.policy.categories.iter().enumerate();
        let rules = categories.map(|(category, entry)| CategoryRule {
            category,
            threshold: entry.threshold,
            action: entry.action,
        });
        Self { categories: rules.collect(), mapping }
    }

    /// Returns the policy that these rules are based on.
    pub fn policy(&self) -> &Policy {
        &self.mapping.policy
    }

    /// Returns the policy resolved against the labels of the model.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Overrides the thresholds of some categories; all others keep theirs.
    pub fn with_thresholds(mut self, thresholds: &[(String, f64)]) -> Result<Self> {
        self.check_known("thresholds", thresholds.iter().map(|(id, _)| id))?;
        for (id, value) in thresholds {
            let threshold = Threshold::try_from(*value)
                .map_err(|_| Error::InvalidThreshold { category: id.clone(), value: *value })?;
            let category = self.policy().position(id);
            for rule in &mut self.categories {
                if Some(rule.category) == category {
                    rule.threshold = threshold;
                }
            }
        }
        Ok(self)
    }

    /// Sets the same threshold for all categories.
    pub fn with_threshold(self, threshold: f64) -> Result<Self> {
        let thresholds: Vec<_> =
            self.policy().ids().into_iter().map(|id| (id, threshold)).collect();
        self.with_thresholds(&thresholds)
    }

    /// Restricts the rules to the given categories.
    pub fn only(mut self, ids: &[String]) -> Result<Self> {
        self.check_known("categories", ids)?;
        let Self { mapping, categories } = &mut self;
        categories.retain(|rule| ids.contains(&mapping.policy.categories[rule.category].id));
        Ok(self)
    }

    /// Returns whether no category is judged.
    pub fn is_empty(&self) -> bool {
        self.categories.is_empty()
    }

    /// Sets the same action for all categories.
    #[must_use]
    pub fn with_action(mut self, action: Action) -> Self {
        for rule in &mut self.categories {
            rule.action = action;
        }
        self
    }

    /// Judges the scores of a text or of one of its windows.
    pub fn judge(&self, scores: &LabelScores) -> Verdict {
        let categories: Vec<_> =
            self.categories.iter().map(|rule| self.judge_category(rule, scores)).collect();
        let judged = std::iter::zip(&self.categories, &categories);
        let violated = judged.filter(|(_, verdict)| verdict.judgement.violated);
        let action = violated.map(|(rule, _)| rule.action).max();
        Verdict { flagged: action.is_some(), action: action.unwrap_or(Action::Allow), categories }
    }

    /// Judges the same scores under the names of one of the policy's namespaces.
    ///
    /// A name without a source scores 0 and is never violated.
    pub fn judge_names<'a>(
        &'a self,
        namespace: &'a Namespace,
        verdict: &Verdict,
        scores: &LabelScores,
    ) -> Vec<NameVerdict<'a>> {
        let index = self.policy().namespaces.iter().position(|other| other.id == namespace.id);
        let sources = index.map(|index| &self.mapping.namespaces[index]);
        let names = std::iter::zip(&namespace.names, sources.into_iter().flatten());
        names.map(|(name, sources)| self.judge_name(name, sources, verdict, scores)).collect()
    }

    fn judge_category(&self, rule: &CategoryRule, scores: &LabelScores) -> CategoryVerdict {
        let columns = &self.mapping.categories[rule.category];
        let labels = columns.labels.iter();
        let judgement =
            Judgement::any_of(labels.map(|&label| judge_label(scores, label, rule.threshold)));
        let mut clauses = Vec::new();
        if judgement.violated {
            clauses.extend(columns.clauses.iter().map(|columns| {
                let labels = columns.labels.iter().map(|&label| scores.probabilities[label]);
                ClauseScore { clause: columns.clause, score: labels.fold(0.0, f32::max) }
            }));
        }
        CategoryVerdict { category: rule.category, judgement, clauses }
    }

    fn judge_name<'a>(
        &self,
        name: &'a Name,
        sources: &NameSources,
        verdict: &Verdict,
        scores: &LabelScores,
    ) -> NameVerdict<'a> {
        let mut categories = Vec::new();
        let mut judgements = Vec::new();
        for &source in &sources.sources {
            match source {
                Source::Category(index) => {
                    let judged = verdict.categories.iter().find(|it| it.category == index);
                    judgements.push(judged.map_or(Judgement::UNCOVERED, |it| it.judgement));
                    categories.push(index);
                }
                Source::Label(label) => {
                    judgements.push(judge_label(scores, label, self.threshold_of_label(label)));
                    categories.extend(self.mapping.categories_with(label));
                }
                // With `all_of`, an unknown source lowers the score of the name to 0.
                Source::Unknown => judgements.push(Judgement::UNCOVERED),
            }
        }
        let mut judgement = match sources.combination {
            Combination::Highest => Judgement::any_of(judgements),
            Combination::Lowest => Judgement::all_of(judgements),
        };
        if let (Some(threshold), false) = (name.threshold, sources.is_empty()) {
            judgement.threshold = threshold;
            judgement.violated = threshold.is_violated_by(judgement.score);
        }
        categories.sort_unstable();
        categories.dedup();
        NameVerdict { name: &name.name, judgement, categories }
    }

    /// Returns the threshold of the first judged category with this label, or `Threshold::OFF` if
    /// there is none.
    fn threshold_of_label(&self, label: usize) -> Threshold {
        let has_label =
            |rule: &&CategoryRule| self.mapping.categories[rule.category].labels.contains(&label);
        self.categories.iter().find(has_label).map_or(Threshold::OFF, |rule| rule.threshold)
    }

    fn check_known<'a>(
        &self,
        param: &'static str,
        ids: impl IntoIterator<Item = &'a String>,
    ) -> Result<()> {
        let unknown = ids.into_iter().filter(|id| self.policy().position(id).is_none());
        let unknown: Vec<String> = unknown.map(|id| shorten(id)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        Err(Error::UnknownCategories { param, unknown, known: self.policy().ids() })
    }
}

/// Compares the score of one label with a threshold.
fn judge_label(scores: &LabelScores, label: usize, threshold: Threshold) -> Judgement {
    let (score, log_odds) = (scores.probabilities[label], scores.log_odds[label]);
    Judgement { score, log_odds, threshold, violated: threshold.is_violated_by(score) }
}

#[cfg(test)]
mod tests;
