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
pub(super) struct Health {
    /// `live`, `starting`, `started`, `ready` or `draining`.
    status: &'static str,
}

/// Answers as long as the process can answer at all; it does not depend on the model.
#[utoipa::path(get, path = "/health/live", responses((status = 200, body = Health)))]
pub(super) async fn live() -> Json<Health> {
    Json(Health { status: "live" })
}

/// Says whether the first model has been loaded; from then on always.
#[utoipa::path(
    get, path = "/health/startup",
    responses((status = 200, body = Health), (status = 503, body = Health)),
)]
pub(super) async fn started(State(app): State<App>) -> (StatusCode, Json<Health>) {
    match app.engine() {
        Ok(_) => (StatusCode::OK, Json(Health { status: "started" })),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status: "starting" })),
    }
}

/// Says whether to send requests here.
#[utoipa::path(
    get, path = "/health/ready",
    responses(
        (status = 200, body = Health),
        (status = 503, body = Health, description = "Starting or draining."),
    ),
)]
pub(super) async fn ready(State(app): State<App>) -> (StatusCode, Json<Health>) {
    let (code, status) = match app.lifecycle().phase() {
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
        Phase::Ready => (StatusCode::OK, "ready"),
        Phase::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
    };
    (code, Json(Health { status }))
}
