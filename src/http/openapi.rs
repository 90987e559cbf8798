//! `GET /openapi.json` and the documentation page at `/docs`, which needs no network.

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::map_response;
use axum::response::IntoResponse;
use axum::response::Response;
use utoipa::OpenApi;
use utoipa_swagger_ui::Config;
use utoipa_swagger_ui::SwaggerUi;

use crate::http::app::App;
use crate::http::health;
use crate::http::models;
use crate::http::moderations;
use crate::http::observe;
use crate::http::policy;
use crate::http::problem::Problem;
use crate::http::score;

/// The description of every route, and the page that shows it.
pub(super) fn pages() -> Router<App> {
    // By itself the page would have the description checked by a service of its makers.
    let config = Config::default().validator_url("none");
    let pages = SwaggerUi::new("/docs").url("/openapi.json", Description::openapi());
    Router::from(pages.config(config)).layer(map_response(async |response: Response| {
        // The page answers an unknown file with an empty body.
        match response.status() {
            StatusCode::NOT_FOUND => Problem::not_found().into_response(),
            _ => response,
        }
    }))
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "moderato",
        description = "Scores text against every category of a usage policy."
    ),
    paths(
        score::score,
        moderations::moderate,
        models::list,
        policy::show,
        health::live,
        health::ready,
        observe::metrics,
    )
)]
struct Description;
