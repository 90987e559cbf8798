//! `POST /beta/litellm_basic_guardrail_api`: LiteLLM's contract for guardrails of any maker.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::Error;
use crate::error::Result;
use crate::http::app::App;
use crate::http::ask::Ask;
use crate::http::fms;
use crate::http::judged::Judged;
use crate::http::messages;
use crate::http::posted::Posted;
use crate::http::problem::Faults;
use crate::http::problem::Problem;
use crate::json;
use crate::json::Fields;

/// What passes a proxy. Other fields are left alone.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "read by the documentation")]
pub(super) struct GuardrailRequest {
    /// All are judged; those without a word pass.
    texts: Option<Vec<String>>,
    /// Refused, unless the server leaves images out.
    images: Option<Vec<String>>,
    additional_provider_specific_params: Option<GuardrailParams>,
}

#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "read by the documentation")]
struct GuardrailParams {
    /// Of all categories, in place of the policy's.
    #[schema(minimum = 0, maximum = 1)]
    threshold: Option<f64>,
}

/// What the proxy should do.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GuardrailResponse {
    /// `NONE`, or `BLOCKED` where the policy has a text blocked or reported.
    action: &'static str,
    /// Which categories are violated.
    #[serde(skip_serializing_if = "Option::is_none")]
    blocked_reason: Option<String>,
}

/// Decides whether texts may pass; answers as LiteLLM's proxy expects.
#[utoipa::path(
    post, path = "/beta/litellm_basic_guardrail_api", operation_id = "decide_guardrail",
    request_body = GuardrailRequest,
    responses((status = 200, body = GuardrailResponse), Faults),
)]
pub(super) async fn decide(
    State(app): State<App>,
    mut posted: Posted,
) -> Result<Json<GuardrailResponse>, Problem> {
    let mut ask = Ask::new(&app, &posted, None)?;
    let mut fields = Fields::lenient("body", posted.body.take())?;
    let param = "additional_provider_specific_params";
    fms::set_threshold(&mut ask, param, fields.take(param))?;
    let texts = texts(&app, &mut fields)?;
    if texts.is_empty() {
        return Ok(Json(GuardrailResponse { action: "NONE", blocked_reason: None }));
    }
    let judged = ask.texts(texts).await?;
    Ok(Json(GuardrailResponse::new(&judged)))
}

fn texts(app: &App, fields: &mut Fields) -> Result<Vec<String>> {
    let has_images = matches!(fields.take("images"), Some(Value::Array(all)) if !all.is_empty());
    if has_images && !app.settings().ignore_images {
        let (param, reason) = ("images".into(), messages::ONLY_TEXT);
        return Err(Error::Unsupported { param, reason });
    }
    let mut texts = match fields.take("texts") {
        Some(texts) => json::strings("texts", texts)?,
        None => Vec::new(),
    };
    texts.retain(|text| !text.trim().is_empty());
    Ok(texts)
}

impl GuardrailResponse {
    fn new(judged: &[Judged]) -> Self {
        let blocked: Vec<_> = judged.iter().filter(|judged| judged.is_blocked()).collect();
        if blocked.is_empty() {
            return Self { action: "NONE", blocked_reason: None };
        }
        let mut violated = Vec::new();
        for entry in blocked.into_iter().flat_map(Judged::entries) {
            if entry.judgement.violated && !violated.contains(&entry.id) {
                violated.push(entry.id);
            }
        }
        let reason = format!("violates the usage policy: {}", violated.join(", "));
        Self { action: "BLOCKED", blocked_reason: Some(reason) }
    }
}
