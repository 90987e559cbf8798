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
#[serde(try_from = "ClauseEntry", into = "ClauseEntry")]
pub struct Clause {
    /// Unique among the clauses of the category that have a label.
    pub id: String,
    /// The sentence.
    pub text: String,
    /// The labels of the model for this clause, each once. The highest score counts; without a
    /// label, the clause has no score of its own.
    pub labels: Vec<String>,
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
        let labels = labels(&entry.id, entry.label, entry.labels)?;
        let labels = labels.ok_or_else(|| fault(&entry.id, "neither"))?;
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
        let (label, labels) = fields(category.labels);
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

/// A clause as written in the file, with `label`, `labels` or neither.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClauseEntry {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<String>>,
    text: String,
}

impl TryFrom<ClauseEntry> for Clause {
    type Error = String;

    fn try_from(entry: ClauseEntry) -> Result<Self, String> {
        let labels = labels(&entry.id, entry.label, entry.labels)?.unwrap_or_default();
        Ok(Self { id: entry.id, text: entry.text, labels })
    }
}

impl From<Clause> for ClauseEntry {
    fn from(clause: Clause) -> Self {
        let (label, labels) = fields(clause.labels);
        Self { id: clause.id, label, labels, text: clause.text }
    }
}

/// Returns the labels of an entry with this id; `None` if it has neither `label` nor `labels`.
fn labels(
    id: &str,
    label: Option<String>,
    labels: Option<Vec<String>>,
) -> Result<Option<Vec<String>>, String> {
    match (label, labels) {
        (Some(label), None) => Ok(Some(vec![label])),
        (None, Some(labels)) if labels.is_empty() => Err(fault(id, "no label in labels")),
        (None, labels) => Ok(labels),
        (Some(_), Some(_)) => Err(fault(id, "both")),
    }
}

fn fault(id: &str, found: &str) -> String {
    format!("expected label or labels in {id:?}, found {found}")
}

/// Returns labels as the fields `label` and `labels` of an entry.
fn fields(labels: Vec<String>) -> (Option<String>, Option<Vec<String>>) {
    match <[String; 1]>::try_from(labels) {
        Ok([label]) => (Some(label), None),
        Err(labels) => (None, (!labels.is_empty()).then_some(labels)),
    }
}
