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
use crate::http::judged::Judged;
use crate::http::messages;
use crate::http::posted::Posted;
use crate::http::problem::Faults;
use crate::http::problem::Problem;
use crate::json;
use crate::json::ById;
use crate::json::Fields;
use crate::policy::Namespace;
use crate::score::Judgement;

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
    let judged = ask.texts(texts).await?;
    Ok(Json(ModerationResponse::new(&ask, model.as_deref(), &judged)))
}

impl ModerationResponse {
    /// Under the names that clients of that model expect.
    pub(super) fn new(ask: &Ask, model: Option<&str>, judged: &[Judged]) -> Self {
        let (namespace, n_tokens) = (ask.policy().namespace_for(model), ask::n_tokens(judged));
        Self {
            id: format!("modr-{}", uuid::Uuid::new_v4().simple()),
            model: ask.model(),
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
        // OpenAI's clients drop the key self_harm: it is the name, but not the alias, of a field of
        // theirs. Under the alias they keep it.
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

fn by_id<T>(judgements: &[(&str, Judgement)], value: impl Fn(&Judgement) -> T) -> ById<T> {
    judgements.iter().map(|(id, judgement)| ((*id).to_owned(), value(judgement))).collect()
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
