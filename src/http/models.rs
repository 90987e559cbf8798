//! `GET /v1/models`: what serves.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::engine::Engine;
use crate::engine::Slot;
use crate::http::app::App;
use crate::http::policy::NameEntry;
use crate::http::problem::ErrorBody;
use crate::http::problem::Problem;
use crate::policy::Namespace;
use crate::policy::Relation;
use crate::score::Mapping;

/// All models, the default first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelList {
    /// Always `list`.
    object: &'static str,
    data: Vec<ModelEntry>,
}

/// One model.
#[derive(Debug, Serialize, ToSchema)]
struct ModelEntry {
    /// The name with its version, as every answer carries it.
    id: String,
    /// Always `model`.
    object: &'static str,
    /// What requests may call it: the operator's name for it, else that of its folder or repository.
    name: String,
    /// Where it was loaded from.
    source: String,
    /// The commit, if it came from a hub.
    revision: Option<String>,
    /// Of the weights.
    sha256: String,
    architecture: &'static str,
    /// What the weights are stored as.
    stored_dtype: String,
    /// What the arithmetic is done in.
    dtype: &'static str,
    device: String,
    n_parameters: usize,
    /// The longest window, special tokens included.
    max_window_tokens: usize,
    labels: Vec<String>,
    /// How the logits become scores: `sigmoid`, each label for itself, or `softmax`, where labels
    /// exclude each other.
    activation: &'static str,
    /// What decided that: `config.json`, the `default` of transformers where it says nothing, or a
    /// `flag` of the operator.
    activation_source: &'static str,
    policy: String,
    /// `policy.toml`, or `labels` where the model brought none: then every category is a label,
    /// with a threshold of 0.5, and `GET /v1/policy` lists labels of harmless texts as ignored.
    policy_source: &'static str,
    /// Which calibration is applied; null if scores are as the model gave them.
    calibration: Option<String>,
    /// All policies that requests may name, the default first.
    policies: Vec<PolicyEntry>,
}

/// One policy.
#[derive(Debug, Serialize, ToSchema)]
struct PolicyEntry {
    id: String,
    version: String,
    namespaces: Vec<NamespaceEntry>,
}

/// How another service names what it judges, and what stands for it here.
#[derive(Debug, Serialize, ToSchema)]
struct NamespaceEntry {
    id: String,
    /// Names of models that ask for it; a `*` at the end stands for anything.
    models: Vec<String>,
    names: Vec<NameEntry>,
    /// Names that are a kind of what our categories mean, and have their score.
    derived: Vec<String>,
    /// Names that nothing stands for: they score 0.
    uncovered: Vec<String>,
    /// Our categories that no name stands for: in this namespace they cannot be told.
    left_out: Vec<String>,
}

/// Lists the models that serve.
#[utoipa::path(
    get, path = "/v1/models",
    responses((status = 200, body = ModelList), (status = 503, body = ErrorBody)),
)]
pub(super) async fn list(State(app): State<App>) -> Result<Json<ModelList>, Problem> {
    let entry = |slot: &Arc<Slot>| Ok(ModelEntry::of(slot.name(), &*slot.serving()?));
    let data = app.models().slots().iter().map(entry).collect::<crate::error::Result<_>>()?;
    Ok(Json(ModelList { object: "list", data }))
}

impl ModelEntry {
    fn of(name: Option<&str>, engine: &Engine) -> Self {
        let card = engine.card().clone();
        Self {
            id: card.reference(),
            object: "model",
            name: name.map_or(card.name, str::to_owned),
            source: card.source,
            revision: card.revision,
            sha256: card.sha256,
            architecture: card.architecture,
            stored_dtype: card.stored_dtype,
            dtype: card.dtype,
            device: card.device,
            n_parameters: card.n_parameters,
            max_window_tokens: card.max_window_tokens,
            labels: card.labels,
            activation: card.activation.name(),
            activation_source: card.activation_source.name(),
            policy: engine.policy().reference(),
            policy_source: if card.has_policy { "policy.toml" } else { "labels" },
            calibration: card.calibration,
            policies: engine.mappings().map(PolicyEntry::new).collect(),
        }
    }
}

impl PolicyEntry {
    fn new(mapping: &Mapping) -> Self {
        let policy = mapping.policy();
        let namespace = |(place, namespace): (usize, &Namespace)| NamespaceEntry {
            id: namespace.id.clone(),
            models: namespace.models.clone(),
            names: namespace.names.iter().map(NameEntry::new).collect(),
            derived: namespace.names_in(Relation::Derived),
            uncovered: mapping.uncovered(place),
            left_out: mapping.left_out(place),
        };
        Self {
            id: policy.id.clone(),
            version: policy.version.clone(),
            namespaces: policy.namespaces.iter().enumerate().map(namespace).collect(),
        }
    }
}
