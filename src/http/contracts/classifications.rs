//! `POST /v1/classifications` and `/v1/chat/classifications`: Mistral's contracts for classifiers.
#![expect(unused_qualifications, reason = "utoipa's macros qualify names of this module")]

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde::Serialize;
use serde::de::IgnoredAny;
use utoipa::PartialSchema;
use utoipa::ToSchema;

use crate::error::Result;
use crate::http::app::App;
use crate::http::app::Media;
use crate::http::auth::AccessRule;
use crate::http::auth::Area;
use crate::http::problem::ErrorResponses;
use crate::http::problem::Problem;
use crate::http::request::contract::Contract;
use crate::http::request::error_format;
use crate::http::request::input::Texts;
use crate::http::request::json_request::JsonRequest;
use crate::http::request::judged::Judged;
use crate::http::request::messages;
use crate::http::request::messages::Message;
use crate::http::request::one_or_many::OneOrMany;
use crate::http::request::scoring::Scoring;
use crate::json::OrderedMap;
use crate::text::Turn;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The contract.
pub(super) const CONTRACT: Contract = Contract {
    routes: &[(AccessRule::for_area(Area::Service), routes)],
    error_format: error_format::ours,
    schemas: &[],
};

fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(classify)).routes(routes!(classify_chat))
}

/// The texts to classify.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ClassificationRequest {
    input: Texts,
    /// Selects the names of the categories, as in `/v1/moderations`.
    model: Option<String>,
    /// Any value; ignored.
    #[serde(rename = "metadata")]
    #[schema(value_type = Option<Object>)]
    _metadata: Option<IgnoredAny>,
}

/// The conversations to classify.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ChatClassificationRequest {
    /// A conversation, or an array of conversations.
    #[schema(schema_with = OneOrMany::<Conversation>::schema)]
    input: OneOrMany<Conversation>,
    /// Selects the names of the categories, as in `/v1/moderations`.
    model: Option<String>,
    /// Any value; ignored.
    #[serde(rename = "metadata")]
    #[schema(value_type = Option<Object>)]
    _metadata: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct Conversation {
    #[schema(min_items = 1)]
    messages: Vec<Message>,
}

/// One result for each text or conversation, in order.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ClassificationResponse {
    /// A unique id of the response.
    id: String,
    /// The model that scored, with its version.
    model: String,
    results: Vec<Targets>,
}

/// The classification targets; there is only one.
#[derive(Debug, Serialize, ToSchema)]
struct Targets {
    moderation: Target,
}

#[derive(Debug, Serialize, ToSchema)]
struct Target {
    #[schema(value_type = std::collections::HashMap<String, f32>)]
    scores: OrderedMap<f32>,
}

/// Scores one or more texts in the format of Mistral's classification API.
#[utoipa::path(
    post, path = "/v1/classifications", request_body = ClassificationRequest,
    responses((status = 200, body = ClassificationResponse), ErrorResponses),
)]
pub(in crate::http) async fn classify(
    State(app): State<App>,
    JsonRequest { body, mut options }: JsonRequest<ClassificationRequest>,
) -> Result<Json<ClassificationResponse>, Problem> {
    options.select_model_if_loaded(&app, body.model.as_deref());
    let scoring = Scoring::new(&app, &options, None)?;
    let judged = scoring.texts(body.input.0).await?;
    Ok(Json(ClassificationResponse::new(&scoring, body.model.as_deref(), &judged)))
}

/// Scores the last turn of one or more conversations, as Mistral's classification API does.
#[utoipa::path(
    post, path = "/v1/chat/classifications", request_body = ChatClassificationRequest,
    responses((status = 200, body = ClassificationResponse), ErrorResponses),
)]
pub(in crate::http) async fn classify_chat(
    State(app): State<App>,
    JsonRequest { body, mut options }: JsonRequest<ChatClassificationRequest>,
) -> Result<Json<ClassificationResponse>, Problem> {
    options.select_model_if_loaded(&app, body.model.as_deref());
    let scoring = Scoring::new(&app, &options, None)?;
    let judged = scoring.conversations(into_turns(body.input, app.settings().media)?).await?;
    Ok(Json(ClassificationResponse::new(&scoring, body.model.as_deref(), &judged)))
}

impl ClassificationResponse {
    fn new(scoring: &Scoring, model: Option<&str>, judged: &[Judged]) -> Self {
        let namespace = scoring.policy().namespace_for(model);
        let targets = |judged: &Judged| {
            let entries = judged.entries_under(namespace).into_iter();
            let scores = entries.map(|entry| (entry.id.to_owned(), entry.judgement.score));
            Targets { moderation: Target { scores: scores.collect() } }
        };
        Self {
            id: format!("mod-{}", uuid::Uuid::new_v4().simple()),
            model: scoring.model(),
            results: judged.iter().map(targets).collect(),
        }
    }
}

/// Converts each conversation to turns.
fn into_turns(input: OneOrMany<Conversation>, media: Media) -> Result<Vec<Vec<Turn>>> {
    match input {
        OneOrMany::One(one) => Ok(vec![messages::turns(one.messages, "input.messages", media)?]),
        OneOrMany::Many(many) => {
            let turns = |(index, one): (usize, Conversation)| {
                messages::turns(one.messages, &format!("input[{index}].messages"), media)
            };
            many.into_iter().enumerate().map(turns).collect()
        }
    }
}
