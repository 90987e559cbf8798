//! A policy with a request's overrides; turns label scores into a verdict.

use std::sync::Arc;

use crate::error::Error;
use crate::error::Result;
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

/// The categories that a request wants judged, each with its threshold; to begin with, all of the
/// policy as the policy has them.
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
    /// All categories, as the policy has them.
    pub fn new(mapping: Arc<Mapping>) -> Self {
        let categories = mapping.policy.categories.iter().enumerate();
        let rules = categories.map(|(category, entry)| CategoryRule {
            category,
            threshold: entry.threshold,
            action: entry.action,
        });
        Self { categories: rules.collect(), mapping }
    }

    /// The policy that these rules come from.
    pub fn policy(&self) -> &Policy {
        &self.mapping.policy
    }

    /// The policy with the places of its labels.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Replaces some thresholds; those not named stay.
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

    /// Has all categories judged by the same threshold.
    pub fn with_threshold(self, threshold: f64) -> Result<Self> {
        let thresholds: Vec<_> =
            self.policy().ids().into_iter().map(|id| (id, threshold)).collect();
        self.with_thresholds(&thresholds)
    }

    /// Keeps some categories only.
    pub fn only(mut self, ids: &[String]) -> Result<Self> {
        self.check_known("categories", ids)?;
        let Self { mapping, categories } = &mut self;
        categories.retain(|rule| ids.contains(&mapping.policy.categories[rule.category].id));
        Ok(self)
    }

    /// Has every violation ask for the same.
    #[must_use]
    pub fn with_action(mut self, action: Action) -> Self {
        for rule in &mut self.categories {
            rule.action = action;
        }
        self
    }

    /// Judges a text, or a window of it.
    pub fn judge(&self, scores: &LabelScores) -> Verdict {
        let categories: Vec<_> =
            self.categories.iter().map(|rule| self.judge_category(rule, scores)).collect();
        let judged = std::iter::zip(&self.categories, &categories);
        let violated = judged.filter(|(_, verdict)| verdict.judgement.violated);
        let action = violated.map(|(rule, _)| rule.action).max();
        Verdict { flagged: action.is_some(), action: action.unwrap_or(Action::Allow), categories }
    }

    /// The same under the names of one of the policy's namespaces.
    ///
    /// A name that nothing stands for scores 0 and is never violated.
    pub fn judge_names<'a>(
        &'a self,
        namespace: &'a Namespace,
        verdict: &Verdict,
        scores: &LabelScores,
    ) -> Vec<NameVerdict<'a>> {
        let place = self.policy().namespaces.iter().position(|other| other.id == namespace.id);
        let sources = place.map(|place| &self.mapping.namespaces[place]);
        let names = std::iter::zip(&namespace.names, sources.into_iter().flatten());
        names.map(|(name, sources)| self.judge_name(name, sources, verdict, scores)).collect()
    }

    fn judge_category(&self, rule: &CategoryRule, scores: &LabelScores) -> CategoryVerdict {
        let columns = &self.mapping.categories[rule.category];
        let labels: Vec<_> = columns
            .labels
            .iter()
            .map(|&label| judge_label(scores, label, rule.threshold))
            .collect();
        let judgement = Judgement::any_of(&labels);
        let mut clauses = Vec::new();
        if judgement.violated {
            clauses.extend(columns.clauses.iter().map(|column| ClauseScore {
                clause: column.clause,
                score: scores.probabilities[column.label],
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
                Source::Category(place) => {
                    let judged = verdict.categories.iter().find(|it| it.category == place);
                    judgements.push(judged.map_or(Judgement::NOTHING, |it| it.judgement));
                    categories.push(place);
                }
                Source::Label(label) => {
                    judgements.push(judge_label(scores, label, self.threshold_of_label(label)));
                    categories.extend(self.mapping.categories_with(label));
                }
                // Of `all_of` it keeps the name from being violated.
                Source::Unknown => judgements.push(Judgement::NOTHING),
            }
        }
        let mut judgement = match sources.combination {
            Combination::Highest => Judgement::any_of(&judgements),
            Combination::Lowest => Judgement::all_of(&judgements),
        };
        if let (Some(threshold), false) = (name.threshold, sources.is_empty()) {
            judgement.threshold = threshold;
            judgement.violated = threshold.is_violated_by(judgement.score);
        }
        categories.sort_unstable();
        categories.dedup();
        NameVerdict { name: &name.name, judgement, categories }
    }

    /// That of the first category with this label; what no category forbids is no violation.
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
        // An id may be anything, a whole text too; the first characters tell which it is.
        let unknown = ids.into_iter().filter(|id| self.policy().position(id).is_none());
        let unknown: Vec<String> = unknown.map(|id| id.chars().take(40).collect()).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        Err(Error::UnknownCategories { param, unknown, known: self.policy().ids() })
    }
}

/// Holds the score of one label against a threshold.
fn judge_label(scores: &LabelScores, label: usize, threshold: Threshold) -> Judgement {
    let (score, log_odds) = (scores.probabilities[label], scores.log_odds[label]);
    Judgement { score, log_odds, threshold, violated: threshold.is_violated_by(score) }
}

#[cfg(test)]
mod tests;
