//! Routes that score nothing: health, metrics, models, policy, documentation and administration.

pub(super) mod admin;
pub(super) mod health;
pub(super) mod metrics;
pub(super) mod models;
pub(super) mod openapi;
pub(super) mod policy;

use axum::Router;
use axum::routing::get;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::engine::Loader;
use crate::http::app::App;
use crate::http::auth::AccessRule;
use crate::http::auth::Area;
use crate::http::auth::require_key;

/// Builds all of these routes except the admin routes. The documented routes are added to
/// `description`, which the documentation pages show.
pub(super) fn routes(app: &App, mut description: OpenApi) -> Router<App> {
    let service = OpenApiRouter::new().routes(routes!(models::list)).routes(routes!(policy::show));
    let health = OpenApiRouter::new()
        .routes(routes!(health::started))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .route("/health", get(health::ready))
        .route("/ping", get(health::ready)); // SageMaker's health check
    let metrics = OpenApiRouter::new().routes(routes!(metrics::show));
    let access = app.settings().access.as_ref();
    let mut all = Router::new();
    for (area, routes) in
        [(Area::Service, service), (Area::Health, health), (Area::Metrics, metrics)]
    {
        let (routes, described) = routes.split_for_parts();
        description.merge(described);
        all = all.merge(require_key(access, AccessRule::for_area(area), routes));
    }
    all.merge(require_key(access, AccessRule::for_area(Area::Docs), openapi::pages(description)))
}

/// Builds the admin routes.
pub(super) fn admin_routes(app: App, loader: Loader) -> Router {
    admin::routes(app, loader)
}
