//! `/v1/models/{name}` and `/v1/models/{name}:predict`: KServe's V1 protocol.
#![expect(unused_qualifications, reason = "utoipa's macros qualify names of this module")]

use std::fmt;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::extract::State;
use axum::http::request::Parts;
use axum::routing::get;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde::de::value::MapAccessDeserializer;
use utoipa::OpenApi;
use utoipa::PartialSchema;
use utoipa::ToSchema;
use utoipa::openapi::OneOfBuilder;
use utoipa::openapi::RefOr;
use utoipa::openapi::Schema;
use utoipa_axum::router::OpenApiRouter;

use crate::error::Result;
use crate::http::app::App;
use crate::http::auth::AccessRule;
use crate::http::auth::Area;
use crate::http::problem::Problem;
use crate::http::request::contract::Contract;
use crate::http::request::contract::add_schema;
use crate::http::request::error_format;
use crate::http::request::error_format::MessageError;
use crate::http::request::error_format::MessageFailures;
use crate::http::request::json_request::JsonRequest;
use crate::http::request::judged::Judged;
use crate::http::request::named_model::ModelPath;
use crate::http::request::scoring::Scoring;
use crate::json::OrderedMap;

/// The contract.
pub(super) const CONTRACT: Contract = Contract {
    routes: &[(AccessRule::for_area(Area::Service), routes)],
    error_format: error_format::message,
    schemas: &[add_schema::<MessageError>],
};

fn routes() -> OpenApiRouter<App> {
    // The router does not support a literal suffix after a path parameter.
    let mut routes = OpenApiRouter::new().route("/v1/models/{name}", get(status).post(predict));
    let description = routes.get_openapi_mut();
    description.merge(Description::openapi());
    routes
}

#[derive(OpenApi)]
#[openapi(paths(status, predict))]
struct Description;

/// The texts to score. Other fields are ignored.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = KServePredictRequest)]
pub(in crate::http) struct PredictRequest {
    #[schema(min_items = 1)]
    instances: Vec<Instance>,
}

/// A text, or an object with a text.
#[derive(Debug)]
struct Instance(String);

#[derive(Debug, Deserialize, ToSchema)]
struct TextInstance {
    text: String,
}

/// The scores of each text, in order.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct PredictResponse {
    #[schema(value_type = Vec<std::collections::HashMap<String, f32>>)]
    predictions: Vec<OrderedMap<f32>>,
}

/// Whether a model is ready.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ModelStatus {
    name: String,
    ready: bool,
}

/// Reports whether a model is ready.
#[utoipa::path(
    get, path = "/v1/models/{name}", operation_id = "model_status",
    params(("name" = String, Path, description = "The model's name.")),
    responses((status = 200, body = ModelStatus), MessageFailures),
)]
pub(in crate::http) async fn status(
    State(app): State<App>,
    named: ModelPath,
) -> Result<Json<ModelStatus>, Problem> {
    named.engine(&app)?;
    Ok(Json(ModelStatus { name: named.name, ready: true }))
}

/// Scores one or more texts in the format of KServe's V1 protocol.
#[utoipa::path(
    post, path = "/v1/models/{name}:predict", operation_id = "predict_kserve",
    request_body = PredictRequest,
    params(("name" = String, Path, description = "The model's name.")),
    responses((status = 200, body = PredictResponse), MessageFailures),
)]
pub(in crate::http) async fn predict(
    State(app): State<App>,
    Predictor(name): Predictor,
    JsonRequest { body, mut options }: JsonRequest<PredictRequest>,
) -> Result<Json<PredictResponse>, Problem> {
    options.select_model(name);
    let scoring = Scoring::new(&app, &options, None)?;
    let judged =
        scoring.texts(body.instances.into_iter().map(|Instance(text)| text).collect()).await?;
    let scores = |judged: &Judged| {
        judged.entries().map(|entry| (entry.id.to_owned(), entry.judgement.score)).collect()
    };
    Ok(Json(PredictResponse { predictions: judged.iter().map(scores).collect() }))
}

/// The model name in a path that ends in `:predict`.
#[derive(Debug)]
pub(in crate::http) struct Predictor(String);

impl FromRequestParts<App> for Predictor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let mut named = ModelPath::from_request_parts(parts, app).await?;
        let name = named.name.strip_suffix(":predict").ok_or_else(Problem::not_found)?;
        named.name = name.to_owned();
        named.engine(app)?;
        Ok(Self(named.name))
    }
}

impl<'de> Deserialize<'de> for Instance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InstanceVisitor)
    }
}

struct InstanceVisitor;

impl<'de> Visitor<'de> for InstanceVisitor {
    type Value = Instance;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string or an object with a text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Instance, E> {
        Ok(Instance(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Instance, E> {
        Ok(Instance(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Instance, A::Error> {
        let instance = TextInstance::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Instance(instance.text))
    }
}

impl PartialSchema for Instance {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new()
            .description(Some("A text, or an object with a text."))
            .item(String::schema())
            .item(TextInstance::schema())
            .into()
    }
}

impl ToSchema for Instance {}
