//! `POST /models/{name}` and `POST /`: text classification as Hugging Face's clients ask for it.

use axum::Json;
use axum::extract::State;
use utoipa::ToSchema;

use crate::error::Error;
use crate::error::Result;
use crate::http::app::App;
use crate::http::ask::Ask;
use crate::http::dialect::InferenceFaults;
use crate::http::input::Input;
use crate::http::labels::Function;
use crate::http::labels::Label;
use crate::http::named::Named;
use crate::http::posted::Posted;
use crate::http::problem::Problem;
use crate::json;
use crate::json::Fields;

/// What to classify. Other fields are left alone.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "read by the documentation")]
pub(super) struct TextClassificationRequest {
    inputs: Input,
    parameters: Option<TextClassificationParameters>,
}

#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "read by the documentation")]
struct TextClassificationParameters {
    /// `sigmoid` for calibrated scores, the default; `none` for logits; `softmax` for shares of 1.
    function_to_apply: Option<String>,
    /// So many labels only.
    #[schema(minimum = 1)]
    top_k: Option<usize>,
}

/// For each text its labels, from the highest score to the lowest.
type Classifications = Vec<Vec<Label>>;

/// Classifies one or more texts by the model that serves.
#[utoipa::path(
    post, path = "/", operation_id = "classify_texts", request_body = TextClassificationRequest,
    responses((status = 200, body = Vec<Vec<Label>>), InferenceFaults),
)]
pub(super) async fn classify(
    State(app): State<App>,
    mut posted: Posted,
) -> Result<Json<Classifications>, Problem> {
    let ask = Ask::new(&app, &posted, None)?;
    let mut fields = Fields::lenient("body", posted.body.take())?;
    let texts = json::string_or_strings("inputs", fields.require("inputs")?)?;
    let (function, top_k) = parameters(&mut fields)?;
    let judged = ask.texts(texts).await?;
    let labels = |judged| {
        let mut labels = function.labels(judged);
        labels.truncate(top_k.unwrap_or(usize::MAX));
        labels
    };
    Ok(Json(judged.iter().map(labels).collect()))
}

/// Classifies one or more texts; the name must be that of the model that serves.
#[utoipa::path(
    post, path = "/models/{name}", operation_id = "classify_texts_by_model",
    request_body = TextClassificationRequest,
    params(("name" = String, Path, description = "The model's name.")),
    responses((status = 200, body = Vec<Vec<Label>>), InferenceFaults),
)]
pub(super) async fn classify_by_model(
    State(app): State<App>,
    named: Named,
    mut posted: Posted,
) -> Result<Json<Classifications>, Problem> {
    named.engine(&app)?;
    posted.name_model(named.name);
    classify(State(app), posted).await
}

fn parameters(fields: &mut Fields) -> Result<(Function, Option<usize>)> {
    let Some(parameters) = fields.take("parameters") else {
        return Ok((Function::Calibrated, None));
    };
    let mut parameters = Fields::lenient("parameters", parameters)?;
    let top_k = parameters.take("top_k");
    let top_k = top_k.map(|k| json::count("parameters.top_k", &k)).transpose()?;
    let Some(function) = parameters.take("function_to_apply") else {
        return Ok((Function::Calibrated, top_k));
    };
    let param = "parameters.function_to_apply";
    let function = match json::string(param, function)?.as_str() {
        "sigmoid" => Function::Calibrated,
        "none" => Function::Raw,
        "softmax" => Function::Softmax,
        _ => {
            let expected = "sigmoid, softmax or none".into();
            return Err(Error::InvalidValue { param: param.into(), expected });
        }
    };
    Ok((function, top_k))
}
