//! `GET /v1/policy`: the policy that texts are judged by.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::app::App;
use crate::http::problem::ErrorBody;
use crate::http::problem::Problem;
use crate::http::request::action::Action;
use crate::policy;
use crate::policy::Category;
use crate::policy::Clause;
use crate::policy::Name;
use crate::policy::Namespace;
use crate::policy::Threshold;

/// The policy that texts are judged by.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Policy {
    /// A short name, which responses carry together with the version.
    id: String,
    /// The full name.
    name: String,
    /// The version, usually the date from which the policy is in force.
    version: String,
    /// Labels of the model that map to no category.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    ignored_labels: Vec<String>,
    /// The categories, in the order of every response.
    categories: Vec<CategoryEntry>,
    /// The category names of other services.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    namespaces: Vec<NamespaceNames>,
}

/// One category of the policy.
#[derive(Debug, Serialize, ToSchema)]
struct CategoryEntry {
    /// The id of the category in the API.
    id: String,
    /// The label of the model that maps to the category, if there is exactly one.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// The labels of the model that map to the category, which takes their highest score.
    labels: Vec<String>,
    /// A human-readable title.
    title: String,
    /// A sentence that says what the category covers.
    summary: String,
    /// The lowest score that violates the category; 1 disables the category.
    #[schema(value_type = f64, minimum = 0, maximum = 1)]
    threshold: Threshold,
    /// The action for a violation.
    action: Action,
    /// The clauses of the policy in this category.
    clauses: Vec<ClauseEntry>,
}

/// One clause of the policy.
#[derive(Debug, Serialize, ToSchema)]
struct ClauseEntry {
    /// The id of the clause, unique within its category.
    id: String,
    /// The text of the clause.
    text: String,
    /// Whether the model scores the clause, so that `clauses` of `/v1/score` includes it.
    scored: bool,
    /// The label of the model that maps to the clause, if there is exactly one.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// The labels of the model that map to the clause, which takes their highest score.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    labels: Vec<String>,
}

/// The category names that the clients of another service expect.
#[derive(Debug, Serialize, ToSchema)]
struct NamespaceNames {
    /// The id of the namespace.
    id: String,
    /// Model names in requests that select this namespace; a trailing `*` matches any suffix.
    models: Vec<String>,
    /// The names, in the order of the responses.
    names: Vec<NameEntry>,
}

/// A category name of another service, and the categories or labels that it maps to.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct NameEntry {
    /// The name that the service uses.
    name: String,
    /// How closely the name matches the categories of the policy.
    relation: Relation,
    /// Ids of categories, or labels of the model. The name takes their highest score, and is
    /// violated if any of them is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    from: Vec<String>,
    /// Ids of categories, or labels of the model. The name takes their lowest score, and is
    /// violated if all of them are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    all_of: Vec<String>,
    /// The lowest score that violates the name, replacing the thresholds of its categories or
    /// labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 1)]
    threshold: Option<Threshold>,
}

/// How closely a category name of another service matches the categories of the policy.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Relation {
    /// The name and the categories mean the same.
    Exact,
    /// The meanings overlap.
    Partly,
    /// The name is a special case of the categories and shares their score; it is not judged
    /// separately.
    Derived,
    /// The name maps to no category: its score is 0.
    Uncovered,
}

/// Returns the policy: categories, clauses, thresholds and actions.
#[utoipa::path(
    get, path = "/v1/policy", operation_id = "policy",
    responses((status = 200, body = Policy), (status = 503, body = ErrorBody)),
)]
pub(in crate::http) async fn show(State(app): State<App>) -> Result<Json<Policy>, Problem> {
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
            scored: !clause.labels.is_empty(),
            label: only_label(&clause.labels),
            labels: clause.labels.clone(),
        };
        Self {
            id: category.id.clone(),
            label: only_label(&category.labels),
            labels: category.labels.clone(),
            title: category.title.clone(),
            summary: category.summary.clone(),
            threshold: category.threshold,
            action: category.action.into(),
            clauses: category.clauses.iter().map(clause).collect(),
        }
    }
}

fn only_label(labels: &[String]) -> Option<String> {
    match labels {
        [label] => Some(label.clone()),
        _ => None,
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
    pub(in crate::http) fn new(name: &Name) -> Self {
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
