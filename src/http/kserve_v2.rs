//! `/v2`: the Open Inference Protocol, which KServe, Triton and Seldon share.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::Error;
use crate::error::Result;
use crate::http::app::App;
use crate::http::ask::Ask;
use crate::http::dialect::InferenceFaults;
use crate::http::input::Words;
use crate::http::judged::Judged;
use crate::http::judged::NamedJudgement;
use crate::http::named::Named;
use crate::http::posted::Posted;
use crate::http::problem::Problem;
use crate::json;
use crate::json::Fields;
use crate::lifecycle::Phase;

/// Texts as one tensor of bytes. Other fields are left alone.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "read by the documentation")]
pub(super) struct InferRequest {
    /// Comes back.
    id: Option<String>,
    /// One tensor.
    #[schema(min_items = 1, max_items = 1)]
    inputs: Vec<InputTensor>,
    /// The outputs wanted: `scores`, `labels`, `flagged`; all if absent.
    outputs: Option<Vec<WantedOutput>>,
}

#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "read by the documentation")]
struct InputTensor {
    /// Any.
    name: String,
    /// As many as there are data: `[n]` or `[n, 1]`.
    shape: Vec<usize>,
    /// `BYTES`.
    datatype: String,
    /// Texts.
    #[schema(min_items = 1)]
    data: Vec<Words>,
}

#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "read by the documentation")]
struct WantedOutput {
    name: String,
}

/// Scores as tensors.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InferResponse {
    model_name: String,
    model_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    outputs: Vec<OutputTensor>,
}

/// `scores`: FP32 `[texts, categories]`; `labels`: BYTES `[categories]`; `flagged`: BOOL `[texts]`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OutputTensor {
    name: &'static str,
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

/// What the server is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ServerMetadata {
    name: &'static str,
    version: &'static str,
    extensions: [&'static str; 0],
}

/// What a model takes and gives.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelMetadata {
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
    /// -1 stands for any number.
    shape: Vec<i64>,
}

/// Describes the server.
#[utoipa::path(get, path = "/v2", responses((status = 200, body = ServerMetadata)))]
pub(super) async fn server() -> Json<ServerMetadata> {
    let version = env!("CARGO_PKG_VERSION");
    Json(ServerMetadata { name: "moderato", version, extensions: [] })
}

/// Answers as long as the process can answer at all.
#[utoipa::path(
    get, path = "/v2/health/live", operation_id = "server_live",
    responses((status = 200)),
)]
pub(super) async fn live() -> StatusCode {
    StatusCode::OK
}

/// Says whether to send requests here.
#[utoipa::path(
    get, path = "/v2/health/ready", operation_id = "server_ready",
    responses((status = 200), (status = 503, description = "Starting or draining.")),
)]
pub(super) async fn ready(State(app): State<App>) -> StatusCode {
    match app.lifecycle().phase() {
        Phase::Ready => StatusCode::OK,
        Phase::Starting | Phase::Draining => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Says whether a model serves.
#[utoipa::path(
    get, path = "/v2/models/{name}/ready",
    params(("name" = String, Path, description = "The model's name.")),
    responses((status = 200), InferenceFaults),
)]
pub(super) async fn model_ready(
    State(app): State<App>,
    named: Named,
) -> Result<StatusCode, Problem> {
    named.engine(&app)?;
    Ok(StatusCode::OK)
}

