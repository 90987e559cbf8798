//! Reads requests with a JSON body, and the options in their headers.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::body::Bytes;
use axum::extract::FromRef;
use axum::extract::FromRequest;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_ENCODING;
use axum::http::header::CONTENT_LENGTH;
use axum::http::header::CONTENT_TYPE;
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;

use crate::engine::Deadline;
use crate::error::Error;
use crate::http::app::App;
use crate::http::auth::KeyName;
use crate::http::problem::Problem;
use crate::http::telemetry::context::Context;
use crate::json;
use crate::key::Account;

/// A request with a JSON body, and the options in its headers.
#[derive(Debug)]
pub(in crate::http) struct JsonRequest<T> {
    pub(in crate::http) body: T,
    pub(in crate::http) options: RequestOptions,
}

/// The options and the origin of a request.
#[derive(Debug)]
pub(in crate::http) struct RequestOptions {
    pub(in crate::http) deadline: Deadline,
    /// The policy named in a header.
    pub(in crate::http) policy: Option<String>,
    /// The model named in a header, or else in the path or the body.
    pub(in crate::http) model: Option<String>,
    /// The account of the request's key, which is charged for the tokens.
    pub(in crate::http) account: Option<Arc<Account>>,
    /// The name of the request's key.
    pub(in crate::http) key: Option<KeyName>,
    /// The request's id, route, timings and cost, for the logs and traces.
    pub(in crate::http) context: Context,
}

impl RequestOptions {
    /// Selects the model that the path or the body names, unless a header names one.
    pub(in crate::http) fn select_model(&mut self, name: String) {
        self.model.get_or_insert(name);
    }

    /// Selects a model like [`Self::select_model`], but only if a model of that name is loaded: the
    /// name may be another vendor's.
    pub(in crate::http) fn select_model_if_loaded(&mut self, app: &App, name: Option<&str>) {
        if let Some(name) = name.filter(|name| app.find_slot(name).is_some()) {
            self.select_model(name.to_owned());
        }
    }
}

impl<S, T> FromRequest<S> for JsonRequest<T>
where
    S: Send + Sync,
    App: FromRef<S>,
    T: DeserializeOwned + Send + 'static,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let app = App::from_ref(state);
        let settings = app.settings();
        let (parts, body) = request.into_parts();
        check_media_type(&parts.headers)?;
        check_encoding(&parts.headers)?;
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
        let options = RequestOptions { deadline, policy, model, account, key, context };
        Ok(Self { body: parse(bytes).await?, options })
    }
}

/// Parses the body. Long bodies take milliseconds and are parsed on the blocking pool.
async fn parse<T: DeserializeOwned + Send + 'static>(bytes: Bytes) -> Result<T, Problem> {
    if is_utf16(&bytes) {
        return Err(Problem::utf16());
    }
    if bytes.len() <= MAX_INLINE_BYTES {
        return Ok(json::from_bytes(&bytes)?);
    }
    let parsed = tokio::task::spawn_blocking(move || json::from_bytes(&bytes)).await;
    Ok(parsed.map_err(|_| Error::Stopped)??)
}

/// Returns whether a body is JSON in UTF-16, with or without a byte order mark: JSON begins with an
/// ASCII character, so one of the first two bytes is 0.
fn is_utf16(bytes: &[u8]) -> bool {
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
        [first, second, ..] => (*first == 0) != (*second == 0),
        _ => false,
    }
}

/// Reads the name in a header, if the header is present.
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

/// Rejects unsupported encodings; the decompression layer removes the header when it decodes a
/// body.
fn check_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(()),
        Some(encoding) => Err(Problem::unsupported_encoding(&String::from_utf8_lossy(encoding))),
    }
}

/// Shortens the deadline if the request asks for an earlier one.
fn lowered(deadline: Deadline, headers: &HeaderMap) -> Result<Deadline, Problem> {
    let Some(value) = headers.get(TIMEOUT_HEADER) else { return Ok(deadline) };
    let timeout_ms = value.to_str().ok().and_then(|value| value.parse::<u64>().ok());
    match timeout_ms {
        Some(timeout_ms) if timeout_ms > 0 => {
            Ok(deadline.shortened_to(Duration::from_millis(timeout_ms)))
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

/// Reads a body of at most `max` bytes.
pub(in crate::http) async fn read(body: Body, max: usize) -> Result<Bytes, Problem> {
    axum::body::to_bytes(body, max).await.map_err(|fault| {
        // Any error other than the limit means that the client has disconnected.
        let too_large = fault.source().is_some_and(<dyn std::error::Error>::is::<LengthLimitError>);
        if too_large { Problem::body_too_large(max) } else { Problem::body_incomplete() }
    })
}

/// The header that selects the policy of a request.
pub(in crate::http) const POLICY_HEADER: &str = "x-moderato-policy";
/// The header that selects the model of a request.
pub(in crate::http) const MODEL_HEADER: &str = "x-moderato-model";
/// The header that shortens the deadline of a request.
pub(in crate::http) const TIMEOUT_HEADER: &str = "x-request-timeout-ms";
/// About the size that can be parsed in half a millisecond.
const MAX_INLINE_BYTES: usize = 64 * 1024;
