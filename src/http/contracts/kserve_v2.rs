//! `/v2`: the Open Inference Protocol, which KServe, Triton and Seldon share.

use std::fmt;

use axum::Json;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de;
use serde::de::SeqAccess;
use serde::de::Visitor;
use utoipa::ToSchema;

use crate::error::Error;
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
use crate::http::request::judged::NamedJudgement;
use crate::http::request::named_model::ModelPath;
use crate::http::request::scoring::Scoring;
use crate::lifecycle::Phase;
use axum::middleware::map_request;
use axum::routing::get;
use axum::routing::post;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The contract.
pub(super) const CONTRACT: Contract = Contract {
    routes: &[
        (AccessRule::for_area(Area::Service), routes),
        (AccessRule::for_area(Area::Health), health),
    ],
    error_format: error_format::message,
    schemas: &[add_schema::<MessageError>],
};

fn routes() -> OpenApiRouter<App> {
    let version = "/v2/models/{name}/versions/{version}";
    OpenApiRouter::new()
        .routes(routes!(server))
        .routes(routes!(model))
        .routes(routes!(model_ready))
        .routes(routes!(infer))
        .route(version, get(model))
        .route(&format!("{version}/ready"), get(model_ready))
        .route(&format!("{version}/infer"), post(infer))
        .layer(map_request(check_headers))
}

fn health() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready))
}

/// Texts as one tensor of type `BYTES`. Other fields are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub(in crate::http) struct InferRequest {
    /// An id that is returned in the response.
    id: Option<String>,
    /// Exactly one tensor.
    #[schema(min_items = 1, max_items = 1)]
    inputs: Vec<InputTensor>,
    /// The requested outputs; all if absent.
    outputs: Option<Vec<WantedOutput>>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct InputTensor {
    /// The shape of the data: `[n]` or `[n, 1]` for n texts.
    shape: Vec<u64>,
    /// `BYTES`.
    datatype: String,
    /// The texts, flat or nested according to the shape.
    #[schema(value_type = Option<Vec<String>>, min_items = 1)]
    data: Option<TensorTexts>,
    parameters: Option<TensorParameters>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct TensorParameters {
    /// The encoding of the texts: `str`, the default, or `base64`.
    #[serde(default)]
    content_type: ContentType,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ContentType {
    #[default]
    Str,
    Base64,
}

#[derive(Debug, Deserialize, ToSchema)]
struct WantedOutput {
    name: OutputName,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum OutputName {
    Scores,
    Labels,
    Flagged,
}

/// The texts of a tensor in row-major order.
#[derive(Debug)]
struct TensorTexts(Vec<String>);

/// Scores as tensors.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct InferResponse {
    model_name: String,
    model_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    outputs: Vec<OutputTensor>,
}

/// `scores`: FP32 `[texts, categories]`; `labels`: BYTES `[categories]`; `flagged`: BOOL `[texts]`.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct OutputTensor {
    name: OutputName,
    shape: Vec<usize>,
    datatype: &'static str,
    data: TensorData,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum TensorData {
    Numbers(Vec<f32>),
    Strings(Vec<String>),
    Flags(Vec<bool>),
}

/// The name and version of the server.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ServerMetadata {
    name: &'static str,
    version: &'static str,
    extensions: [&'static str; 0],
}

/// The inputs and outputs of a model.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ModelMetadata {
    name: String,
    versions: Vec<String>,
    platform: &'static str,
    inputs: Vec<TensorMetadata>,
    outputs: Vec<TensorMetadata>,
}

#[derive(Debug, Serialize, ToSchema)]
struct TensorMetadata {
    name: &'static str,
    datatype: &'static str,
    /// The dimensions; -1 stands for any size.
    shape: Vec<i64>,
}

/// Describes the server.
#[utoipa::path(get, path = "/v2", responses((status = 200, body = ServerMetadata)))]
pub(in crate::http) async fn server() -> Json<ServerMetadata> {
    let version = env!("CARGO_PKG_VERSION");
    Json(ServerMetadata { name: "moderato", version, extensions: [] })
}

/// Reports that the process is alive.
#[utoipa::path(
    get, path = "/v2/health/live", operation_id = "server_live",
    responses((status = 200)),
)]
pub(in crate::http) async fn live() -> StatusCode {
    StatusCode::OK
}

