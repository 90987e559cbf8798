//! `POST /models/{name}`, `POST /` and `POST /invocations`: the text-classification contract of
//! Hugging Face's clients and SageMaker containers.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::error::Result;
use crate::http::app::App;
use crate::http::auth::AccessRule;
use crate::http::auth::Area;
use crate::http::problem::Problem;
use crate::http::request::contract::Contract;
use crate::http::request::contract::add_schema;
use crate::http::request::count::Count;
use crate::http::request::error_format;
use crate::http::request::error_format::MessageError;
use crate::http::request::error_format::MessageFailures;
use crate::http::request::input::Texts;
use crate::http::request::json_request::JsonRequest;
use crate::http::request::labels::Function;
use crate::http::request::labels::Label;
use crate::http::request::named_model::ModelPath;
use crate::http::request::scoring::Scoring;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The contract.
pub(super) const CONTRACT: Contract = Contract {
    routes: &[(AccessRule::for_area(Area::Service), routes)],
    error_format: error_format::message,
    schemas: &[add_schema::<MessageError>],
};

fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(classify))
        .routes(routes!(classify_by_model))
        .routes(routes!(invoke))
}

/// The texts to classify. Other fields are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub(in crate::http) struct TextClassificationRequest {
    inputs: Texts,
    #[serde(default)]
    #[schema(required = false)]
    parameters: TextClassificationParameters,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
struct TextClassificationParameters {
    #[serde(default)]
    #[schema(required = false)]
    function_to_apply: FunctionToApply,
    /// Maximum number of labels to return.
    top_k: Option<Count>,
}

/// `sigmoid` for calibrated scores, `none` for logits, `softmax` for scores that sum to 1.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum FunctionToApply {
    #[default]
    Sigmoid,
    None,
    Softmax,
}

/// The labels of each text, from the highest score to the lowest.
type Classifications = Vec<Vec<Label>>;

/// Classifies one or more texts with the default model.
#[utoipa::path(
    post, path = "/", operation_id = "classify_texts", request_body = TextClassificationRequest,
    responses((status = 200, body = Vec<Vec<Label>>), MessageFailures),
)]
pub(in crate::http) async fn classify(
    State(app): State<App>,
    JsonRequest { body, options }: JsonRequest<TextClassificationRequest>,
) -> Result<Json<Classifications>, Problem> {
    let scoring = Scoring::new(&app, &options, None)?;
    let judged = scoring.texts(body.inputs.0).await?;
    let TextClassificationParameters { function_to_apply, top_k } = body.parameters;
    let labels = |judged| {
        let mut labels = Function::from(function_to_apply).labels(judged);
        labels.truncate(top_k.map_or(usize::MAX, |Count(top_k)| top_k));
        labels
    };
    Ok(Json(judged.iter().map(labels).collect()))
}

/// Classifies one or more texts with the named model, which must be loaded.
#[utoipa::path(
    post, path = "/models/{*name}", operation_id = "classify_texts_by_model",
    request_body = TextClassificationRequest,
    params(("name" = String, Path, description = "The model's name.")),
    responses((status = 200, body = Vec<Vec<Label>>), MessageFailures),
)]
pub(in crate::http) async fn classify_by_model(
    State(app): State<App>,
    named: ModelPath,
    mut request: JsonRequest<TextClassificationRequest>,
) -> Result<Json<Classifications>, Problem> {
    named.engine(&app)?;
    request.options.select_model(named.name);
    classify(State(app), request).await
}

/// Classifies one or more texts; the inference route of SageMaker containers.
#[utoipa::path(
    post, path = "/invocations", operation_id = "invoke", request_body = TextClassificationRequest,
    responses((status = 200, body = Vec<Vec<Label>>), MessageFailures),
)]
pub(in crate::http) async fn invoke(
    state: State<App>,
    request: JsonRequest<TextClassificationRequest>,
) -> Result<Json<Classifications>, Problem> {
    classify(state, request).await
}

impl From<FunctionToApply> for Function {
    fn from(function: FunctionToApply) -> Self {
        match function {
            FunctionToApply::Sigmoid => Self::Calibrated,
            FunctionToApply::None => Self::Raw,
            FunctionToApply::Softmax => Self::Softmax,
        }
    }
}
