//! A verdict as it is written: by the server, and by the command line.

use serde::Serialize;
use serde::Serializer;
use utoipa::ToSchema;

use crate::policy::Action;
use crate::policy::Name;
use crate::policy::Namespace;
use crate::policy::Policy;
use crate::policy::Threshold;
use crate::score::Span;
use crate::score::Verdict;

/// The verdict on one text, with what it cost.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Report {
    /// Whether any category is violated.
    pub flagged: bool,
    /// The most severe action of the violated categories, unless the request names one.
    pub action: Action,
    /// By category id, in the order of the policy.
    #[schema(value_type = std::collections::HashMap<String, CategoryReport>)]
    pub categories: ById<CategoryReport>,
    /// Tokens of the text and its context, special tokens counted once.
    pub n_tokens: usize,
    /// Overlapping windows it was read in; the highest score of each category counts.
    pub n_windows: usize,
    /// There and true if the text was disguised and has been read without its disguise too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub normalised: bool,
    /// Turns of a conversation that were read as context of the last: the nearest ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_turns_used: Option<usize>,
}

/// The verdict on one text in one category.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CategoryReport {
    /// From 0 to 1.
    pub score: f32,
    /// What it was held against.
    #[schema(value_type = f64)]
    pub threshold: Threshold,
    /// Whether it was reached.
    pub violated: bool,
    /// If they were asked for, the parts of the text that carry the violation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spans: Option<Vec<Span>>,
    /// Before calibration, as log-odds.
    #[serde(skip)]
    pub log_odds: f64,
}

/// A map in the order in which it was made.
#[derive(Debug, Clone, PartialEq)]
pub struct ById<T>(pub Vec<(String, T)>);

impl CategoryReport {
    /// Writes out the categories of a verdict, without spans.
    pub fn all(verdict: &Verdict, policy: &Policy) -> ById<Self> {
        let categories = verdict.categories.iter().map(|judgement| {
            let report = Self {
                score: judgement.score,
                threshold: judgement.threshold,
                violated: judgement.violated,
                spans: None,
                log_odds: 0.0,
            };
            (policy.categories[judgement.category].id.clone(), report)
        });
        ById(categories.collect())
    }

    /// What stands for all of several categories: the highest score with its threshold.
    fn highest(reports: &[&Self]) -> Self {
        let highest = reports.iter().max_by(|one, other| one.score.total_cmp(&other.score));
        let spans = reports.iter().filter_map(|report| report.spans.clone()).flatten();
        Self {
            score: highest.map_or(0.0, |report| report.score),
            threshold: highest.map_or(Threshold::OFF, |report| report.threshold),
            violated: reports.iter().any(|report| report.violated),
            spans: reports.iter().any(|report| report.spans.is_some()).then(|| spans.collect()),
            log_odds: highest.map_or(f64::NEG_INFINITY, |report| report.log_odds),
        }
    }
}

impl Report {
    /// Keeps so many categories, from the highest score to the lowest.
    pub fn keep_top(&mut self, most: usize) {
        self.categories.0.sort_by(|(_, one), (_, other)| other.score.total_cmp(&one.score));
        self.categories.0.truncate(most);
    }
}

impl ById<CategoryReport> {
    /// The same under the names of another service; under our own if there is none.
    ///
    /// A name that nothing stands for scores 0 and is never violated.
    #[must_use]
    pub fn under(&self, namespace: Option<&Namespace>) -> Self {
        let Some(Namespace { names, .. }) = namespace else { return self.clone() };
        let report = |Name { name, from, .. }: &Name| {
            let stand_for = self.0.iter().filter(|(id, _)| from.contains(id));
            let reports: Vec<_> = stand_for.map(|(_, report)| report).collect();
            (name.clone(), CategoryReport::highest(&reports))
        };
        Self(names.iter().map(report).collect())
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
