//! `GET /openapi.json` and the documentation page at `/docs`, which needs no network.

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::map_response;
use axum::response::IntoResponse;
use axum::response::Response;
use utoipa::openapi::Info;
use utoipa::openapi::OpenApi;
use utoipa::openapi::RefOr;
use utoipa::openapi::security::ApiKey;
use utoipa::openapi::security::ApiKeyValue;
use utoipa::openapi::security::Http;
use utoipa::openapi::security::HttpAuthScheme;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::security::SecurityScheme;
use utoipa_swagger_ui::Config;
use utoipa_swagger_ui::SwaggerUi;

use crate::http::app::App;
use crate::http::problem::Problem;

/// Builds the routes of the OpenAPI description and of the page that shows it.
pub(super) fn pages(description: OpenApi) -> Router<App> {
    // By default the page would have the description checked by Swagger's online validator.
    let config = Config::default().validator_url("none");
    let pages = SwaggerUi::new("/docs").url("/openapi.json", completed(description));
    Router::from(pages.config(config)).layer(map_response(async |response: Response| {
        // Swagger UI answers unknown files with an empty body.
        match response.status() {
            StatusCode::NOT_FOUND => Problem::not_found().into_response(),
            _ => response,
        }
    }))
}

/// Adds to the description what all routes have in common.
fn completed(mut description: OpenApi) -> OpenApi {
    description.info = Info::new("moderato", env!("CARGO_PKG_VERSION"));
    description.info.description = Some(PURPOSE.into());
    name_wildcards(&mut description);
    secure(&mut description);
    let operations =
        description.paths.paths.values_mut().flat_map(|path| [&mut path.get, &mut path.post]);
    for response in operations.flatten().flat_map(|route| route.responses.responses.values_mut()) {
        // OpenAPI requires a description; the schema documents the rest.
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            response.description = "What was asked for.".into();
        }
    }
    description
}

/// Documents how a key is sent, and the responses to missing keys, exhausted quotas and exceeded
/// limits.
fn secure(description: &mut OpenApi) {
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let header = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("x-api-key")));
    let components = description.components.get_or_insert_default();
    components.add_security_scheme("bearer", bearer);
    components.add_security_scheme("key", header);
    let of = |name| SecurityRequirement::new::<_, _, &str>(name, []);
    // The first, empty requirement stands for servers without keys.
    description.security = Some(vec![SecurityRequirement::default(), of("bearer"), of("key")]);
    let operations =
        description.paths.paths.values_mut().flat_map(|path| [&mut path.get, &mut path.post]);
    for route in operations.flatten() {
        let responses = &mut route.responses.responses;
        for (status, class, words) in REFUSALS {
            if let (Some(RefOr::T(mut refusal)), false) =
                (responses.get(*class).cloned(), responses.contains_key(*status))
            {
                (*words).clone_into(&mut refusal.description);
                responses.insert((*status).into(), refusal.into());
            }
        }
    }
}

/// Error responses that any route may return: status, status class with the schema, and
/// description.
const REFUSALS: &[(&str, &str, &str)] = &[
    ("401", "4XX", "There is no key, or it is not known."),
    ("403", "4XX", "The key is not for this route."),
    ("408", "4XX", "The body came too slowly."),
    ("413", "4XX", "The body is too large."),
    ("429", "4XX", "The quota of the key is used up; `retry-after-ms` says when to come again."),
    ("503", "5XX", "Starting or overloaded; `retry-after-ms` says when to come again."),
    ("504", "5XX", "The answer would have come too late."),
];

/// Removes the asterisk by which the router marks names that may contain slashes; OpenAPI has none.
fn name_wildcards(description: &mut OpenApi) {
    let paths = std::mem::take(&mut description.paths.paths);
    let named = paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item));
    description.paths.paths = named.collect();
}

const PURPOSE: &str = "Scores text against every category of a usage policy.";
