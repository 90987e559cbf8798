//! `GET /openapi.json` and the documentation page at `/docs`, which needs no network.

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::map_response;
use axum::response::IntoResponse;
use axum::response::Response;
use utoipa::OpenApi;
use utoipa::openapi::RefOr;
use utoipa::openapi::Schema;
use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::security::ApiKey;
use utoipa::openapi::security::ApiKeyValue;
use utoipa::openapi::security::Http;
use utoipa::openapi::security::HttpAuthScheme;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::security::SecurityScheme;
use utoipa_swagger_ui::Config;
use utoipa_swagger_ui::SwaggerUi;

use crate::http::app::App;
use crate::http::chat_moderations;
use crate::http::classifications;
use crate::http::dialect::DetectorError;
use crate::http::dialect::GoogleError;
use crate::http::dialect::InferenceError;
use crate::http::dialect::TeiError;
use crate::http::fms;
use crate::http::health;
use crate::http::hugging_face;
use crate::http::kserve_v1;
use crate::http::kserve_v2;
use crate::http::litellm;
use crate::http::models;
use crate::http::moderations;
use crate::http::observe;
use crate::http::perspective;
use crate::http::policy;
use crate::http::problem::Problem;
use crate::http::score;
use crate::http::tei;
use crate::http::vllm;

/// The description of every route, and the page that shows it.
pub(super) fn pages() -> Router<App> {
    // By itself the page would have the description checked by a service of its makers.
    let config = Config::default().validator_url("none");
    let pages = SwaggerUi::new("/docs").url("/openapi.json", description());
    Router::from(pages.config(config)).layer(map_response(async |response: Response| {
        // The page answers an unknown file with an empty body.
        match response.status() {
            StatusCode::NOT_FOUND => Problem::not_found().into_response(),
            _ => response,
        }
    }))
}

fn description() -> utoipa::openapi::OpenApi {
    let mut description = Description::openapi();
    let schemas = description.components.iter_mut().flat_map(|components| &mut components.schemas);
    for (name, schema) in schemas {
        if let (true, RefOr::T(Schema::Object(object))) = (STRICT.contains(&name.as_str()), schema)
        {
            object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
        }
    }
    secure(&mut description);
    let operations =
        description.paths.paths.values_mut().flat_map(|path| [&mut path.get, &mut path.post]);
    for response in operations.flatten().flat_map(|route| route.responses.responses.values_mut()) {
        // The standard asks for words; the schema says the rest.
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            response.description = "What was asked for.".into();
        }
    }
    description
}

/// Says how a key is sent, and what is answered without one, beyond its quota, or by the limits.
fn secure(description: &mut utoipa::openapi::OpenApi) {
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let header = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("x-api-key")));
    let components = description.components.get_or_insert_default();
    components.add_security_scheme("bearer", bearer);
    components.add_security_scheme("key", header);
    let of = |name| SecurityRequirement::new::<_, _, &str>(name, []);
    // A server without keys asks for none.
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

/// Refusals that any route may answer with, in the words of its class.
const REFUSALS: &[(&str, &str, &str)] = &[
    ("401", "4XX", "There is no key, or it is not known."),
    ("403", "4XX", "The key is not for this route."),
    ("408", "4XX", "The body came too slowly."),
    ("413", "4XX", "The body is too large."),
    ("429", "4XX", "The quota of the key is used up; `retry-after-ms` says when to come again."),
    ("503", "5XX", "Starting or overloaded; `retry-after-ms` says when to come again."),
    ("504", "5XX", "The answer would have come too late."),
];

/// Requests of which unknown fields are refused.
const STRICT: &[&str] = &[
    "ScoreRequest",
    "ModerationRequest",
    "ChatModerationRequest",
    "ClassificationRequest",
    "ChatClassificationRequest",
];

#[derive(OpenApi)]
#[openapi(
    info(
        title = "moderato",
        description = "Scores text against every category of a usage policy."
    ),
    paths(
        score::score,
        moderations::moderate,
        chat_moderations::moderate,
        classifications::classify,
        classifications::classify_chat,
        vllm::classify,
        tei::predict,
        tei::info,
        hugging_face::classify,
        hugging_face::classify_by_model,
        kserve_v1::status,
        kserve_v1::predict,
        kserve_v2::server,
        kserve_v2::live,
        kserve_v2::ready,
        kserve_v2::model,
        kserve_v2::model_ready,
        kserve_v2::infer,
        fms::contents,
        litellm::decide,
        perspective::analyze,
        models::list,
        policy::show,
        health::started,
        health::live,
        health::ready,
        observe::metrics,
    ),
    components(schemas(TeiError, InferenceError, DetectorError, GoogleError))
)]
struct Description;
