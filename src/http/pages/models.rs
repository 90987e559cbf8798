//! `GET /v1/models`: the models that serve.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::engine::Engine;
use crate::engine::Slot;
use crate::http::app::App;
use crate::http::pages::policy::NameEntry;
use crate::http::problem::ErrorBody;
use crate::http::problem::Problem;
use crate::policy::Namespace;
use crate::policy::Relation;
use crate::score::Mapping;

/// All models, the default first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ModelList {
    /// Always `list`.
    object: &'static str,
    data: Vec<ModelEntry>,
}

/// One model.
#[derive(Debug, Serialize, ToSchema)]
struct ModelEntry {
    /// The name with its version, as in every response.
    id: String,
    /// Always `model`.
    object: &'static str,
    /// The name that requests may use: the operator's name for the model, or else the name of its
    /// folder or repository.
    name: String,
    /// Where the model was loaded from.
    source: String,
    /// The commit, if the model was loaded from a hub.
    revision: Option<String>,
    /// The SHA-256 digest of the weights.
    sha256: String,
    architecture: &'static str,
    /// The data type that the weights are stored in.
    stored_dtype: String,
    /// The data type of the computation.
    dtype: &'static str,
    device: String,
    n_parameters: usize,
    /// The maximum number of tokens in a window, including special tokens.
    max_window_tokens: usize,
    labels: Vec<String>,
    /// How logits become scores: `sigmoid` for independent labels, or `softmax` for mutually
    /// exclusive labels.
    activation: &'static str,
    /// The source of the activation: `config.json`, the `default` of transformers if the config
    /// does not specify one, or a `flag` of the operator.
    activation_source: &'static str,
    policy: String,
    /// `policy.toml`, or `labels` if the model has no policy. In that case every category is a
    /// label with a threshold of 0.5, and `GET /v1/policy` lists the labels of harmless texts as
    /// ignored.
    policy_source: &'static str,
    /// The calibration that is applied; null if scores are uncalibrated.
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

/// The category names of another service, and the categories that they map to.
#[derive(Debug, Serialize, ToSchema)]
struct NamespaceEntry {
    id: String,
    /// Model names in requests that select this namespace; a trailing `*` matches any suffix.
    models: Vec<String>,
    names: Vec<NameEntry>,
    /// Names that are a special case of the categories that they map to, and share their score.
    derived: Vec<String>,
    /// Names that map to no category; their score is 0.
    uncovered: Vec<String>,
    /// Categories that no name maps to; in this namespace they are not reported.
    left_out: Vec<String>,
}

/// Lists the models that serve.
#[utoipa::path(
    get, path = "/v1/models",
    responses((status = 200, body = ModelList), (status = 503, body = ErrorBody)),
)]
pub(in crate::http) async fn list(State(app): State<App>) -> Result<Json<ModelList>, Problem> {
    let entry = |slot: &Arc<Slot>| Ok(ModelEntry::new(slot.name(), &*slot.serving()?));
    let data = app.models().slots().iter().map(entry).collect::<crate::error::Result<_>>()?;
    Ok(Json(ModelList { object: "list", data }))
}

impl ModelEntry {
    fn new(name: Option<&str>, engine: &Engine) -> Self {
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
        let namespace = |(index, namespace): (usize, &Namespace)| NamespaceEntry {
            id: namespace.id.clone(),
            models: namespace.models.clone(),
            names: namespace.names.iter().map(NameEntry::new).collect(),
            derived: namespace.names_in(Relation::Derived),
            uncovered: mapping.uncovered(index),
            left_out: mapping.left_out(index),
        };
        Self {
            id: policy.id.clone(),
            version: policy.version.clone(),
            namespaces: policy.namespaces.iter().enumerate().map(namespace).collect(),
        }
    }
}
