//! `/v1/models/{name}` and `/v1/models/{name}:predict`: KServe's first protocol.

use axum::Json;
use axum::extract::State;
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
use crate::http::named::Named;
use crate::http::posted::Posted;
use crate::http::problem::Problem;
use crate::json;
use crate::json::ById;
use crate::json::Fields;

/// What to score. Other fields are left alone.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "read by the documentation")]
pub(super) struct PredictRequest {
    /// Texts.
    #[schema(min_items = 1)]
    instances: Vec<Words>,
}

/// The scores of each text, in order.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PredictResponse {
    #[schema(value_type = Vec<std::collections::HashMap<String, f32>>)]
    predictions: Vec<ById<f32>>,
}

/// Whether a model serves.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelStatus {
    name: String,
    ready: bool,
}

/// Says whether a model serves.
#[utoipa::path(
    get, path = "/v1/models/{name}", operation_id = "model_status",
    params(("name" = String, Path, description = "The model's name.")),
    responses((status = 200, body = ModelStatus), InferenceFaults),
)]
pub(super) async fn status(
    State(app): State<App>,
    named: Named,
) -> Result<Json<ModelStatus>, Problem> {
    named.engine(&app)?;
    Ok(Json(ModelStatus { name: named.name, ready: true }))
}

/// Scores texts; answers as KServe's first protocol has it.
#[utoipa::path(
    post, path = "/v1/models/{name}:predict", operation_id = "predict_kserve",
    request_body = PredictRequest,
    params(("name" = String, Path, description = "The model's name.")),
    responses((status = 200, body = PredictResponse), InferenceFaults),
)]
pub(super) async fn predict(
    State(app): State<App>,
    mut named: Named,
    mut posted: Posted,
) -> Result<Json<PredictResponse>, Problem> {
    let Some(name) = named.name.strip_suffix(":predict") else {
        return Err(Problem::not_found());
    };
    named.name = name.to_owned();
    named.engine(&app)?;
    posted.name_model(named.name);
    let ask = Ask::new(&app, &posted, None)?;
    let mut fields = Fields::lenient("body", posted.body.take())?;
    let judged = ask.texts(instances(fields.require("instances")?)?).await?;
    let scores = |judged: &Judged| {
        judged.entries().map(|entry| (entry.id.to_owned(), entry.judgement.score)).collect()
    };
    Ok(Json(PredictResponse { predictions: judged.iter().map(scores).collect() }))
}

/// Texts, or objects with a text.
fn instances(value: Value) -> Result<Vec<String>> {
    let instance = |(index, value)| {
        let param = format!("instances[{index}]");
        match value {
            Value::String(text) => Ok(text),
            Value::Object(_) => {
                let text = Fields::lenient(&param, value)?.require_of(&param, "text")?;
                json::string(&format!("{param}.text"), text)
            }
            other => Err(json::invalid(&param, "a string or an object with a text", &other)),
        }
    };
    let values = json::array("instances", value)?;
    if values.is_empty() {
        return Err(Error::NoTexts);
    }
    values.into_iter().enumerate().map(instance).collect()
}
