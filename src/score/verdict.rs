//! The verdict of a policy on one text.

use crate::policy::Action;
use crate::policy::Category;
use crate::policy::Threshold;

/// The verdict of a policy on one text.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Whether any category is violated.
    pub flagged: bool,
    /// The most severe action of the violated categories.
    pub action: Action,
    /// One verdict per judged category, in the order of the policy.
    pub categories: Vec<CategoryVerdict>,
}

/// The verdict of a policy on one text in one category.
#[derive(Debug, Clone, PartialEq)]
pub struct CategoryVerdict {
    /// The index of the category in the policy.
    pub category: usize,
    /// The score, and whether it is a violation.
    pub judgement: Judgement,
    /// The scores of the clauses that have a label; empty unless the category is violated.
    pub clauses: Vec<ClauseScore>,
}

/// The result of comparing a score with a threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// From 0 to 1.
    pub score: f32,
    /// The uncalibrated log-odds of the label with this score.
    pub log_odds: f64,
    /// The threshold that the score was compared with.
    pub threshold: Threshold,
    /// Whether this is a violation.
    pub violated: bool,
}

/// The score of a clause.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClauseScore {
    /// The index of the clause in its category.
    pub clause: usize,
    /// From 0 to 1.
    pub score: f32,
}

/// The verdict of a policy on one text, under a category name of another service.
#[derive(Debug, Clone, PartialEq)]
pub struct NameVerdict<'a> {
    /// The name that the other service uses.
    pub name: &'a str,
    /// The score, and whether it is a violation.
    pub judgement: Judgement,
    /// The indices of the categories that the name maps to, directly or through one of their
    /// labels.
    pub categories: Vec<usize>,
}

impl ClauseScore {
    /// Returns the id of the clause, which must belong to `category`.
    pub fn id<'a>(&self, category: &'a Category) -> &'a str {
        &category.clauses[self.clause].id
    }
}

impl Judgement {
    /// The judgement of a name without a source: a score of 0 and no violation.
    pub(super) const UNCOVERED: Self = Self {
        score: 0.0,
        log_odds: f64::NEG_INFINITY,
        threshold: Threshold::OFF,
        violated: false,
    };

    /// Combines judgements of which any may be violated: returns the one with the highest score,
    /// violated if any of them is.
    pub(super) fn any_of(judgements: impl IntoIterator<Item = Self>) -> Self {
        let higher = |one: Self, other: Self| Self {
            violated: one.violated || other.violated,
            ..if one.compare(&other).is_gt() { one } else { other }
        };
        judgements.into_iter().reduce(higher).unwrap_or(Self::UNCOVERED)
    }

    /// Combines judgements of which all must be violated: returns the one with the lowest score,
    /// violated if all of them are.
    pub(super) fn all_of(judgements: impl IntoIterator<Item = Self>) -> Self {
        let lower = |one: Self, other: Self| Self {
            violated: one.violated && other.violated,
            ..if one.compare(&other).is_gt() { other } else { one }
        };
        judgements.into_iter().reduce(lower).unwrap_or(Self::UNCOVERED)
    }

    /// Compares by score, then by log-odds where scores round to the same value.
    fn compare(&self, other: &Self) -> std::cmp::Ordering {
        let by_score = self.score.total_cmp(&other.score);
        by_score.then(self.log_odds.total_cmp(&other.log_odds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_no_judgements_nothing_is_violated() {
        assert_eq!(Judgement::any_of([]), Judgement::UNCOVERED);
        assert_eq!(Judgement::all_of([]), Judgement::UNCOVERED);
    }
}
