//! What a policy forbids: categories, and the clauses under them.

use serde::Deserialize;
use serde::Serialize;

use crate::policy::Action;
use crate::policy::Threshold;

/// One thing that the policy forbids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "CategoryEntry", into = "CategoryEntry")]
pub struct Category {
    /// How the API calls it.
    pub id: String,
    /// The labels of the model that stand for it: at least one, each once. The highest score counts.
    pub labels: Vec<String>,
    /// How people call it.
    pub title: String,
    /// What it covers, in a sentence.
    pub summary: String,
    /// The score from which on it is violated.
    pub threshold: Threshold,
    /// What a violation asks for.
    pub action: Action,
    /// The clauses of the policy under it.
    pub clauses: Vec<Clause>,
}

/// One sentence of the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clause {
    /// Unique among those clauses of its category that have a label.
    pub id: String,
    /// The sentence.
    pub text: String,
    /// The label of the model that scores it; without one it has no score of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

impl Category {
    /// What a label is to a model without a policy: a category of its own, flagged from 0.5 on.
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

/// A category as the file has it: with `label`, or with `labels`.
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
