//! `POST /api/v1/text/contents`: the detector API of the FMS guardrails orchestrator.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::Result;
use crate::http::app::App;
use crate::http::auth::AccessRule;
use crate::http::auth::Area;
use crate::http::problem::Problem;
use crate::http::request::contract::Contract;
use crate::http::request::contract::add_schema;
use crate::http::request::error_format;
use crate::http::request::error_format::failures;
use crate::http::request::json_request::JsonRequest;
use crate::http::request::judged::Judged;
use crate::http::request::judged::NamedJudgement;
use crate::http::request::scoring::Scoring;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The contract.
pub(super) const CONTRACT: Contract = Contract {
    routes: &[(AccessRule::for_area(Area::Service), routes)],
    error_format: write_error,
    schemas: &[add_schema::<DetectorError>],
};

fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(contents))
}

/// The texts to search for violations. Other fields are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub(in crate::http) struct ContentsRequest {
    /// The texts to search.
    #[schema(min_items = 1)]
    contents: Vec<String>,
    detector_params: Option<DetectorParams>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct DetectorParams {
    /// The threshold for all categories, replacing those of the policy.
    #[schema(minimum = 0, maximum = 1)]
    threshold: Option<f64>,
}

/// A part of a text that violates a category.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the contract has these names")]
pub(in crate::http) struct Detection {
    /// Start offset in characters.
    start: usize,
    /// End offset in characters (exclusive).
    end: usize,
    /// The text of the part.
    text: String,
    /// The id of the category.
    detection: String,
    /// The id of the category.
    detection_type: String,
    /// The score of the category, from 0 to 1.
    score: f32,
    /// Always empty.
    #[schema(value_type = Vec<Object>)]
    evidence: [(); 0],
    /// Always empty.
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
}

/// The detections in each text.
type Detections = Vec<Vec<Detection>>;

/// Finds the parts of texts that violate a category.
#[utoipa::path(
    post, path = "/api/v1/text/contents", operation_id = "detect", request_body = ContentsRequest,
    params(("detector-id" = Option<String>, Header, description = "Any: there is one detector.")),
    responses((status = 200, body = Vec<Vec<Detection>>), DetectorFailures),
)]
pub(in crate::http) async fn contents(
    State(app): State<App>,
    JsonRequest { body, options }: JsonRequest<ContentsRequest>,
) -> Result<Json<Detections>, Problem> {
    let mut scoring = Scoring::new(&app, &options, None)?;
    scoring.set_threshold(body.detector_params.and_then(|params| params.threshold))?;
    scoring.spans = true;
    let judged = scoring.texts(body.contents.clone()).await?;
    Ok(Json(std::iter::zip(&body.contents, &judged).map(detections).collect()))
}

fn detections((text, judged): (&String, &Judged)) -> Vec<Detection> {
    let mut detections = Vec::new();
    for NamedJudgement { id, judgement, spans } in judged.entries() {
        detections.extend(spans.into_iter().flatten().map(|span| Detection {
            start: span.chars[0],
            end: span.chars[1],
            text: text[span.bytes[0]..span.bytes[1]].to_owned(),
            detection: id.to_owned(),
            detection_type: id.to_owned(),
            score: judgement.score,
            evidence: [],
            metadata: Map::new(),
        }));
    }
    detections
}

/// An error of the FMS detector API.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct DetectorError {
    /// The HTTP status code.
    code: u16,
    message: String,
}

failures!(DetectorFailures: DetectorError);

/// Rewrites errors in the format of the FMS detector API, which uses 422 for invalid requests.
fn write_error(response: Response) -> Response {
    error_format::rewrite(response, |status, message| {
        let status = match status {
            StatusCode::BAD_REQUEST => StatusCode::UNPROCESSABLE_ENTITY,
            other => other,
        };
        (status, Json(DetectorError { code: status.as_u16(), message })).into_response()
    })
}
