//! Errors in the words of other services: what their clients read.

use axum::Json;
use axum::http::HeaderName;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Serialize;
use utoipa::IntoResponses;
use utoipa::ToSchema;

use crate::http::problem::Failure;
use crate::http::problem::RETRY_AFTER_MS;

/// An error as text-embeddings-inference writes it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TeiError {
    error: String,
    /// `Validation`, `Overloaded`, `Backend` or `Unhealthy`.
    error_type: &'static str,
}

/// An error of the Open Inference Protocol and of KServe.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InferenceError {
    error: String,
}

/// An error of the FMS detector API.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DetectorError {
    /// The status.
    code: u16,
    message: String,
}

/// An error of Google's APIs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GoogleError {
    error: GoogleErrorDetail,
}

#[derive(Debug, Serialize, ToSchema)]
struct GoogleErrorDetail {
    /// The status.
    code: u16,
    message: String,
    /// `INVALID_ARGUMENT`, `UNAVAILABLE`, ...
    status: &'static str,
}

macro_rules! faults {
    ($(#[$doc:meta])* $name:ident: $body:ty) => {
        $(#[$doc])*
        #[derive(Debug, IntoResponses)]
        #[expect(dead_code, reason = "read by the documentation")]
        pub(super) enum $name {
            /// The request is at fault.
            #[response(status = "4XX")]
            Client($body),
            /// 503: try again later; 504: too late.
            #[response(status = "5XX")]
            Server($body),
        }
    };
}

faults! {
    /// What a route may answer beside what was asked for.
    TeiFaults: TeiError
}
faults! {
    /// What a route may answer beside what was asked for.
    InferenceFaults: InferenceError
}
faults! {
    /// What a route may answer beside what was asked for.
    DetectorFaults: DetectorError
}
faults! {
    /// What a route may answer beside what was asked for.
    GoogleFaults: GoogleError
}

/// Errors as text-embeddings-inference and the clients of its routes know them.
///
/// It answers 429 for an overload of its own; 503 is what balancers understand, and stays.
pub(super) async fn tei(response: Response) -> Response {
    translate(response, |status, error| {
        let (status, error_type) = match status {
            StatusCode::BAD_REQUEST => (StatusCode::UNPROCESSABLE_ENTITY, "Validation"),
            StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS => (status, "Overloaded"),
            _ if status.is_server_error() => (status, "Backend"),
            _ => (status, "Validation"),
        };
        (status, Json(TeiError { error, error_type })).into_response()
    })
}

/// Errors of the Open Inference Protocol and of KServe.
pub(super) async fn inference(response: Response) -> Response {
    translate(response, |status, error| (status, Json(InferenceError { error })).into_response())
}

/// Errors of the FMS detector API, which knows 422 for what cannot be read.
pub(super) async fn detector(response: Response) -> Response {
    translate(response, |status, message| {
        let status = match status {
            StatusCode::BAD_REQUEST => StatusCode::UNPROCESSABLE_ENTITY,
            other => other,
        };
        (status, Json(DetectorError { code: status.as_u16(), message })).into_response()
    })
}

/// Errors of Google's APIs.
pub(super) async fn google(response: Response) -> Response {
    translate(response, |status, message| {
        let name = match status {
            StatusCode::SERVICE_UNAVAILABLE => "UNAVAILABLE",
            StatusCode::GATEWAY_TIMEOUT => "DEADLINE_EXCEEDED",
            StatusCode::NOT_FOUND => "NOT_FOUND",
            StatusCode::UNAUTHORIZED => "UNAUTHENTICATED",
            StatusCode::FORBIDDEN => "PERMISSION_DENIED",
            StatusCode::TOO_MANY_REQUESTS => "RESOURCE_EXHAUSTED",
            _ if status.is_server_error() => "INTERNAL",
            _ => "INVALID_ARGUMENT",
        };
        let error = GoogleErrorDetail { code: status.as_u16(), message, status: name };
        (status, Json(GoogleError { error })).into_response()
    })
}

/// Puts the words of another service in place of ours, if it is an error.
fn translate(
    mut response: Response,
    words: impl FnOnce(StatusCode, String) -> Response,
) -> Response {
    let Some(failure) = response.extensions().get::<Failure>() else { return response };
    let mut translated = words(response.status(), failure.message.clone());
    for name in KEPT {
        if let Some(value) = response.headers_mut().remove(&name) {
            translated.headers_mut().insert(name, value);
        }
    }
    // For the log and the metrics.
    *translated.extensions_mut() = std::mem::take(response.extensions_mut());
    translated
}

/// What clients of every service understand.
const KEPT: [HeaderName; 4] =
    [header::RETRY_AFTER, RETRY_AFTER_MS, header::ALLOW, header::WWW_AUTHENTICATE];
