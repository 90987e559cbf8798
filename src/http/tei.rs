//! `POST /predict` and `GET /info`: the contract of text-embeddings-inference.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::Error;
use crate::error::Result;
use crate::http::app::App;
use crate::http::ask::Ask;
use crate::http::dialect::TeiFaults;
use crate::http::input::Words;
use crate::http::labels::Function;
use crate::http::labels::Label;
use crate::http::posted::Posted;
use crate::http::problem::Problem;
use crate::json;
use crate::json::ById;
use crate::json::Fields;

/// What to classify. Other fields are left alone: a text is read whole, nothing is cut off.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "read by the documentation")]
pub(super) struct PredictRequest {
    /// A text; or texts, each in an array of its own: `[["one"], ["two"]]`. `["one", "two"]` is
    /// a pair, which this model does not take.
    inputs: Words,
    /// Logits instead of calibrated scores.
    raw_scores: Option<bool>,
}

/// Labels of a text, from the highest score to the lowest; of several texts, an array each.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Predictions {
    One(Vec<Label>),
    Many(Vec<Vec<Label>>),
}

/// What serves, and what it takes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Info {
    model_id: String,
    model_sha: Option<String>,
    model_dtype: &'static str,
    served_model_name: String,
    model_type: ModelType,
    max_input_length: usize,
    max_client_batch_size: usize,
    /// Never: longer texts are read in windows.
    auto_truncate: bool,
    version: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
struct ModelType {
    classifier: Classifier,
}

#[derive(Debug, Serialize, ToSchema)]
struct Classifier {
    #[schema(value_type = std::collections::HashMap<String, String>)]
    id2label: ById<String>,
    #[schema(value_type = std::collections::HashMap<String, usize>)]
    label2id: ById<usize>,
}

/// Classifies one or more texts; answers as text-embeddings-inference does.
#[utoipa::path(
    post, path = "/predict", request_body = PredictRequest,
    responses((status = 200, body = Predictions), TeiFaults),
)]
pub(super) async fn predict(
    State(app): State<App>,
    mut posted: Posted,
) -> Result<Json<Predictions>, Problem> {
    let ask = Ask::new(&app, &posted, None)?;
    let mut fields = Fields::lenient("body", posted.body.take())?;
    let (texts, is_one) = inputs(fields.require("inputs")?)?;
    let function = match fields.take("raw_scores") {
        Some(value) if json::boolean("raw_scores", &value)? => Function::Raw,
        _ => Function::Calibrated,
    };
    let judged = ask.texts(texts).await?;
    let mut labels: Vec<_> = judged.iter().map(|judged| function.labels(judged)).collect();
    Ok(Json(match labels.pop() {
        Some(only) if is_one => Predictions::One(only),
        last => Predictions::Many(labels.into_iter().chain(last).collect()),
    }))
}

/// Describes what serves.
#[utoipa::path(get, path = "/info", responses((status = 200, body = Info), TeiFaults))]
pub(super) async fn info(State(app): State<App>) -> Result<Json<Info>, Problem> {
    let engine = app.engine()?;
    let (card, ids) = (engine.card().clone(), engine.policy().ids());
    let numbered = || ids.iter().cloned().enumerate();
    Ok(Json(Info {
        served_model_name: card.reference(),
        model_id: card.name,
        model_sha: card.revision,
        model_dtype: card.dtype,
        model_type: ModelType {
            classifier: Classifier {
                id2label: ById(numbered().map(|(place, id)| (place.to_string(), id)).collect()),
                label2id: ById(numbered().map(|(place, id)| (id, place)).collect()),
            },
        },
        max_input_length: card.max_window_tokens,
        max_client_batch_size: app.settings().limits.max_texts,
        auto_truncate: false,
        version: env!("CARGO_PKG_VERSION"),
    }))
}

/// Texts, and whether it is one that is answered without an array around it.
fn inputs(value: Value) -> Result<(Vec<String>, bool)> {
    match value {
        Value::Array(values) if values.iter().any(Value::is_array) => {
            let text = |(index, value)| one(&format!("inputs[{index}]"), value);
            let texts = values.into_iter().enumerate().map(text).collect::<Result<_>>()?;
            Ok((texts, false))
        }
        single => Ok((vec![one("inputs", single)?], true)),
    }
}

/// A text, by itself or alone in an array.
fn one(param: &str, value: Value) -> Result<String> {
    let Value::Array(mut values) = value else { return json::string(param, value) };
    match (values.pop(), values.is_empty()) {
        (Some(only), true) => json::string(param, only),
        (Some(_), false) => Err(Error::Unsupported { param: param.into(), reason: NO_PAIRS }),
        (None, _) => Err(Error::NoTexts),
    }
}

const NO_PAIRS: &str =
    "this model takes no pairs of texts; for a batch write each text in an array of its own";
