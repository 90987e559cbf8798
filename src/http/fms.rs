//! `POST /api/v1/text/contents`: the detector API of the FMS guardrails orchestrator.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::Result;
use crate::http::app::App;
use crate::http::ask::Ask;
use crate::http::dialect::DetectorFaults;
use crate::http::input::Words;
use crate::http::judged::Judged;
use crate::http::judged::NamedJudgement;
use crate::http::posted::Posted;
use crate::http::problem::Problem;
use crate::json;
use crate::json::Fields;

/// What to search. Other fields are left alone.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "read by the documentation")]
pub(super) struct ContentsRequest {
    /// Texts.
    #[schema(min_items = 1)]
    contents: Vec<Words>,
    detector_params: Option<DetectorParams>,
}

#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "read by the documentation")]
struct DetectorParams {
    /// Of all categories, in place of the policy's.
    #[schema(minimum = 0, maximum = 1)]
    threshold: Option<f64>,
}

/// A part of a text that violates a category.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the contract has these names")]
pub(super) struct Detection {
    /// From character.
    start: usize,
    /// To character (exclusive).
    end: usize,
    /// What stands there.
    text: String,
    /// The category's id.
    detection: String,
    /// The category's id.
    detection_type: String,
    /// Of the category, from 0 to 1.
    score: f32,
    /// Always empty.
    #[schema(value_type = Vec<Object>)]
    evidence: [(); 0],
    /// Always empty.
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
}

/// For each text what was found in it.
type Detections = Vec<Vec<Detection>>;

/// Finds the parts of texts that violate a category.
#[utoipa::path(
    post, path = "/api/v1/text/contents", operation_id = "detect", request_body = ContentsRequest,
    params(("detector-id" = Option<String>, Header, description = "Any: there is one detector.")),
    responses((status = 200, body = Vec<Vec<Detection>>), DetectorFaults),
)]
pub(super) async fn contents(
    State(app): State<App>,
    mut posted: Posted,
) -> Result<Json<Detections>, Problem> {
    let mut ask = Ask::new(&app, &posted, None)?;
    let mut fields = Fields::lenient("body", posted.body.take())?;
    let contents = json::strings("contents", fields.require("contents")?)?;
    set_threshold(&mut ask, "detector_params", fields.take("detector_params"))?;
    ask.spans = true;
    let judged = ask.texts(contents.clone()).await?;
    Ok(Json(std::iter::zip(&contents, &judged).map(detections).collect()))
}

/// Takes one threshold for all categories out of an object of parameters.
pub(super) fn set_threshold(ask: &mut Ask, param: &str, params: Option<Value>) -> Result<()> {
    let Some(params) = params else { return Ok(()) };
    let Some(threshold) = Fields::lenient(param, params)?.take("threshold") else { return Ok(()) };
    let threshold = json::number(&format!("{param}.threshold"), &threshold)?;
    ask.rules = ask.rules.clone().with_threshold(threshold)?;
    Ok(())
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
