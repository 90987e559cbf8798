//! `GET /health/live`, `/health/startup` and `/health/ready`, for orchestrators and load balancers.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::app::App;
use crate::lifecycle::Phase;

/// The state of the server.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Health {
    /// `live`, `starting`, `started`, `ready` or `draining`.
    status: &'static str,
}

/// Reports that the process is alive, whatever the state of the model.
#[utoipa::path(get, path = "/health/live", responses((status = 200, body = Health)))]
pub(in crate::http) async fn live() -> Json<Health> {
    Json(Health { status: "live" })
}

/// Reports whether the first model has been loaded; true from then on.
#[utoipa::path(
    get, path = "/health/startup",
    responses((status = 200, body = Health), (status = 503, body = Health)),
)]
pub(in crate::http) async fn started(State(app): State<App>) -> (StatusCode, Json<Health>) {
    match app.engine() {
        Ok(_) => (StatusCode::OK, Json(Health { status: "started" })),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status: "starting" })),
    }
}

/// Reports whether the server is ready for requests.
#[utoipa::path(
    get, path = "/health/ready",
    responses(
        (status = 200, body = Health),
        (status = 503, body = Health, description = "Starting or draining."),
    ),
)]
pub(in crate::http) async fn ready(State(app): State<App>) -> (StatusCode, Json<Health>) {
    let (code, status) = match app.lifecycle().phase() {
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
        Phase::Ready => (StatusCode::OK, "ready"),
        Phase::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
    };
    (code, Json(Health { status }))
}
