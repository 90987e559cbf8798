//! `POST /v1/moderations`, the contract shared by OpenAI's and Mistral's clients and LiteLLM, and
//! `POST /v1/chat/moderations`, Mistral's contract for conversations.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde::Serialize;
use serde::de::IgnoredAny;
use utoipa::ToSchema;

use crate::error::Result;
use crate::http::app::App;
use crate::http::auth::AccessRule;
use crate::http::auth::Area;
use crate::http::problem::ErrorResponses;
use crate::http::problem::Problem;
use crate::http::request::contract::Contract;
use crate::http::request::error_format;
use crate::http::request::input::TextsOrParts;
use crate::http::request::json_request::JsonRequest;
use crate::http::request::judged::Judged;
use crate::http::request::messages;
use crate::http::request::messages::Conversations;
use crate::http::request::scoring;
use crate::http::request::scoring::Scoring;
use crate::json::OrderedMap;
use crate::policy::Namespace;
use crate::score::Judgement;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The contract.
pub(super) const CONTRACT: Contract = Contract {
    routes: &[(AccessRule::for_area(Area::Service), routes)],
    error_format: error_format::ours,
    schemas: &[],
};

fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(moderate)).routes(routes!(moderate_chat))
}

/// The texts to moderate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ModerationRequest {
    input: TextsOrParts,
    /// Selects the names of the categories: those of the service that has such a model, otherwise
    /// the ids of the policy. `GET /v1/models` lists them.
    model: Option<String>,
    /// Any value; ignored.
    #[serde(rename = "metadata")]
    #[schema(value_type = Option<Object>)]
    _metadata: Option<IgnoredAny>,
}

/// The conversations to moderate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ChatModerationRequest {
    input: Conversations,
    /// Selects the names of the categories, as in `/v1/moderations`.
    model: Option<String>,
    /// Ignored: a conversation is always read from its end, as far back as the model's context
    /// allows.
    #[serde(rename = "truncate_for_context_length")]
    #[schema(value_type = Option<bool>)]
    _truncate: Option<IgnoredAny>,
}

/// One result for each text or conversation, in order.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ModerationResponse {
    /// A unique id of the response.
    id: String,
    /// The model that scored, with its version.
    model: String,
    usage: ModerationUsage,
    results: Vec<Moderation>,
}

#[derive(Debug, Serialize, ToSchema)]
struct ModerationUsage {
    prompt_tokens: usize,
    total_tokens: usize,
}

#[derive(Debug, Serialize, ToSchema)]
struct Moderation {
    /// Whether any of the categories is violated.
    flagged: bool,
    #[schema(value_type = std::collections::HashMap<String, bool>)]
    categories: OrderedMap<bool>,
    #[schema(value_type = std::collections::HashMap<String, f32>)]
    category_scores: OrderedMap<f32>,
    #[schema(value_type = std::collections::HashMap<String, Vec<String>>)]
    category_applied_input_types: OrderedMap<[&'static str; 1]>,
}

/// Moderates one or more texts in the format of OpenAI's and Mistral's moderation APIs.
#[utoipa::path(
    post, path = "/v1/moderations", request_body = ModerationRequest,
    params(
        ("x-request-timeout-ms" = Option<u64>, Header, description = "Lowers the deadline."),
        ("x-moderato-policy" = Option<String>, Header, description = "The policy to judge by."),
    ),
    responses((status = 200, body = ModerationResponse), ErrorResponses),
)]
pub(in crate::http) async fn moderate(
    State(app): State<App>,
    JsonRequest { body, mut options }: JsonRequest<ModerationRequest>,
) -> Result<Json<ModerationResponse>, Problem> {
    options.select_model_if_loaded(&app, body.model.as_deref());
    let scoring = Scoring::new(&app, &options, None)?;
    let texts = match body.input {
        TextsOrParts::Texts(texts) => texts,
        TextsOrParts::Parts(parts) => {
            vec![messages::text_of(parts, "input", app.settings().media)?]
        }
    };
    let judged = scoring.texts(texts).await?;
    Ok(Json(ModerationResponse::new(&scoring, body.model.as_deref(), &judged)))
}

/// Moderates the last turn of one or more conversations, as Mistral's moderation API does.
#[utoipa::path(
    post, path = "/v1/chat/moderations",     request_body = ChatModerationRequest,
    responses((status = 200, body = ModerationResponse), ErrorResponses),
)]
pub(in crate::http) async fn moderate_chat(
    State(app): State<App>,
    JsonRequest { body, mut options }: JsonRequest<ChatModerationRequest>,
) -> Result<Json<ModerationResponse>, Problem> {
    options.select_model_if_loaded(&app, body.model.as_deref());
    let scoring = Scoring::new(&app, &options, None)?;
    let judged =
        scoring.conversations(body.input.into_turns("input", app.settings().media)?).await?;
    Ok(Json(ModerationResponse::new(&scoring, body.model.as_deref(), &judged)))
}

impl ModerationResponse {
    /// Builds the response with the category names that clients of `model` expect.
    pub(in crate::http) fn new(scoring: &Scoring, model: Option<&str>, judged: &[Judged]) -> Self {
        let (namespace, n_tokens) =
            (scoring.policy().namespace_for(model), scoring::n_tokens(judged));
        Self {
            id: format!("modr-{}", uuid::Uuid::new_v4().simple()),
            model: scoring.model(),
            usage: ModerationUsage { prompt_tokens: n_tokens, total_tokens: n_tokens },
            results: judged.iter().map(|judged| Moderation::new(judged, namespace)).collect(),
        }
    }
}

impl Moderation {
    fn new(judged: &Judged, namespace: Option<&Namespace>) -> Self {
        let entries = judged.entries_under(namespace);
        let mut judgements: Vec<_> =
            entries.iter().map(|entry| (entry.id, entry.judgement)).collect();
        // OpenAI's clients drop the key `self_harm`: it is the name of one of their fields, but not
        // its alias. They keep the value under the alias `self-harm`.
        let self_harm = judgements.iter().find(|(id, _)| *id == "self_harm").copied();
        judgements.extend(self_harm.map(|(_, judgement)| ("self-harm", judgement)));
        Self {
            flagged: judgements.iter().any(|(_, judgement)| judgement.violated),
            categories: by_id(&judgements, |judgement| judgement.violated),
            category_scores: by_id(&judgements, |judgement| judgement.score),
            category_applied_input_types: by_id(&judgements, |_| ["text"]),
        }
    }
}

fn by_id<T>(judgements: &[(&str, Judgement)], value: impl Fn(&Judgement) -> T) -> OrderedMap<T> {
    judgements.iter().map(|(id, judgement)| ((*id).to_owned(), value(judgement))).collect()
}
