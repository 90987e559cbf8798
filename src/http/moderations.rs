//! `POST /v1/moderations`: the contract that OpenAI's and Mistral's clients and LiteLLM share.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::Result;
use crate::http::app::App;
use crate::http::input::Input;
use crate::http::posted::Posted;
use crate::http::problem::ErrorBody;
use crate::http::problem::Problem;
use crate::json;
use crate::json::Fields;
use crate::score::ById;
use crate::score::Report;
use crate::score::Terms;

/// What to moderate.
#[derive(Debug, ToSchema)]
pub(super) struct ModerationRequest {
    input: Input,
    /// Any name; the answer says which model scored.
    #[expect(dead_code, reason = "read by the documentation; there is one model to score with")]
    model: Option<String>,
    /// Anything; not used.
    #[expect(dead_code, reason = "read by the documentation; Mistral's clients may send it")]
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
    /// Whether any category is violated.
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
    params(("x-request-timeout-ms" = Option<u64>, Header, description = "Lowers the deadline.")),
    responses(
        (status = 200, body = ModerationResponse),
        (status = "4XX", body = ErrorBody, description = "The request is at fault."),
        (status = "5XX", body = ErrorBody, description = "503: try again later; 504: too late."),
    ),
)]
pub(super) async fn moderate(
    State(app): State<App>,
    posted: Posted,
) -> Result<Json<ModerationResponse>, Problem> {
    let engine = app.engine()?;
    let request = ModerationRequest::parse(posted.body)?;
    let terms = Terms::of(engine.policy());
    let reports = app.assess(request.input.0, &terms, posted.deadline).await?;
    let n_tokens = reports.iter().map(|report| report.n_tokens).sum();
    Ok(Json(ModerationResponse {
        id: format!("modr-{}", uuid::Uuid::new_v4().simple()),
        model: engine.card().reference(),
        usage: ModerationUsage { prompt_tokens: n_tokens, total_tokens: n_tokens },
        results: reports.iter().map(Moderation::of).collect(),
    }))
}

impl Moderation {
    fn of(report: &Report) -> Self {
        let mut categories = report.categories.clone();
        // OpenAI's clients drop the key self_harm: it is the name, but not the alias, of a field of
        // theirs. Under the alias they keep it.
        let self_harm =
            categories.0.iter().find(|(id, _)| id == "self_harm").map(|(_, entry)| *entry);
        categories.0.extend(self_harm.map(|entry| ("self-harm".to_owned(), entry)));
        Self {
            flagged: report.flagged,
            categories: categories.map(|category| category.violated),
            category_scores: categories.map(|category| category.score),
            category_applied_input_types: categories.map(|_| ["text"]),
        }
    }
}

impl ModerationRequest {
    fn parse(body: Value) -> Result<Self> {
        let mut fields = Fields::of(body, &["input", "model", "metadata"])?;
        let model = fields.take("model").map(|model| json::string("model", model)).transpose()?;
        let input = Input::parse(fields.require("input")?)?;
        Ok(Self { input, model, metadata: fields.take("metadata") })
    }
}
