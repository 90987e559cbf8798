//! `POST /request` and `POST /response`: the guardrail webhook by which kgateway, agentgateway and
//! Gloo AI Gateway ask whether prompts and responses may pass.

use std::ops::Range;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::Result;
use crate::http::app::App;
use crate::http::auth::AccessRule;
use crate::http::auth::Area;
use crate::http::problem::Problem;
use crate::http::request::contract::Contract;
use crate::http::request::contract::add_schema;
use crate::http::request::error_format;
use crate::http::request::error_format::failures;
use crate::http::request::json_request::JsonRequest;
use crate::http::request::json_request::RequestOptions;
use crate::http::request::judged;
use crate::http::request::judged::Judged;
use crate::http::request::scoring::Scoring;

/// The contract.
pub(super) const CONTRACT: Contract = Contract {
    routes: &[(AccessRule::for_area(Area::Service), routes)],
    error_format: write_error,
    schemas: &[add_schema::<ValidationErrors>, add_schema::<OnViolation>],
};

fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(check_prompt)).routes(routes!(check_response))
}

/// A prompt on its way to a language model. Other fields are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub(in crate::http) struct WebhookPromptRequest {
    body: PromptMessages,
}

/// A response of a language model. Other fields are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub(in crate::http) struct WebhookResponseRequest {
    body: ResponseChoices,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
struct PromptMessages {
    #[schema(min_items = 1)]
    messages: Vec<WebhookMessage>,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
struct ResponseChoices {
    #[schema(min_items = 1)]
    choices: Vec<ResponseChoice>,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
struct ResponseChoice {
    message: WebhookMessage,
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
struct WebhookMessage {
    role: String,
    #[serde(default)]
    #[schema(required = false)]
    content: String,
}

/// The action for the gateway to take.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct WebhookResponse {
    action: WebhookAction,
}

/// Gateways distinguish the variants by their fields: they look for an object in `body`, then for a
/// status code.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum WebhookAction {
    /// Replace the messages with these.
    Mask { body: MaskedBody, reason: String },
    /// Answer the client with this body and status.
    Reject { body: String, status_code: u16, reason: String },
    /// Let the content pass.
    Pass {
        /// The violated categories, if any, none of which calls for blocking.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum MaskedBody {
    Prompt(PromptMessages),
    Response(ResponseChoices),
}

/// What to do with content whose action is block or report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "lowercase")]
pub(in crate::http) enum OnViolation {
    Mask,
    Reject,
}

/// Decides whether a prompt may pass; each of its messages is judged separately.
#[utoipa::path(
    post, path = "/request", operation_id = "check_prompt", request_body = WebhookPromptRequest,
    params(("x-moderato-on-violation" = Option<OnViolation>, Header,
        description = "`reject` (the default) or `mask`.")),
    responses((status = 200, body = WebhookResponse), WebhookFailures),
)]
pub(in crate::http) async fn check_prompt(
    State(app): State<App>,
    OnViolationHeader(on_violation): OnViolationHeader,
    JsonRequest { body, options }: JsonRequest<WebhookPromptRequest>,
) -> Result<Json<WebhookResponse>, Problem> {
    let on_violation = on_violation.unwrap_or(OnViolation::Reject);
    let PromptMessages { mut messages } = body.body;
    let contents = messages.iter_mut().map(|message| &mut message.content).collect();
    let decision = decide(&app, &options, on_violation, contents).await?;
    let masked = MaskedBody::Prompt(PromptMessages { messages });
    Ok(Json(WebhookResponse { action: decision.action(masked) }))
}

/// Decides whether a response may pass; each of its choices is judged separately.
#[utoipa::path(
    post, path = "/response", operation_id = "check_response",
    request_body = WebhookResponseRequest,
    params(("x-moderato-on-violation" = Option<OnViolation>, Header,
        description = "`mask` (the default) or `reject`, which not every gateway supports here.")),
    responses((status = 200, body = WebhookResponse), WebhookFailures),
)]
pub(in crate::http) async fn check_response(
    State(app): State<App>,
    OnViolationHeader(on_violation): OnViolationHeader,
    JsonRequest { body, options }: JsonRequest<WebhookResponseRequest>,
) -> Result<Json<WebhookResponse>, Problem> {
    let on_violation = on_violation.unwrap_or(OnViolation::Mask);
    let ResponseChoices { mut choices } = body.body;
    let contents = choices.iter_mut().map(|choice| &mut choice.message.content).collect();
    let decision = decide(&app, &options, on_violation, contents).await?;
    let masked = MaskedBody::Response(ResponseChoices { choices });
    Ok(Json(WebhookResponse { action: decision.action(masked) }))
}

