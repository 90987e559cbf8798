//! A verdict as it is written: by the server, and by the command line.

use serde::Serialize;
use serde::Serializer;
use utoipa::ToSchema;

use crate::policy::Action;
use crate::policy::Policy;
use crate::policy::Threshold;
use crate::score::Verdict;

/// The verdict on one text, with what it cost.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Report {
    /// Whether any category is violated.
    pub flagged: bool,
    /// The most severe action of the violated categories.
    pub action: Action,
    /// By category id, in the order of the policy.
    #[schema(value_type = std::collections::HashMap<String, CategoryReport>)]
    pub categories: ById<CategoryReport>,
    /// Tokens of the text, special tokens counted once.
    pub n_tokens: usize,
    /// Overlapping windows it was read in; the highest score of each category counts.
    pub n_windows: usize,
}

/// The verdict on one text in one category.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct CategoryReport {
    /// From 0 to 1.
    pub score: f32,
    /// What it was held against.
    #[schema(value_type = f64)]
    pub threshold: Threshold,
    /// Whether it was reached.
    pub violated: bool,
}

/// A map in the order in which it was made.
#[derive(Debug, Clone, PartialEq)]
pub struct ById<T>(pub Vec<(String, T)>);

impl Report {
    /// Writes out a verdict.
    pub fn new(verdict: &Verdict, policy: &Policy, n_tokens: usize, n_windows: usize) -> Self {
        let categories = verdict.categories.iter().map(|judgement| {
            let report = CategoryReport {
                score: judgement.score,
                threshold: judgement.threshold,
                violated: judgement.violated,
            };
            (policy.categories[judgement.category].id.clone(), report)
        });
        Self {
            flagged: verdict.flagged,
            action: verdict.action,
            categories: ById(categories.collect()),
            n_tokens,
            n_windows,
        }
    }
}

impl<T> ById<T> {
    /// The same keys with other values.
    pub fn map<U>(&self, value: impl Fn(&T) -> U) -> ById<U> {
        ById(self.0.iter().map(|(id, entry)| (id.clone(), value(entry))).collect())
    }
}

impl<T: Serialize> Serialize for ById<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(id, value)| (id, value)))
    }
}
