//! The categories that a policy forbids, and their clauses.

use serde::Deserialize;
use serde::Serialize;

use crate::policy::Action;
use crate::policy::Threshold;

/// One kind of content that the policy forbids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "CategoryEntry", into = "CategoryEntry")]
pub struct Category {
    /// The identifier in the API.
    pub id: String,
    /// The labels of the model for this category: at least one, each once. The highest score
    /// counts.
    pub labels: Vec<String>,
    /// The display name.
    pub title: String,
    /// What the category covers, in a sentence.
    pub summary: String,
    /// The lowest score that violates the category.
    pub threshold: Threshold,
    /// The action on a violation.
    pub action: Action,
    /// The clauses of the policy in this category.
    pub clauses: Vec<Clause>,
}

/// One sentence of the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clause {
    /// Unique among the clauses of the category that have a label.
    pub id: String,
    /// The sentence.
    pub text: String,
    /// The label of the model that scores the clause; without one, the clause has no score of its
    /// own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

impl Category {
    /// Creates the category of a label for a model without a policy, flagged from 0.5 on.
    pub(super) fn from_label(label: &str) -> Self {
        Self {
            id: label.into(),
            labels: vec![label.into()],
            title: label.into(),
            summary: String::new(),
            threshold: Threshold::DEFAULT,
            action: Action::Flag,
            clauses: Vec::new(),
        }
    }
}

/// A category as written in the file, with either `label` or `labels`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CategoryEntry {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<String>>,
    title: String,
    summary: String,
    threshold: Threshold,
    action: Action,
    clauses: Vec<Clause>,
}

impl TryFrom<CategoryEntry> for Category {
    type Error = String;

    fn try_from(entry: CategoryEntry) -> Result<Self, String> {
        let fault =
            |found| Err(format!("expected label or labels in {:?}, found {found}", entry.id));
        let labels = match (entry.label, entry.labels) {
            (Some(label), None) => vec![label],
            (None, Some(labels)) if !labels.is_empty() => labels,
            (None, Some(_)) => return fault("no label in labels"),
            (Some(_), Some(_)) => return fault("both"),
            (None, None) => return fault("neither"),
        };
        Ok(Self {
            id: entry.id,
            labels,
            title: entry.title,
            summary: entry.summary,
            threshold: entry.threshold,
            action: entry.action,
            clauses: entry.clauses,
        })
    }
}

impl From<Category> for CategoryEntry {
    fn from(category: Category) -> Self {
        let (label, labels) = match <[String; 1]>::try_from(category.labels) {
            Ok([label]) => (Some(label), None),
            Err(labels) => (None, Some(labels)),
        };
        Self {
            id: category.id,
            label,
            labels,
            title: category.title,
            summary: category.summary,
            threshold: category.threshold,
            action: category.action,
            clauses: category.clauses,
        }
    }
}
