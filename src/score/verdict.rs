//! Scores and thresholds to a verdict.

use crate::error::Error;
use crate::error::Result;
use crate::policy::Action;
use crate::policy::Policy;
use crate::policy::Threshold;
use crate::score::Scores;

/// What the policy says of one text.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Whether any category is violated.
    pub flagged: bool,
    /// The most severe action of the violated categories.
    pub action: Action,
    /// One for each category judged, in the order of the policy.
    pub categories: Vec<Judgement>,
}

/// What the policy says of one text in one category.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// The category's place in the policy.
    pub category: usize,
    /// From 0 to 1.
    pub score: f32,
    /// What it was held against.
    pub threshold: Threshold,
    /// Whether it was reached.
    pub violated: bool,
}

/// The categories that a request wants judged, each with its threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms(Vec<Term>); // in the order of the policy, each category once

#[derive(Debug, Clone, Copy, PartialEq)]
struct Term {
    category: usize,
    threshold: Threshold,
    action: Action,
}

impl Terms {
    /// All categories, as the policy has them.
    pub fn of(policy: &Policy) -> Self {
        let terms = policy.categories.iter().enumerate().map(|(category, entry)| Term {
            category,
            threshold: entry.threshold,
            action: entry.action,
        });
        Self(terms.collect())
    }

    /// Replaces some thresholds; those not named stay.
    pub fn with_thresholds(
        mut self,
        policy: &Policy,
        thresholds: &[(String, f64)],
    ) -> Result<Self> {
        check_known("thresholds", policy, thresholds.iter().map(|(id, _)| id))?;
        for (id, value) in thresholds {
            let threshold = Threshold::try_from(*value)
                .map_err(|_| Error::InvalidThreshold { category: id.clone(), value: *value })?;
            for term in &mut self.0 {
                if policy.categories[term.category].id == *id {
                    term.threshold = threshold;
                }
            }
        }
        Ok(self)
    }

    /// Keeps some categories only.
    pub fn only(mut self, policy: &Policy, ids: &[String]) -> Result<Self> {
        check_known("categories", policy, ids)?;
        self.0.retain(|term| ids.contains(&policy.categories[term.category].id));
        Ok(self)
    }

    /// Has every violation ask for the same.
    #[must_use]
    pub fn with_action(mut self, action: Action) -> Self {
        for term in &mut self.0 {
            term.action = action;
        }
        self
    }

    /// Judges the scores of one text, which are in the order of the policy.
    pub fn judge(&self, scores: &Scores) -> Verdict {
        let judgements = self.0.iter().map(|term| {
            let score = scores.0[term.category];
            let violated = term.threshold.is_violated_by(score);
            Judgement { category: term.category, score, threshold: term.threshold, violated }
        });
        let categories: Vec<_> = judgements.collect();
        let violated = self.0.iter().zip(&categories).filter(|(_, judgement)| judgement.violated);
        let action = violated.map(|(term, _)| term.action).max();
        Verdict { flagged: action.is_some(), action: action.unwrap_or(Action::Allow), categories }
    }
}

fn check_known<'a>(
    param: &'static str,
    policy: &Policy,
    ids: impl IntoIterator<Item = &'a String>,
) -> Result<()> {
    // An id may be anything, a whole text too; the first characters tell which it is.
    let unknown = ids.into_iter().filter(|id| policy.position(id).is_none());
    let unknown: Vec<String> = unknown.map(|id| id.chars().take(40).collect()).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Error::UnknownCategories { param, unknown, known: policy.ids() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        let labels = ["a", "b", "c"].map(str::to_owned);
        let mut policy = Policy::from_labels(&labels, Vec::new());
        policy.categories[1].action = Action::Report;
        policy.categories[2].action = Action::Support;
        policy
    }

    fn thresholds(pairs: &[(&str, f64)]) -> Vec<(String, f64)> {
        pairs.iter().map(|&(id, value)| (id.to_owned(), value)).collect()
    }

    #[test]
    fn the_most_severe_violated_category_decides() {
        let terms = Terms::of(&policy());
        for (scores, action) in [
            ([0.4, 0.49, 0.1], Action::Allow),
            ([0.5, 0.1, 0.1], Action::Flag), // reached is violated
            ([0.9, 0.1, 0.9], Action::Support),
            ([0.9, 0.5, 0.9], Action::Report),
        ] {
            let verdict = terms.judge(&Scores(scores.to_vec()));
            assert_eq!(verdict.action, action, "scores {scores:?}");
            assert_eq!(verdict.flagged, action != Action::Allow, "scores {scores:?}");
        }
    }

    #[test]
    fn thresholds_of_a_request_merge_with_the_defaults() {
        let policy = policy();
        let own = thresholds(&[("a", 0.9), ("b", 1.0)]);
        let terms = Terms::of(&policy).with_thresholds(&policy, &own).unwrap();
        let verdict = terms.judge(&Scores(vec![0.8, 1.0, 0.8]));
        let violated: Vec<_> = verdict.categories.iter().map(|entry| entry.violated).collect();
        assert_eq!(violated, [false, false, true]);
        assert_eq!(verdict.action, Action::Support);
    }

    #[test]
    fn only_the_categories_asked_for_are_judged() {
        let policy = policy();
        let terms = Terms::of(&policy).only(&policy, &["c".into(), "a".into()]).unwrap();
        let verdict = terms.judge(&Scores(vec![0.1, 0.9, 0.2]));
        assert!(!verdict.flagged);
        let places: Vec<_> = verdict.categories.iter().map(|entry| entry.category).collect();
        assert_eq!(places, [0, 2]);
    }

    #[test]
    fn unknown_ids_and_impossible_thresholds_are_refused() {
        let policy = policy();
        let error = Terms::of(&policy).only(&policy, &["x".into()]).unwrap_err();
        assert_eq!(error.to_string(), r#"unknown categories "x"; known are "a", "b", "c""#);
        for value in [-0.1, 1.1, f64::NAN] {
            let own = thresholds(&[("a", value)]);
            let error = Terms::of(&policy).with_thresholds(&policy, &own).unwrap_err();
            assert_eq!(error.code(), "invalid_threshold", "{value}");
        }
    }
}
