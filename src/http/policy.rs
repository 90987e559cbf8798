//! `GET /v1/policy`: what texts are judged by.

use axum::Json;
use axum::extract::State;

use crate::http::app::App;
use crate::http::problem::ErrorBody;
use crate::http::problem::Problem;
use crate::policy::Policy;

/// Shows the policy: categories, clauses, thresholds and actions.
#[utoipa::path(
    get, path = "/v1/policy",
    responses((status = 200, body = Policy), (status = 503, body = ErrorBody)),
)]
pub(super) async fn show(State(app): State<App>) -> Result<Json<Policy>, Problem> {
    Ok(Json(app.engine()?.policy().clone()))
}