/// Describes a model.
#[utoipa::path(
    get, path = "/v2/models/{name}",
    params(("name" = String, Path, description = "The model's name.")),
    responses((status = 200, body = ModelMetadata), InferenceFaults),
)]
pub(super) async fn model(
    State(app): State<App>,
    named: Named,
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

/// Scores texts; answers in tensors.
#[utoipa::path(
    post, path = "/v2/models/{name}/infer", request_body = InferRequest,
    params(("name" = String, Path, description = "The model's name.")),
    responses((status = 200, body = InferResponse), InferenceFaults),
)]
pub(super) async fn infer(
    State(app): State<App>,
    named: Named,
    headers: HeaderMap,
    mut posted: Posted,
) -> Result<Json<InferResponse>, Problem> {
    named.engine(&app)?;
    posted.name_model(named.name);
    if headers.contains_key(BINARY_HEADER) {
        return Err(binary("body").into());
    }
    let ask = Ask::new(&app, &posted, None)?;
    let mut fields = Fields::lenient("body", posted.body.take())?;
    let id = fields.take("id").map(|id| json::string("id", id)).transpose()?;
    let texts = texts(fields.require("inputs")?)?;
    let wanted = fields.take("outputs").map(wanted).transpose()?;
    let mut outputs = outputs(&ask.texts(texts).await?);
    outputs.retain(|output| wanted.as_ref().is_none_or(|all| all.iter().any(|n| n == output.name)));
    let card = ask.card();
    let (model_name, model_version) = (card.name.clone(), card.version().to_owned());
    Ok(Json(InferResponse { model_name, model_version, id, outputs }))
}

/// The texts of the one tensor there must be.
fn texts(inputs: Value) -> Result<Vec<String>> {
    let mut inputs = json::array("inputs", inputs)?;
    let (Some(tensor), true) = (inputs.pop(), inputs.is_empty()) else {
        let expected = "one tensor".into();
        return Err(Error::InvalidValue { param: "inputs".into(), expected });
    };
    let param = "inputs[0]";
    let mut tensor = Fields::lenient(param, tensor)?;
    let datatype = json::string("inputs[0].datatype", tensor.require_of(param, "datatype")?)?;
    if datatype != "BYTES" {
        let expected = "BYTES".into();
        return Err(Error::InvalidValue { param: "inputs[0].datatype".into(), expected });
    }
    let Some(data) = tensor.take("data") else { return Err(binary("inputs[0].data")) };
    let mut texts = Vec::new();
    flatten("inputs[0].data", data, &mut texts)?;
    let shape = json::array("inputs[0].shape", tensor.require_of(param, "shape")?)?;
    let n_texts = shape.iter().try_fold(1_u64, |product, n| product.checked_mul(n.as_u64()?));
    if n_texts != u64::try_from(texts.len()).ok() {
        let expected = format!("a shape of {} texts", texts.len());
        return Err(Error::InvalidValue { param: "inputs[0].shape".into(), expected });
    }
    Ok(texts)
}

/// Data may be nested as the shape is, or flat.
fn flatten(param: &str, data: Value, texts: &mut Vec<String>) -> Result<()> {
    for (index, value) in json::array(param, data)?.into_iter().enumerate() {
        let param = format!("{param}[{index}]");
        match value {
            Value::Array(_) => flatten(&param, value, texts)?,
            other => texts.push(json::string(&param, other)?),
        }
    }
    Ok(())
}

fn wanted(outputs: Value) -> Result<Vec<String>> {
    let output = |(index, value)| {
        let param = format!("outputs[{index}]");
        let mut fields = Fields::lenient(&param, value)?;
        let name = json::string(&format!("{param}.name"), fields.require_of(&param, "name")?)?;
        if OUTPUTS.contains(&name.as_str()) {
            return Ok(name);
        }
        let expected = "scores, labels or flagged".into();
        Err(Error::InvalidValue { param: format!("{param}.name"), expected })
    };
    json::array("outputs", outputs)?.into_iter().enumerate().map(output).collect()
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
        tensor("scores", &[judged.len(), labels.len()], "FP32", TensorData::Numbers(scores)),
        tensor("labels", &[labels.len()], "BYTES", TensorData::Strings(labels)),
        tensor("flagged", &[judged.len()], "BOOL", TensorData::Flags(flagged)),
    ]
}

fn binary(param: &str) -> Error {
    let reason = "tensors must be JSON; the extension for binary tensors is not spoken here";
    Error::Unsupported { param: param.into(), reason }
}

const OUTPUTS: [&str; 3] = ["scores", "labels", "flagged"];

/// Announces binary tensors behind the JSON.
const BINARY_HEADER: &str = "inference-header-content-length";
