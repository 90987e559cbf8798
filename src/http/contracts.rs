//! The wire contracts: moderato's own and those of other services. Each has a module that uses no
//! other.

mod classifications;
mod fms;
mod guardrail_webhook;
mod hugging_face;
mod kserve_v1;
mod kserve_v2;
mod litellm;
mod moderations;
mod perspective;
mod score;
mod tei;
mod vllm;

use axum::Router;
use tower::util::MapResponseLayer;
use utoipa::openapi::OpenApi;

use crate::http::app::App;
use crate::http::auth::require_key;
use crate::http::problem::Problem;
use crate::http::request::contract::Contract;

/// All contracts, in the order of the documentation.
const ALL: &[Contract] = &[
    score::CONTRACT,
    moderations::CONTRACT,
    classifications::CONTRACT,
    vllm::CONTRACT,
    tei::CONTRACT,
    hugging_face::CONTRACT,
    kserve_v1::CONTRACT,
    kserve_v2::CONTRACT,
    fms::CONTRACT,
    litellm::CONTRACT,
    guardrail_webhook::CONTRACT,
    perspective::CONTRACT,
];

/// Builds the routes of all contracts and adds their descriptions to `description`.
pub(super) fn routes(app: &App, description: &mut OpenApi) -> Router<App> {
    let access = app.settings().access.as_ref();
    let mut all = Router::new();
    for Contract { routes, error_format, schemas } in ALL {
        let components = description.components.get_or_insert_default();
        schemas.iter().for_each(|add| add(components));
        for (guard, routes) in *routes {
            let (routes, described) = routes().split_for_parts();
            let routes = routes.method_not_allowed_fallback(async || Problem::method_not_allowed());
            description.merge(described);
            // Outermost, so that a refused key is reported in the error format of the contract.
            let format = MapResponseLayer::new(*error_format);
            all = all.merge(require_key(access, *guard, routes).layer(format));
        }
    }
    all
}
