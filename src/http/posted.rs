//! A posted JSON body, and the time there is to answer it.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::FromRef;
use axum::extract::FromRequest;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use axum::http::header::CONTENT_TYPE;
use http_body_util::LengthLimitError;
use serde_json::Value;

use crate::engine::Deadline;
use crate::http::app::App;
use crate::http::context::Context;
use crate::http::gate::KeyName;
use crate::http::problem::Problem;
use crate::json;
use crate::key::Account;

/// A body that is JSON, within the limits.
#[derive(Debug)]
pub(super) struct Posted {
    pub(super) body: Value,
    pub(super) deadline: Deadline,
    /// The policy that the headers ask for.
    pub(super) policy: Option<String>,
    /// The model that the headers ask for, else the path or the body.
    pub(super) model: Option<String>,
    /// Pays for it, if it came with a key.
    pub(super) account: Option<Arc<Account>>,
    /// The name of that key.
    pub(super) key: Option<KeyName>,
    /// Which request it is.
    pub(super) context: Context,
}

impl Posted {
    /// The model that the path or the body names is meant, unless a header says otherwise.
    pub(super) fn name_model(&mut self, name: String) {
        self.model.get_or_insert(name);
    }

    /// The same where the name may be one that only the client's own vendor knows.
    pub(super) fn suggest_model(&mut self, app: &App, name: Option<&str>) {
        if let Some(name) = name.filter(|name| app.models().find(name).is_some()) {
            self.name_model(name.to_owned());
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for Posted
where
    App: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let app = App::from_ref(state);
        let settings = app.settings();
        let (parts, body) = request.into_parts();
        // Clients of the Open Inference Protocol name no media type.
        if parts.headers.contains_key(CONTENT_TYPE) || !parts.uri.path().starts_with("/v2/") {
            check_media_type(&parts.headers)?;
        }
        let deadline = lowered(Deadline::after(settings.timeout), &parts.headers)?;
        check_length(&parts.headers, settings.max_body_bytes)?;
        let bytes = tokio::time::timeout_at(deadline.at(), read(body, settings.max_body_bytes))
            .await
            .map_err(|_| Problem::body_too_slow(deadline.timeout_ms()))??;
        let policy = named(&parts.headers, POLICY_HEADER, "the id of a policy")?;
        let model = named(&parts.headers, MODEL_HEADER, "the name of a model")?;
        let account = parts.extensions.get().cloned();
        let key = parts.extensions.get().cloned();
        let context = parts.extensions.get().cloned();
        let context = context.unwrap_or_else(|| Context::new(String::new(), String::new()));
        Ok(Self { body: json::parse(&bytes)?, deadline, policy, model, account, key, context })
    }
}

/// What a header names.
fn named(
    headers: &HeaderMap,
    header: &'static str,
    expected: &'static str,
) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(header) else { return Ok(None) };
    match value.to_str() {
        Ok(name) => Ok(Some(name.to_owned())),
        Err(_) => Err(Problem::invalid_header(header, expected)),
    }
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    let is_json = essence == "application/json"
        || essence.starts_with("application/") && essence.ends_with("+json");
    if is_json { Ok(()) } else { Err(Problem::unsupported_media_type()) }
}

/// The deadline that the request asks for, if it is nearer than ours.
fn lowered(deadline: Deadline, headers: &HeaderMap) -> Result<Deadline, Problem> {
    let Some(value) = headers.get(TIMEOUT_HEADER) else { return Ok(deadline) };
    let timeout_ms = value.to_str().ok().and_then(|value| value.parse::<u64>().ok());
    match timeout_ms {
        Some(timeout_ms) if timeout_ms > 0 => {
            Ok(deadline.lowered_to(Duration::from_millis(timeout_ms)))
        }
        _ => Err(Problem::invalid_header(TIMEOUT_HEADER, "a whole number of milliseconds above 0")),
    }
}

fn check_length(headers: &HeaderMap, max: usize) -> Result<(), Problem> {
    let length =
        headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match length {
        Some(length) if u64::try_from(max).is_ok_and(|max| length > max) => {
            Err(Problem::body_too_large(max))
        }
        _ => Ok(()),
    }
}

async fn read(body: Body, max: usize) -> Result<axum::body::Bytes, Problem> {
    axum::body::to_bytes(body, max).await.map_err(|fault| {
        // The limit is the only fault that is ours to name; else the client broke off.
        let too_large = fault.source().is_some_and(<dyn std::error::Error>::is::<LengthLimitError>);
        if too_large { Problem::body_too_large(max) } else { Problem::body_incomplete() }
    })
}

/// Chooses the policy by which one request is judged.
pub(super) const POLICY_HEADER: &str = "x-moderato-policy";
/// Chooses the model that scores one request.
pub(super) const MODEL_HEADER: &str = "x-moderato-model";
/// Lowers the deadline of one request.
pub(super) const TIMEOUT_HEADER: &str = "x-request-timeout-ms";
