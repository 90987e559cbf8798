//! `POST /v1/moderations`: the contract that OpenAI's and Mistral's clients and LiteLLM share.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::Result;
use crate::http::app::App;
use crate::http::ask;
use crate::http::ask::Ask;
use crate::http::input::InputOrParts;
use crate::http::messages;
use crate::http::posted::Posted;
use crate::http::problem::Faults;
use crate::http::problem::Problem;
use crate::json;
use crate::json::Fields;
use crate::policy::Namespace;
use crate::score::ById;
use crate::score::Report;

/// What to moderate.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "read by the documentation")]
pub(super) struct ModerationRequest {
    /// A text, an array of texts, or an array of parts `{"type": "text", "text": ...}` that are
    /// one text.
    input: InputOrParts,
    /// Chooses the names of the categories: those of the service that has such a model, else our
    /// own. `GET /v1/models` lists them.
    model: Option<String>,
    /// Anything; not used.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

/// One result for each text, in order.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModerationResponse {
    /// Unique.
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
    categories: ById<bool>,
    #[schema(value_type = std::collections::HashMap<String, f32>)]
    category_scores: ById<f32>,
    #[schema(value_type = std::collections::HashMap<String, Vec<String>>)]
    category_applied_input_types: ById<[&'static str; 1]>,
}

/// Moderates one or more texts; answers as OpenAI's and Mistral's clients expect.
#[utoipa::path(
    post, path = "/v1/moderations", request_body = ModerationRequest,
    params(
        ("x-request-timeout-ms" = Option<u64>, Header, description = "Lowers the deadline."),
        ("x-moderato-policy" = Option<String>, Header, description = "The policy to judge by."),
    ),
    responses((status = 200, body = ModerationResponse), Faults),
)]
pub(super) async fn moderate(
    State(app): State<App>,
    mut posted: Posted,
) -> Result<Json<ModerationResponse>, Problem> {
    let mut fields = Fields::of(posted.body.take(), FIELDS)?;
    let model = model(&mut fields)?;
    posted.suggest_model(&app, model.as_deref());
    let ask = Ask::new(&app, &posted, None)?;
    let texts = input(&app, fields.require("input")?)?;
    let reports = ask.texts(texts).await?;
    Ok(Json(ModerationResponse::new(&ask, model.as_deref(), &reports)))
}

impl ModerationResponse {
    /// Under the names that clients of that model expect.
    pub(super) fn new(ask: &Ask, model: Option<&str>, reports: &[Report]) -> Self {
        let (namespace, n_tokens) = (ask.policy().namespace_for(model), ask::n_tokens(reports));
        Self {
            id: format!("modr-{}", uuid::Uuid::new_v4().simple()),
            model: ask.model(),
            usage: ModerationUsage { prompt_tokens: n_tokens, total_tokens: n_tokens },
            results: reports.iter().map(|report| Moderation::of(report, namespace)).collect(),
        }
    }
}

impl Moderation {
    fn of(report: &Report, namespace: Option<&Namespace>) -> Self {
        let mut categories = report.categories.under(namespace);
        // OpenAI's clients drop the key self_harm: it is the name, but not the alias, of a field of
        // theirs. Under the alias they keep it.
        let self_harm =
            categories.0.iter().find(|(id, _)| id == "self_harm").map(|(_, entry)| entry.clone());
        categories.0.extend(self_harm.map(|entry| ("self-harm".to_owned(), entry)));
        Self {
            flagged: categories.0.iter().any(|(_, category)| category.violated),
            categories: categories.map(|category| category.violated),
            category_scores: categories.map(|category| category.score),
            category_applied_input_types: categories.map(|_| ["text"]),
        }
    }
}

/// The name of the model that the client asks for.
pub(super) fn model(fields: &mut Fields) -> Result<Option<String>> {
    fields.take("model").map(|model| json::string("model", model)).transpose()
}

/// A text, texts, or the parts of one text.
fn input(app: &App, value: Value) -> Result<Vec<String>> {
    match value {
        Value::Array(parts) if parts.first().is_some_and(Value::is_object) => {
            Ok(vec![messages::parts(app, "input", parts)?])
        }
        other => json::string_or_strings("input", other),
    }
}

const FIELDS: &[&str] = &["input", "model", "metadata"];
