//! Replays requests from a file through the same routes as requests over a connection.

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::http::header::CONTENT_TYPE;
use serde_json::Value;
use tower::ServiceExt;

use crate::error::Error;
use crate::error::Result;
use crate::http;
use crate::http::app::App;
use crate::http::telemetry::request_log::REQUEST_ID;

/// The routes of a service without a listener. Clones share the service.
#[derive(Debug, Clone)]
pub struct Replay(Router);

/// The response to a replayed request.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    /// The status code.
    pub status: u16,
    /// The value of the header `x-request-id`.
    pub request_id: String,
    /// The response body, or null if it is not JSON.
    pub body: Value,
}

impl Replay {
    /// Creates a replay over all routes of an app.
    pub fn new(app: App) -> Self {
        Self(http::router(app))
    }

    /// Sends a request with a JSON body to one route and returns the response.
    pub async fn ask(&self, method: &str, url: &str, body: &Value) -> Result<Replayed> {
        let request = Request::builder()
            .method(method)
            .uri(url)
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .map_err(|_| {
                let expected = "a method and a path of this server".into();
                Error::InvalidValue { param: "method, url".into(), expected }
            })?;
        let response = match self.0.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let status = response.status().as_u16();
        let request_id = response.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
        let request_id = request_id.unwrap_or_default().to_owned();
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await;
        let body = serde_json::from_slice(&bytes.unwrap_or_default()).unwrap_or_default();
        Ok(Replayed { status, request_id, body })
    }
}
