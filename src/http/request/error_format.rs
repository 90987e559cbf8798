//! The error formats of contracts, and the format that consists of a message only.

use axum::Json;
use axum::http::HeaderName;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::problem::RETRY_AFTER_MS;
use crate::http::problem::ReportedError;

/// Rewrites a response in the error format of a contract if the response is an error.
pub(in crate::http) type ErrorFormat = fn(Response) -> Response;

/// Declares the error responses of a route for its OpenAPI description.
macro_rules! failures {
    ($name:ident: $body:ty) => {
        /// The error responses of a route.
        #[derive(Debug, utoipa::IntoResponses)]
        #[expect(dead_code, reason = "read by the documentation")]
        pub(in crate::http) enum $name {
            /// The request was refused.
            #[response(status = "4XX")]
            Client($body),
            /// 503: retry later; 504: the deadline has passed.
            #[response(status = "5XX")]
            Server($body),
        }
    };
}
pub(in crate::http) use failures;

/// An error in the format of the Open Inference Protocol, KServe and Hugging Face.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct MessageError {
    error: String,
}

failures!(MessageFailures: MessageError);

/// Rewrites errors as [`MessageError`].
pub(in crate::http) fn message(response: Response) -> Response {
    rewrite(response, |status, error| (status, Json(MessageError { error })).into_response())
}

/// Keeps errors in moderato's own format.
pub(in crate::http) fn ours(response: Response) -> Response {
    response
}

/// Replaces an error response with the result of `write`, which gets the status and the message.
/// Returns other responses unchanged.
pub(in crate::http) fn rewrite(
    mut response: Response,
    write: impl FnOnce(StatusCode, String) -> Response,
) -> Response {
    let Some(failure) = response.extensions().get::<ReportedError>() else { return response };
    let mut rewritten = write(response.status(), failure.message.clone());
    for name in PRESERVED_HEADERS {
        if let Some(value) = response.headers_mut().remove(&name) {
            rewritten.headers_mut().insert(name, value);
        }
    }
    // The log and the metrics read the extensions.
    *rewritten.extensions_mut() = std::mem::take(response.extensions_mut());
    rewritten
}

/// Headers that are kept: the clients of all services understand them.
const PRESERVED_HEADERS: [HeaderName; 4] =
    [header::RETRY_AFTER, RETRY_AFTER_MS, header::ALLOW, header::WWW_AUTHENTICATE];
