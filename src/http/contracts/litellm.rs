//! `POST /beta/litellm_basic_guardrail_api`: LiteLLM's contract for third-party guardrails.

use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Error;
use crate::error::Result;
use crate::http::app::App;
use crate::http::app::Media;
use crate::http::auth::AccessRule;
use crate::http::auth::Area;
use crate::http::problem::ErrorResponses;
use crate::http::problem::Problem;
use crate::http::request::contract::Contract;
use crate::http::request::error_format;
use crate::http::request::json_request::JsonRequest;
use crate::http::request::judged;
use crate::http::request::judged::Judged;
use crate::http::request::messages;
use crate::http::request::messages::Message;
use crate::http::request::messages::ToolCall;
use crate::http::request::scoring::Scoring;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The contract.
pub(super) const CONTRACT: Contract = Contract {
    routes: &[(AccessRule::for_area(Area::Service), routes)],
    error_format: error_format::ours,
    schemas: &[],
};

fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(decide))
}

/// Content that passes through a proxy. All readable text in it is judged; other fields are
/// ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub(in crate::http) struct GuardrailRequest {
    texts: Option<Vec<String>>,
    /// Rejected unless the server is configured to ignore images.
    images: Option<Vec<String>>,
    structured_messages: Option<Vec<Message>>,
    tool_calls: Option<Vec<ToolCall>>,
    additional_provider_specific_params: Option<GuardrailParams>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct GuardrailParams {
    /// The threshold for all categories, replacing those of the policy.
    #[schema(minimum = 0, maximum = 1)]
    threshold: Option<f64>,
}

/// The action for the proxy to take.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct GuardrailResponse {
    /// `BLOCKED` if the action for any text is block or report, otherwise `NONE`.
    action: &'static str,
    /// A sentence that names the violated categories.
    #[serde(skip_serializing_if = "Option::is_none")]
    blocked_reason: Option<String>,
}

/// Decides whether texts may pass, in the format of LiteLLM's guardrail API.
#[utoipa::path(
    post, path = "/beta/litellm_basic_guardrail_api", operation_id = "decide_guardrail",
    request_body = GuardrailRequest,
    responses((status = 200, body = GuardrailResponse), ErrorResponses),
)]
pub(in crate::http) async fn decide(
    State(app): State<App>,
    JsonRequest { body, options }: JsonRequest<GuardrailRequest>,
) -> Result<Json<GuardrailResponse>, Problem> {
    let mut scoring = Scoring::new(&app, &options, None)?;
    let params = body.additional_provider_specific_params.as_ref();
    scoring.set_threshold(params.and_then(|params| params.threshold))?;
    let texts = body.into_texts(app.settings().media)?;
    if texts.is_empty() {
        return Ok(Json(GuardrailResponse { action: "NONE", blocked_reason: None }));
    }
    let judged = scoring.texts(texts).await?;
    Ok(Json(GuardrailResponse::new(&judged)))
}

impl GuardrailRequest {
    /// Returns all texts without duplicates: the proxy repeats the texts of messages.
    fn into_texts(self, media: Media) -> Result<Vec<String>> {
        if media == Media::Refused && self.images.is_some_and(|images| !images.is_empty()) {
            return Err(Error::Unsupported { param: "images".into(), reason: messages::ONLY_TEXT });
        }
        let mut texts = self.texts.unwrap_or_default();
        let messages = self.structured_messages.unwrap_or_default();
        let turns = messages::turns(messages, "structured_messages", media)?;
        texts.extend(turns.into_iter().map(|turn| turn.content));
        for call in self.tool_calls.into_iter().flatten() {
            call.read(&mut texts);
        }
        texts.retain(|text| !text.trim().is_empty());
        let mut seen = HashSet::new();
        texts.retain(|text| seen.insert(text.clone()));
        Ok(texts)
    }
}

impl GuardrailResponse {
    fn new(judged: &[Judged]) -> Self {
        let blocked = judged.iter().filter(|judged| judged.is_blocked());
        match judged::reason(blocked) {
            None => Self { action: "NONE", blocked_reason: None },
            reason => Self { action: "BLOCKED", blocked_reason: reason },
        }
    }
}
