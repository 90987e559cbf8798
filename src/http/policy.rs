//! `GET /v1/policy`: what texts are judged by.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::action::Action;
use crate::http::app::App;
use crate::http::names::NameEntry;
use crate::http::problem::ErrorBody;
use crate::http::problem::Problem;
use crate::policy::Category;
use crate::policy::Clause;
use crate::policy::Namespace;
use crate::policy::Threshold;
use crate::score::Mapping;

/// A usage policy, as `policy.toml` has it.
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

/// Shows the policy: categories, clauses, thresholds and actions.
#[utoipa::path(
    get, path = "/v1/policy",
    responses((status = 200, body = Policy), (status = 503, body = ErrorBody)),
)]
pub(super) async fn show(State(app): State<App>) -> Result<Json<Policy>, Problem> {
    Ok(Json(Policy::new(app.engine()?.rules(None)?.mapping())))
}

impl Policy {
    fn new(mapping: &Mapping) -> Self {
        let policy = mapping.policy();
        let categories = policy.categories.iter().enumerate();
        Self {
            id: policy.id.clone(),
            name: policy.name.clone(),
            version: policy.version.clone(),
            ignored_labels: policy.ignored_labels.clone(),
            categories: categories
                .map(|(place, category)| CategoryEntry::new(mapping, place, category))
                .collect(),
            namespaces: policy.namespaces.iter().map(NamespaceNames::new).collect(),
        }
    }
}

impl CategoryEntry {
    fn new(mapping: &Mapping, place: usize, category: &Category) -> Self {
        let clause = |(clause, entry): (usize, &Clause)| ClauseEntry {
            id: entry.id.clone(),
            text: entry.text.clone(),
            scored: mapping.is_scored(place, clause),
            label: entry.label.clone(),
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
            clauses: category.clauses.iter().enumerate().map(clause).collect(),
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
