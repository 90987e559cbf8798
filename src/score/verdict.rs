//! What a policy says of one text.

use crate::policy::Action;
use crate::policy::Category;
use crate::policy::Threshold;

/// What the policy says of one text.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Whether any category is violated.
    pub flagged: bool,
    /// The most severe action of the violated categories.
    pub action: Action,
    /// One for each category judged, in the order of the policy.
    pub categories: Vec<CategoryVerdict>,
}

/// What the policy says of one text in one category.
#[derive(Debug, Clone, PartialEq)]
pub struct CategoryVerdict {
    /// The category's place in the policy.
    pub category: usize,
    /// Its score, and whether that is a violation.
    pub judgement: Judgement,
    /// If the category is violated, the scores of those of its clauses that have a label.
    pub clauses: Vec<ClauseScore>,
}

/// A score held against a threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// From 0 to 1.
    pub score: f32,
    /// The log-odds, before calibration, of the label that has this score.
    pub log_odds: f64,
    /// What it was held against.
    pub threshold: Threshold,
    /// Whether it was reached.
    pub violated: bool,
}

/// The score of a clause.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClauseScore {
    /// The clause's place in its category.
    pub clause: usize,
    /// From 0 to 1.
    pub score: f32,
}

/// What the policy says of one text under a name of another service.
#[derive(Debug, Clone, PartialEq)]
pub struct NameVerdict<'a> {
    /// How the service calls it.
    pub name: &'a str,
    /// Its score, and whether that is a violation.
    pub judgement: Judgement,
    /// The places of the categories that stand for it, themselves or by one of their labels.
    pub categories: Vec<usize>,
}

impl ClauseScore {
    /// The id of the clause, which is one of this category.
    pub fn id<'a>(&self, category: &'a Category) -> &'a str {
        &category.clauses[self.clause].id
    }
}

impl Judgement {
    /// What nothing stands for: it scores 0 and is never violated.
    pub(super) const NOTHING: Self = Self {
        score: 0.0,
        log_odds: f64::NEG_INFINITY,
        threshold: Threshold::OFF,
        violated: false,
    };

    /// Of several the one that counts where any violation violates: that of the highest score.
    pub(super) fn any_of(judgements: &[Self]) -> Self {
        let highest = judgements.iter().max_by(|one, other| one.compare(other)).copied();
        let violated = judgements.iter().any(|judgement| judgement.violated);
        Self { violated, ..highest.unwrap_or(Self::NOTHING) }
    }

    /// Of several the one that counts where all must be violated: that of the lowest score.
    pub(super) fn all_of(judgements: &[Self]) -> Self {
        let lowest = judgements.iter().min_by(|one, other| one.compare(other)).copied();
        let violated =
            !judgements.is_empty() && judgements.iter().all(|judgement| judgement.violated);
        Self { violated, ..lowest.unwrap_or(Self::NOTHING) }
    }

    /// By score; where scores are rounded to the same, by log-odds.
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
        assert_eq!(Judgement::any_of(&[]), Judgement::NOTHING);
        assert_eq!(Judgement::all_of(&[]), Judgement::NOTHING);
    }
}
