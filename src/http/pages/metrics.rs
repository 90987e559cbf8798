//! `GET /metrics`, for Prometheus.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use crate::http::app::App;
use crate::lifecycle::Phase;
use crate::metrics::Metrics;

/// Returns all metrics in the Prometheus text format.
#[utoipa::path(
    get, path = "/metrics", operation_id = "metrics",
    responses((status = 200, content_type = "text/plain", body = String)),
)]
pub(in crate::http) async fn show(State(app): State<App>) -> impl IntoResponse {
    app.metrics().set_ready(app.lifecycle().phase() == Phase::Ready);
    let text = app.metrics().render();
    ([(CONTENT_TYPE, Metrics::CONTENT_TYPE)], text)
}