/// The decision on the contents, and the reason.
enum Decision {
    Pass(Option<String>),
    Mask(String),
    Reject(String),
}

/// Judges the contents of messages; if the decision is to mask, masks them in place.
async fn decide(
    app: &App,
    options: &RequestOptions,
    on_violation: OnViolation,
    contents: Vec<&mut String>,
) -> Result<Decision> {
    let mut scoring = Scoring::new(app, options, None)?;
    scoring.spans = on_violation == OnViolation::Mask;
    let texts = contents.iter().map(|content| content.as_str().to_owned()).collect();
    let judged = scoring.texts(texts).await?;
    let blocked = judged.iter().filter(|judged| judged.is_blocked());
    let Some(reason) = judged::reason(blocked) else {
        return Ok(Decision::Pass(judged::reason(&judged)));
    };
    if on_violation == OnViolation::Reject {
        return Ok(Decision::Reject(reason));
    }
    for (content, judged) in std::iter::zip(contents, &judged) {
        if judged.is_blocked() {
            mask(content, judged);
        }
    }
    Ok(Decision::Mask(reason))
}

/// Masks the spans that violate the policy; clears the whole content if a violation has no span.
fn mask(content: &mut String, judged: &Judged) {
    let mut spans: Vec<Range<usize>> = Vec::new();
    for entry in judged.entries().filter(|entry| entry.judgement.violated) {
        let found = entry.spans.unwrap_or_default();
        if found.is_empty() {
            content.clear();
            return;
        }
        spans.extend(found.iter().map(|span| span.bytes[0]..span.bytes[1]));
    }
    // Spans are replaced from the last to the first, so that the offsets of earlier spans stay
    // valid.
    for span in merged(spans).into_iter().rev() {
        content.replace_range(span, MASK);
    }
}

/// Sorts ranges and merges those that overlap or touch.
fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

impl Decision {
    fn action(self, masked: MaskedBody) -> WebhookAction {
        match self {
            Self::Pass(reason) => WebhookAction::Pass { reason },
            Self::Mask(reason) => WebhookAction::Mask { body: masked, reason },
            Self::Reject(reason) => WebhookAction::Reject {
                body: reason.clone(),
                status_code: StatusCode::FORBIDDEN.as_u16(),
                reason,
            },
        }
    }
}

/// The value of the header `x-moderato-on-violation`, if present.
#[derive(Debug)]
pub(in crate::http) struct OnViolationHeader(Option<OnViolation>);

impl<S: Sync> FromRequestParts<S> for OnViolationHeader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        match parts.headers.get(ON_VIOLATION_HEADER).map(HeaderValue::as_bytes) {
            None => Ok(Self(None)),
            Some(b"mask") => Ok(Self(Some(OnViolation::Mask))),
            Some(b"reject") => Ok(Self(Some(OnViolation::Reject))),
            Some(_) => Err(Problem::invalid_header(ON_VIOLATION_HEADER, "mask or reject")),
        }
    }
}

/// The error body of the contract.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ValidationErrors {
    detail: [ValidationError; 1],
}

#[derive(Debug, Serialize, ToSchema)]
struct ValidationError {
    loc: [&'static str; 1],
    msg: String,
    #[serde(rename = "type")]
    kind: &'static str,
}

failures!(WebhookFailures: ValidationErrors);

/// Writes errors in the format of the contract, which uses 422 for invalid requests.
fn write_error(response: Response) -> Response {
    error_format::rewrite(response, |status, msg| {
        let status = match status {
            StatusCode::BAD_REQUEST => StatusCode::UNPROCESSABLE_ENTITY,
            other => other,
        };
        let kind = if status.is_client_error() { "value_error" } else { "server_error" };
        let detail = [ValidationError { loc: ["body"], msg, kind }];
        (status, Json(ValidationErrors { detail })).into_response()
    })
}

/// The header that chooses between masking and rejecting.
const ON_VIOLATION_HEADER: &str = "x-moderato-on-violation";
/// The replacement for masked spans.
const MASK: &str = "***";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_ranges_are_one() {
        for (ranges, expected) in [
            (&[][..], &[][..]),
            (&[30..31, 5..9, 0..14], &[0..14, 30..31]),
            (&[0..14, 5..9, 14..20, 30..31], &[0..20, 30..31]),
            (&[7..9, 1..3], &[1..3, 7..9]),
        ] {
            assert_eq!(merged(ranges.to_vec()), expected, "{ranges:?}");
        }
    }
}