/// Reports whether the server is ready for requests.
#[utoipa::path(
    get, path = "/v2/health/ready", operation_id = "server_ready",
    responses((status = 200), (status = 503, description = "Starting or draining.")),
)]
pub(in crate::http) async fn ready(State(app): State<App>) -> StatusCode {
    match app.lifecycle().phase() {
        Phase::Ready => StatusCode::OK,
        Phase::Starting | Phase::Draining => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Reports whether a model is ready.
#[utoipa::path(
    get, path = "/v2/models/{name}/ready",
    params(("name" = String, Path, description = "The model's name.")),
    responses((status = 200), MessageFailures),
)]
pub(in crate::http) async fn model_ready(
    State(app): State<App>,
    named: ModelPath,
) -> Result<StatusCode, Problem> {
    named.engine(&app)?;
    Ok(StatusCode::OK)
}

/// Describes a model.
#[utoipa::path(
    get, path = "/v2/models/{name}",
    params(("name" = String, Path, description = "The model's name.")),
    responses((status = 200, body = ModelMetadata), MessageFailures),
)]
pub(in crate::http) async fn model(
    State(app): State<App>,
    named: ModelPath,
) -> Result<Json<ModelMetadata>, Problem> {
    let engine = named.engine(&app)?;
    let n_categories = i64::try_from(engine.policy().categories.len()).unwrap_or(-1);
    let tensor =
        |name, datatype, shape: &[i64]| TensorMetadata { name, datatype, shape: shape.to_vec() };
    Ok(Json(ModelMetadata {
        name: engine.card().name.clone(),
        versions: vec![engine.card().version().to_owned()],
        platform: "moderato",
        inputs: vec![tensor("text", "BYTES", &[-1])],
        outputs: vec![
            tensor("scores", "FP32", &[-1, n_categories]),
            tensor("labels", "BYTES", &[n_categories]),
            tensor("flagged", "BOOL", &[-1]),
        ],
    }))
}

/// Scores texts and returns tensors.
#[utoipa::path(
    post, path = "/v2/models/{name}/infer", request_body = InferRequest,
    params(("name" = String, Path, description = "The model's name.")),
    responses((status = 200, body = InferResponse), MessageFailures),
)]
pub(in crate::http) async fn infer(
    State(app): State<App>,
    named: ModelPath,
    JsonRequest { body, mut options }: JsonRequest<InferRequest>,
) -> Result<Json<InferResponse>, Problem> {
    named.engine(&app)?;
    options.select_model(named.name);
    let scoring = Scoring::new(&app, &options, None)?;
    let judged = scoring.texts(texts(body.inputs)?).await?;
    let is_wanted = |output: &OutputTensor| {
        body.outputs.as_ref().is_none_or(|all| all.iter().any(|wanted| wanted.name == output.name))
    };
    let outputs = outputs(&judged).into_iter().filter(is_wanted).collect();
    let card = scoring.card();
    let (model_name, model_version) = (card.name.clone(), card.version().to_owned());
    Ok(Json(InferResponse { model_name, model_version, id: body.id, outputs }))
}

