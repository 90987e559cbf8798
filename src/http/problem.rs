//! Error responses: the shared error body, and the mapping of errors to status codes.

use std::time::Duration;

use axum::Json;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::http::header::WWW_AUTHENTICATE;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Serialize;
use utoipa::IntoResponses;
use utoipa::ToSchema;

use crate::error::Error;
use crate::error::Kind;
use crate::error::shorten;

/// An error response.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
    param: Option<String>,
    /// Details for the log, which never quotes a client.
    detail: Option<String>,
    /// How long the client should wait before it retries.
    wait: Option<Duration>,
}

/// The error of a response, attached to it for the log, the metrics and other error formats.
#[derive(Debug, Clone)]
pub(super) struct ReportedError {
    pub(super) code: &'static str,
    /// For the log; `None` where it could quote names that the client chose.
    pub(super) detail: Option<String>,
    /// The message for the client.
    pub(super) message: String,
}

/// The error responses of a route.
#[derive(Debug, IntoResponses)]
#[expect(dead_code, reason = "read by the documentation")]
pub(super) enum ErrorResponses {
    /// The request was refused.
    #[response(status = "4XX")]
    Client(ErrorBody),
    /// 503: retry later; 504: the deadline has passed.
    #[response(status = "5XX")]
    Server(ErrorBody),
}

/// The body of every error response.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorBody {
    error: ErrorDetail,
}

#[derive(Debug, Serialize, ToSchema)]
struct ErrorDetail {
    /// A human-readable message.
    message: String,
    /// `invalid_request_error`, `rate_limit_error`, `overloaded_error`, `timeout_error` or
    /// `server_error`.
    r#type: &'static str,
    /// The field that caused the error, if any.
    param: Option<String>,
    /// A stable error code for programs.
    code: &'static str,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            Kind::Input => StatusCode::BAD_REQUEST,
            Kind::Unknown => StatusCode::NOT_FOUND,
            Kind::Conflict => StatusCode::CONFLICT,
            Kind::Overload => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Kind::Setup | Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let is_ours = status == StatusCode::INTERNAL_SERVER_ERROR;
        let may_quote = matches!(error.kind(), Kind::Input | Kind::Unknown);
        Self {
            status,
            code: error.code(),
            message: if is_ours { INTERNAL.into() } else { error.to_string() },
            param: param(&error),
            detail: (!may_quote).then(|| error.chain()),
            wait: wait(&error),
        }
    }
}

impl Problem {
    /// Creates an error response for operators: internal errors become 422 with the whole chain of
    /// causes as the message.
    pub(super) fn told(error: Error) -> Self {
        let chain = error.chain();
        let problem = Self::from(error);
        match problem.status {
            StatusCode::INTERNAL_SERVER_ERROR => {
                Self { status: StatusCode::UNPROCESSABLE_ENTITY, message: chain, ..problem }
            }
            _ => problem,
        }
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is no such route; see /docs".into())
    }

    pub(super) fn method_not_allowed() -> Self {
        let message = "this route does not take this method; see the header allow".into();
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
    }

    pub(super) fn unsupported_media_type() -> Self {
        let message = "the body must come with the header content-type: application/json".into();
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
    }

    pub(super) fn unsupported_encoding(encoding: &str) -> Self {
        let encoding = shorten(encoding);
        let message = format!(
            "content-encoding {encoding:?} is not supported; use gzip, deflate, br or zstd"
        );
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self { detail: None, ..Self::new(status, "unsupported_encoding", message) }
    }

    pub(super) fn utf16() -> Self {
        let message = "the body is UTF-16; JSON is exchanged in UTF-8".into();
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
    }

    pub(super) fn body_too_large(max: usize) -> Self {
        let message = format!("the body has more than {max} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
    }

    pub(super) fn body_too_slow(timeout_ms: u64) -> Self {
        let message = format!("the body did not arrive within {timeout_ms} ms");
        Self::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", message)
    }

    pub(super) fn body_incomplete() -> Self {
        let message = "the body ended early".into();
        Self::new(StatusCode::BAD_REQUEST, "body_incomplete", message)
    }

    pub(super) fn headers_too_slow(timeout: Duration) -> Self {
        let message = format!("the headers did not arrive within {} ms", timeout.as_millis());
        Self::new(StatusCode::REQUEST_TIMEOUT, "headers_too_slow", message)
    }

    pub(super) fn headers_too_large(max: usize) -> Self {
        let message = format!("the headers have more than {max} bytes");
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        Self::new(status, "headers_too_large", message)
    }

    pub(super) fn too_many_connections() -> Self {
        let message = "there are too many connections; see the header retry-after".into();
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_connections", message);
        Self { wait: Some(Duration::from_secs(1)), ..problem }
    }

    pub(super) fn invalid_header(name: &'static str, expected: &str) -> Self {
        let message = format!("the header {name} must be {expected}");
        let problem = Self::new(StatusCode::BAD_REQUEST, "invalid_header", message);
        Self { param: Some(name.into()), ..problem }
    }

    pub(super) fn missing_api_key() -> Self {
        let message = "a key is needed, as in the header authorization: Bearer KEY".into();
        Self::new(StatusCode::UNAUTHORIZED, "invalid_api_key", message)
    }

    pub(super) fn unknown_api_key() -> Self {
        let message = "the API key is unknown".into();
        Self::new(StatusCode::UNAUTHORIZED, "invalid_api_key", message)
    }

    pub(super) fn insufficient_role() -> Self {
        let message = "this route is for keys with the role admin".into();
        Self::new(StatusCode::FORBIDDEN, "insufficient_role", message)
    }

    /// Creates the 429 response for a key whose quota is used up; an overloaded server answers 503.
    pub(super) fn slow_down(wait: Duration) -> Self {
        let message = "the quota of the key is used up; see the header retry-after".into();
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "slow_down", message);
        Self { wait: Some(wait), ..problem }
    }

