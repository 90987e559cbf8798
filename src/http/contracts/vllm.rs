//! `POST /classify`: vLLM's contract for classifiers.

use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Error;
use crate::error::Result;
use crate::http::app::App;
use crate::http::auth::AccessRule;
use crate::http::auth::Area;
use crate::http::problem::ErrorResponses;
use crate::http::problem::Problem;
use crate::http::request::contract::Contract;
use crate::http::request::error_format;
use crate::http::request::input::Texts;
use crate::http::request::json_request::JsonRequest;
use crate::http::request::judged::Judged;
use crate::http::request::labels::Function;
use crate::http::request::messages::Conversations;
use crate::http::request::scoring;
use crate::http::request::scoring::Scoring;
use crate::http::telemetry::clock::unix_seconds;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The contract.
pub(super) const CONTRACT: Contract = Contract {
    routes: &[(AccessRule::for_area(Area::Service), routes)],
    error_format: error_format::ours,
    schemas: &[],
};

fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(classify))
}

/// The texts (`input`) or conversations (`messages`) to classify. Other fields are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub(in crate::http) struct ClassifyRequest {
    input: Option<Texts>,
    messages: Option<Conversations>,
    /// Any name; the response names the model that scored.
    model: Option<String>,
    /// Whether to return calibrated scores (the default) or logits.
    use_activation: Option<bool>,
    /// The older name of `use_activation`.
    activation: Option<bool>,
}

/// One entry for each text or conversation, in order.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ClassifyResponse {
    /// A unique id of the response.
    id: String,
    /// Always `list`.
    object: &'static str,
    /// Creation time in seconds since the Unix epoch.
    created: u64,
    /// The model that scored, with its version.
    model: String,
    data: Vec<Classified>,
    usage: ClassifyUsage,
}

#[derive(Debug, Serialize, ToSchema)]
struct Classified {
    index: usize,
    /// The category with the highest score.
    label: String,
    /// The scores of all categories, in the order of the policy; they are independent and do not
    /// sum to 1.
    probs: Vec<f64>,
    num_classes: usize,
}

#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the contract has these names")]
struct ClassifyUsage {
    prompt_tokens: usize,
    total_tokens: usize,
    completion_tokens: usize,
}

/// Classifies one or more texts or conversations in the format of vLLM.
#[utoipa::path(
    post, path = "/classify", operation_id = "classify_vllm", request_body = ClassifyRequest,
    responses((status = 200, body = ClassifyResponse), ErrorResponses),
)]
pub(in crate::http) async fn classify(
    State(app): State<App>,
    JsonRequest { body, mut options }: JsonRequest<ClassifyRequest>,
) -> Result<Json<ClassifyResponse>, Problem> {
    options.select_model_if_loaded(&app, body.model.as_deref());
    let scoring = Scoring::new(&app, &options, None)?;
    let judged = match (body.input, body.messages) {
        (Some(Texts(texts)), None) => scoring.texts(texts).await?,
        (Some(_), Some(_)) => {
            let (param, expected) = ("messages".into(), "left out beside input".into());
            return Err(Error::InvalidValue { param, expected }.into());
        }
        (None, Some(messages)) => {
            let turns = messages.into_turns("messages", app.settings().media)?;
            scoring.conversations(turns).await?
        }
        (None, None) => return Err(Error::MissingField { param: "input".into() }.into()),
    };
    let is_calibrated = body.use_activation.or(body.activation).unwrap_or(true);
    let function = if is_calibrated { Function::Calibrated } else { Function::Raw };
    let classified = |(index, judged)| Classified::new(index, judged, function);
    let n_tokens = scoring::n_tokens(&judged);
    Ok(Json(ClassifyResponse {
        id: format!("classify-{}", uuid::Uuid::new_v4().simple()),
        object: "list",
        created: unix_seconds(SystemTime::now()),
        model: scoring.model(),
        data: judged.iter().enumerate().map(classified).collect(),
        usage: ClassifyUsage {
            prompt_tokens: n_tokens,
            total_tokens: n_tokens,
            completion_tokens: 0,
        },
    }))
}

impl Classified {
    fn new(index: usize, judged: &Judged, function: Function) -> Self {
        let scores: Vec<_> =
            judged.entries().map(|entry| (entry.id, function.score(entry.judgement))).collect();
        let highest = scores.iter().max_by(|(_, one), (_, other)| one.total_cmp(other));
        Self {
            index,
            label: highest.map(|&(id, _)| id.to_owned()).unwrap_or_default(),
            num_classes: scores.len(),
            probs: scores.into_iter().map(|(_, score)| score).collect(),
        }
    }
}