/// Returns the texts of the only tensor; fails if there is not exactly one.
fn texts(inputs: Vec<InputTensor>) -> Result<Vec<String>> {
    let [tensor] =
        <[InputTensor; 1]>::try_from(inputs).map_err(|_| invalid("inputs", "one tensor".into()))?;
    if tensor.datatype != "BYTES" {
        return Err(invalid("inputs[0].datatype", "BYTES".into()));
    }
    let Some(TensorTexts(texts)) = tensor.data else { return Err(binary("inputs[0].data")) };
    let n_texts = tensor.shape.iter().try_fold(1_u64, |product, &n| product.checked_mul(n));
    if n_texts != u64::try_from(texts.len()).ok() {
        return Err(invalid("inputs[0].shape", format!("a shape of {} texts", texts.len())));
    }
    match tensor.parameters.map(|parameters| parameters.content_type).unwrap_or_default() {
        ContentType::Base64 => texts.iter().enumerate().map(decode).collect(),
        ContentType::Str => Ok(texts),
    }
}

/// Decodes a text from Base64; invalid UTF-8 is replaced with U+FFFD.
fn decode((index, text): (usize, &String)) -> Result<String> {
    let bytes = BASE64_STANDARD
        .decode(text)
        .map_err(|_| invalid(&format!("inputs[0].data[{index}]"), "in base64".into()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

impl<'de> Deserialize<'de> for TensorTexts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(TensorTextsVisitor)
    }
}

struct TensorTextsVisitor;

impl<'de> Visitor<'de> for TensorTextsVisitor {
    type Value = TensorTexts;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of strings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<TensorTexts, A::Error> {
        let mut texts = Vec::new();
        while let Some(Nested(nested)) = seq.next_element()? {
            texts.extend(nested);
        }
        Ok(TensorTexts(texts))
    }
}

/// A text, or an array of nested texts.
struct Nested(Vec<String>);

impl<'de> Deserialize<'de> for Nested {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NestedVisitor)
    }
}

struct NestedVisitor;

impl<'de> Visitor<'de> for NestedVisitor {
    type Value = Nested;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Nested, E> {
        Ok(Nested(vec![text.to_owned()]))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Nested, E> {
        Ok(Nested(vec![text]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Nested, A::Error> {
        TensorTextsVisitor.visit_seq(seq).map(|TensorTexts(texts)| Nested(texts))
    }
}

fn outputs(judged: &[Judged]) -> Vec<OutputTensor> {
    let id = |entry: NamedJudgement<'_>| entry.id.to_owned();
    let labels: Vec<_> =
        judged.first().map(|judged| judged.entries().map(id).collect()).unwrap_or_default();
    let scores = judged.iter().flat_map(Judged::entries);
    let scores = scores.map(|entry| entry.judgement.score).collect();
    let flagged = judged.iter().map(|judged| judged.verdict.flagged).collect();
    let tensor = |name, shape: &[usize], datatype, data| OutputTensor {
        name,
        shape: shape.to_vec(),
        datatype,
        data,
    };
    vec![
        tensor(
            OutputName::Scores,
            &[judged.len(), labels.len()],
            "FP32",
            TensorData::Numbers(scores),
        ),
        tensor(OutputName::Labels, &[labels.len()], "BYTES", TensorData::Strings(labels)),
        tensor(OutputName::Flagged, &[judged.len()], "BOOL", TensorData::Flags(flagged)),
    ]
}

fn binary(param: &str) -> Error {
    let reason = "tensors must be JSON; the binary tensor extension is not supported";
    Error::Unsupported { param: param.into(), reason }
}

fn invalid(param: &str, expected: String) -> Error {
    Error::InvalidValue { param: param.into(), expected }
}

/// Rejects binary tensors, which follow the JSON if this header is present. Sets the media type if
/// it is missing: clients of the protocol do not send one.
pub(in crate::http) async fn check_headers(mut request: Request) -> Result<Request, Problem> {
    if request.headers().contains_key(BINARY_HEADER) {
        return Err(binary("body").into());
    }
    request.headers_mut().entry(CONTENT_TYPE).or_insert(JSON);
    Ok(request)
}

const BINARY_HEADER: &str = "inference-header-content-length";
const JSON: HeaderValue = HeaderValue::from_static("application/json");