    fn new(status: StatusCode, code: &'static str, message: String) -> Self {
        let detail = Some(message.clone());
        Self { status, code, message, param: None, detail, wait: None }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (detail, message) = (self.detail, self.message.clone());
        let body = ErrorBody {
            error: ErrorDetail {
                message: self.message,
                r#type: error_type(self.status),
                param: self.param,
                code: self.code,
            },
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        if let Some(wait) = self.wait {
            headers.insert(RETRY_AFTER, rounded_up(wait, Duration::from_secs(1)));
            headers.insert(RETRY_AFTER_MS, rounded_up(wait, Duration::from_millis(1)));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(ReportedError { code: self.code, detail, message });
        response
    }
}

/// Returns the response to a request whose handler panicked.
pub(super) fn panicked() -> Response {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    Problem::new(status, "internal_error", INTERNAL.into()).into_response()
}

/// Rounds up to whole units: a client that retried earlier would be refused again.
fn rounded_up(wait: Duration, unit: Duration) -> HeaderValue {
    let n_units = wait.as_nanos().div_ceil(unit.as_nanos());
    HeaderValue::from(u64::try_from(n_units).unwrap_or(u64::MAX))
}

/// Returns how long a client should wait before it retries.
fn wait(error: &Error) -> Option<Duration> {
    match error {
        Error::QueueFull { retry_ms, .. } => Some(Duration::from_millis(*retry_ms)),
        // Loading a model takes about that long, and a failed audit log is retried every second.
        _ if error.kind() == Kind::Overload => Some(Duration::from_secs(1)),
        _ => None,
    }
}

fn error_type(status: StatusCode) -> &'static str {
    match status {
        StatusCode::SERVICE_UNAVAILABLE => "overloaded_error",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        StatusCode::GATEWAY_TIMEOUT | StatusCode::REQUEST_TIMEOUT => "timeout_error",
        status if status.is_server_error() => "server_error",
        _ => "invalid_request_error",
    }
}

/// Returns the field of the request that caused the error.
fn param(error: &Error) -> Option<String> {
    match error {
        Error::NoTexts
        | Error::NoTurns { .. }
        | Error::EmptyText { .. }
        | Error::TextTooLong { .. }
        | Error::TooManyTexts { .. }
        | Error::TooManyTokens { .. } => Some("input".into()),
        Error::UnknownCategories { param, .. } => Some((*param).into()),
        Error::UnknownPolicy { .. } => Some("policy".into()),
        Error::UnknownModel { .. } => Some("model".into()),
        Error::InvalidThreshold { category, .. } => Some(format!("thresholds.{category}")),
        Error::MissingField { param }
        | Error::InvalidType { param, .. }
        | Error::InvalidValue { param, .. }
        | Error::Unsupported { param, .. }
        | Error::UnknownField { param, .. } => Some(param.clone()),
        Error::Line { source, .. } => param(source),
        Error::MalformedJson { .. }
        | Error::JsonTooDeep { .. }
        | Error::LineTooLong { .. }
        | Error::FieldTaken { .. }
        | Error::QueueFull { .. }
        | Error::Starting
        | Error::Unaudited
        | Error::DeadlineExceeded { .. }
        | Error::Stopped
        | Error::Encode { .. }
        | Error::Forward { .. }
        | Error::NonFinite { .. }
        | Error::File { .. }
        | Error::Artifact { .. }
        | Error::Config { .. }
        | Error::Listen { .. }
        | Error::Memory { .. }
        | Error::Staging
        | Error::NothingBefore
        | Error::NoShadow
        | Error::ShadowCrashed
        | Error::Hub { .. } => None,
    }
}

const INTERNAL: &str = "internal error";
/// The wait in milliseconds, honoured by OpenAI's and Mistral's clients.
pub(super) const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
