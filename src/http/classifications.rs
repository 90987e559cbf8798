//! `POST /v1/classifications` and `/v1/chat/classifications`: Mistral's contracts for classifiers.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::Result;
use crate::http::app::App;
use crate::http::ask::Ask;
use crate::http::input::Input;
use crate::http::judged::Judged;
use crate::http::messages;
use crate::http::messages::Message;
use crate::http::moderations;
use crate::http::posted::Posted;
use crate::http::problem::Faults;
use crate::http::problem::Problem;
use crate::json;
use crate::json::ById;
use crate::json::Fields;
use crate::text::Turn;

/// What to classify.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "read by the documentation")]
pub(super) struct ClassificationRequest {
    input: Input,
    /// Chooses the names of the categories, as in `/v1/moderations`.
    model: Option<String>,
    /// Anything; not used.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

/// What to classify.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "read by the documentation")]
pub(super) struct ChatClassificationRequest {
    /// A conversation; or an array of such objects.
    input: Conversation,
    /// Chooses the names of the categories, as in `/v1/moderations`.
    model: Option<String>,
}

#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "read by the documentation")]
struct Conversation {
    #[schema(min_items = 1)]
    messages: Vec<Message>,
}

/// One result for each text or conversation, in order.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ClassificationResponse {
    /// Unique.
    id: String,
    /// The model that scored, with its version.
    model: String,
    results: Vec<Targets>,
}

/// What the model is asked about: one thing.
#[derive(Debug, Serialize, ToSchema)]
struct Targets {
    moderation: Target,
}

#[derive(Debug, Serialize, ToSchema)]
struct Target {
    #[schema(value_type = std::collections::HashMap<String, f32>)]
    scores: ById<f32>,
}

/// Scores one or more texts; answers as Mistral's clients expect.
#[utoipa::path(
    post, path = "/v1/classifications", request_body = ClassificationRequest,
    responses((status = 200, body = ClassificationResponse), Faults),
)]
pub(super) async fn classify(
    State(app): State<App>,
    mut posted: Posted,
) -> Result<Json<ClassificationResponse>, Problem> {
    let mut fields = Fields::of(posted.body.take(), &["input", "model", "metadata"])?;
    let model = moderations::model(&mut fields)?;
    posted.suggest_model(&app, model.as_deref());
    let ask = Ask::new(&app, &posted, None)?;
    let texts = json::string_or_strings("input", fields.require("input")?)?;
    let judged = ask.texts(texts).await?;
    Ok(Json(ClassificationResponse::new(&ask, model.as_deref(), &judged)))
}

/// Scores the last turn of one or more conversations; answers as Mistral's clients expect.
#[utoipa::path(
    post, path = "/v1/chat/classifications", request_body = ChatClassificationRequest,
    responses((status = 200, body = ClassificationResponse), Faults),
)]
pub(super) async fn classify_chat(
    State(app): State<App>,
    mut posted: Posted,
) -> Result<Json<ClassificationResponse>, Problem> {
    let mut fields = Fields::of(posted.body.take(), &["input", "model", "metadata"])?;
    let model = moderations::model(&mut fields)?;
    posted.suggest_model(&app, model.as_deref());
    let ask = Ask::new(&app, &posted, None)?;
    let conversations = conversations(&app, fields.require("input")?)?;
    let judged = ask.conversations(conversations).await?;
    Ok(Json(ClassificationResponse::new(&ask, model.as_deref(), &judged)))
}

impl ClassificationResponse {
    fn new(ask: &Ask, model: Option<&str>, judged: &[Judged]) -> Self {
        let namespace = ask.policy().namespace_for(model);
        let targets = |judged: &Judged| {
            let entries = judged.entries_under(namespace).into_iter();
            let scores = entries.map(|entry| (entry.id.to_owned(), entry.judgement.score));
            Targets { moderation: Target { scores: scores.collect() } }
        };
        Self {
            id: format!("mod-{}", uuid::Uuid::new_v4().simple()),
            model: ask.model(),
            results: judged.iter().map(targets).collect(),
        }
    }
}

/// An object with `messages`, or an array of such objects.
fn conversations(app: &App, input: Value) -> Result<Vec<Vec<Turn>>> {
    let conversation = |param: &str, value| {
        let messages = Fields::lenient(param, value)?.require_of(param, "messages")?;
        let param = format!("{param}.messages");
        messages::turns(app, &param, json::array(&param, messages)?)
    };
    match input {
        Value::Array(values) => {
            let values = values.into_iter().enumerate();
            values.map(|(index, value)| conversation(&format!("input[{index}]"), value)).collect()
        }
        single => Ok(vec![conversation("input", single)?]),
    }
}
