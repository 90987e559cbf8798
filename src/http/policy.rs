//! `GET /v1/policy`: what texts are judged by.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::action::Action;
use crate::http::app::App;
use crate::http::problem::ErrorBody;
use crate::http::problem::Problem;
use crate::policy;
use crate::policy::Category;
use crate::policy::Clause;
use crate::policy::Name;
use crate::policy::Namespace;
use crate::policy::Threshold;

/// What texts are judged by.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Policy {
    /// A short name; with the version it is what answers carry.
    id: String,
    /// The full name.
    name: String,
    /// Usually the date from which it is in force.
    version: String,
    /// Labels of the model that stand for no category.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    ignored_labels: Vec<String>,
    /// The categories, in the order of every answer.
    categories: Vec<CategoryEntry>,
    /// How other services name what they judge.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    namespaces: Vec<NamespaceNames>,
}

/// One thing that the policy forbids.
#[derive(Debug, Serialize, ToSchema)]
struct CategoryEntry {
    /// How the API calls it.
    id: String,
    /// The label of the model that stands for it, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// The labels of the model that stand for it: the highest score counts.
    labels: Vec<String>,
    /// How people call it.
    title: String,
    /// What it covers, in a sentence.
    summary: String,
    /// The score from which on it is violated; 1 switches it off.
    #[schema(value_type = f64, minimum = 0, maximum = 1)]
    threshold: Threshold,
    /// What a violation asks for.
    action: Action,
    /// The clauses of the policy under it.
    clauses: Vec<ClauseEntry>,
}

/// One sentence of the policy.
#[derive(Debug, Serialize, ToSchema)]
struct ClauseEntry {
    /// Unique within its category.
    id: String,
    /// The sentence.
    text: String,
    /// Whether the model scores it, so that `clauses` of `/v1/score` has it.
    scored: bool,
    /// The label of the model that scores it.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
}

/// The names that the clients of another service expect.
#[derive(Debug, Serialize, ToSchema)]
struct NamespaceNames {
    /// How it is called here.
    id: String,
    /// Names of models that ask for it; a `*` at the end stands for anything.
    models: Vec<String>,
    /// Its names, in the order of its answers.
    names: Vec<NameEntry>,
}

/// What another service judges, and what stands for it here.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NameEntry {
    /// How the service calls it.
    name: String,
    /// How near our categories come to it.
    relation: Relation,
    /// Ids of categories, or labels of the model, of which the highest score counts; any violation
    /// violates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    from: Vec<String>,
    /// The same, of which the lowest score counts; all must be violated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    all_of: Vec<String>,
    /// The score from which on it is violated, in place of the thresholds of what stands for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 1)]
    threshold: Option<Threshold>,
}

/// How near our categories come to what another service judges.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Relation {
    /// They mean the same.
    Exact,
    /// They overlap.
    Partly,
    /// It is a kind of what they mean, and has their score: no judgement of its own.
    Derived,
    /// Nothing stands for it: its score is 0.
    Uncovered,
}

/// Shows the policy: categories, clauses, thresholds and actions.
#[utoipa::path(
    get, path = "/v1/policy",
    responses((status = 200, body = Policy), (status = 503, body = ErrorBody)),
)]
pub(super) async fn show(State(app): State<App>) -> Result<Json<Policy>, Problem> {
    Ok(Json(Policy::new(app.engine()?.policy())))
}

impl Policy {
    fn new(policy: &policy::Policy) -> Self {
        Self {
            id: policy.id.clone(),
            name: policy.name.clone(),
            version: policy.version.clone(),
            ignored_labels: policy.ignored_labels.clone(),
            categories: policy.categories.iter().map(CategoryEntry::new).collect(),
            namespaces: policy.namespaces.iter().map(NamespaceNames::new).collect(),
        }
    }
}

impl CategoryEntry {
    fn new(category: &Category) -> Self {
        let clause = |clause: &Clause| ClauseEntry {
            id: clause.id.clone(),
            text: clause.text.clone(),
            scored: clause.label.is_some(),
            label: clause.label.clone(),
        };
        let only_label = match category.labels.as_slice() {
            [label] => Some(label.clone()),
            _ => None,
        };
        Self {
            id: category.id.clone(),
            label: only_label,
            labels: category.labels.clone(),
            title: category.title.clone(),
            summary: category.summary.clone(),
            threshold: category.threshold,
            action: category.action.into(),
            clauses: category.clauses.iter().map(clause).collect(),
        }
    }
}

impl NamespaceNames {
    fn new(namespace: &Namespace) -> Self {
        Self {
            id: namespace.id.clone(),
            models: namespace.models.clone(),
            names: namespace.names.iter().map(NameEntry::new).collect(),
        }
    }
}

impl NameEntry {
    pub(super) fn new(name: &Name) -> Self {
        Self {
            name: name.name.clone(),
            relation: name.relation.into(),
            from: name.from.clone(),
            all_of: name.all_of.clone(),
            threshold: name.threshold,
        }
    }
}

impl From<policy::Relation> for Relation {
    fn from(relation: policy::Relation) -> Self {
        match relation {
            policy::Relation::Exact => Self::Exact,
            policy::Relation::Partly => Self::Partly,
            policy::Relation::Derived => Self::Derived,
            policy::Relation::Uncovered => Self::Uncovered,
        }
    }
}
