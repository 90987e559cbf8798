//! `POST /v1alpha1/comments:analyze`: the contract of Google's Perspective.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Error;
use crate::error::Result;
use crate::error::shorten;
use crate::http::app::App;
use crate::http::auth::AccessRule;
use crate::http::auth::Area;
use crate::http::auth::KeyLocation;
use crate::http::problem::Problem;
use crate::http::request::contract::Contract;
use crate::http::request::contract::add_schema;
use crate::http::request::error_format;
use crate::http::request::error_format::failures;
use crate::http::request::json_request::JsonRequest;
use crate::http::request::judged::NamedJudgement;
use crate::http::request::scoring::Scoring;
use crate::json::OrderedMap;
use crate::policy::Policy;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The contract.
pub(super) const CONTRACT: Contract = Contract {
    routes: &[(
        AccessRule { area: Area::Service, key_location: KeyLocation::HeadersOrQuery },
        routes,
    )],
    error_format: write_error,
    schemas: &[add_schema::<GoogleError>],
};

fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(analyze))
}

/// The text to analyze. Other fields are ignored; nothing is ever stored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct AnalyzeRequest {
    comment: Comment,
    /// The requested attributes by name; `GET /v1/models` lists the available ones in the namespace
    /// `perspective`.
    #[schema(value_type = std::collections::HashMap<String, RequestedAttribute>)]
    requested_attributes: OrderedMap<RequestedAttribute>,
    /// Returned unchanged.
    languages: Option<Vec<String>>,
    /// Whether to return the parts of the text that cause a violation.
    span_annotations: Option<bool>,
    /// Returned unchanged.
    client_token: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct Comment {
    text: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RequestedAttribute {
    /// Omits the attribute from the response if its score is lower.
    #[schema(minimum = 0, maximum = 1)]
    score_threshold: Option<f64>,
}

/// Scores by attribute.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct AnalyzeResponse {
    #[schema(value_type = std::collections::HashMap<String, AttributeScores>)]
    attribute_scores: OrderedMap<AttributeScores>,
    #[serde(skip_serializing_if = "Option::is_none")]
    languages: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_token: Option<String>,
    /// Always true.
    do_not_store: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AttributeScores {
    /// The parts of the text that cause a violation, if requested and found; otherwise the whole
    /// text.
    span_scores: Vec<SpanScore>,
    summary_score: Score,
}

#[derive(Debug, Serialize, ToSchema)]
struct SpanScore {
    /// Start offset in characters.
    begin: usize,
    /// End offset in characters (exclusive).
    end: usize,
    score: Score,
}

#[derive(Debug, Serialize, ToSchema)]
struct Score {
    /// From 0 to 1.
    value: f32,
    /// Always `PROBABILITY`.
    r#type: &'static str,
}

/// Scores a text by attribute, in the format of the Perspective API.
#[utoipa::path(
    post, path = "/v1alpha1/comments:analyze", operation_id = "analyze_comment",
    request_body = AnalyzeRequest,
    responses((status = 200, body = AnalyzeResponse), GoogleFailures),
)]
pub(in crate::http) async fn analyze(
    State(app): State<App>,
    JsonRequest { body, options }: JsonRequest<AnalyzeRequest>,
) -> Result<Json<AnalyzeResponse>, Problem> {
    let mut scoring = Scoring::new(&app, &options, None)?;
    let attributes = attributes(scoring.policy(), body.requested_attributes)?;
    scoring.spans = body.span_annotations.unwrap_or(false);
    let text = body.comment.text;
    let n_chars = text.chars().count();
    let judged = scoring.texts(vec![text]).await?;
    let judged = judged.first().ok_or(Error::Stopped)?;
    let entries = judged.entries_under(scoring.policy().namespace(NAMESPACE));
    Ok(Json(AnalyzeResponse {
        attribute_scores: attribute_scores(&attributes, &entries, n_chars),
        languages: body.languages,
        client_token: body.client_token,
        do_not_store: true,
    }))
}

/// Returns the requested attributes, each with the minimum score to be included in the response.
fn attributes(
    policy: &Policy,
    requested: OrderedMap<RequestedAttribute>,
) -> Result<Vec<(String, f64)>> {
    let names = policy.namespace(NAMESPACE).map_or_else(
        || policy.ids(),
        |namespace| namespace.names.iter().map(|name| name.name.clone()).collect(),
    );
    let attribute = |(name, settings): (String, RequestedAttribute)| {
        if !names.contains(&name) {
            let unknown = vec![shorten(&name)];
            let param = "requestedAttributes";
            return Err(Error::UnknownCategories { param, unknown, known: names.clone() });
        }
        Ok((name, settings.score_threshold.unwrap_or(0.0)))
    };
    requested.0.into_iter().map(attribute).collect()
}

fn attribute_scores(
    attributes: &[(String, f64)],
    entries: &[NamedJudgement<'_>],
    n_chars: usize,
) -> OrderedMap<AttributeScores> {
    let answered = attributes.iter().filter_map(|(name, threshold)| {
        let entry = entries.iter().find(|entry| entry.id == name)?;
        (f64::from(entry.judgement.score) >= *threshold).then_some(entry)
    });
    let attribute_scores = |entry: &NamedJudgement<'_>| {
        let score = entry.judgement.score;
        let span = |(begin, end, value)| SpanScore { begin, end, score: Score::new(value) };
        let spans = entry.spans.iter().flatten();
        let mut span_scores: Vec<_> =
            spans.map(|found| span((found.chars[0], found.chars[1], found.score))).collect();
        if span_scores.is_empty() {
            span_scores.push(span((0, n_chars, score)));
        }
        (entry.id.to_owned(), AttributeScores { span_scores, summary_score: Score::new(score) })
    };
    answered.map(attribute_scores).collect()
}

impl Score {
    fn new(value: f32) -> Self {
        Self { value, r#type: "PROBABILITY" }
    }
}

/// The namespace of the policy that maps attributes to categories.
const NAMESPACE: &str = "perspective";

/// An error in the format of Google's APIs.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct GoogleError {
    error: GoogleErrorDetail,
}

#[derive(Debug, Serialize, ToSchema)]
struct GoogleErrorDetail {
    /// The HTTP status code.
    code: u16,
    message: String,
    /// `INVALID_ARGUMENT`, `UNAVAILABLE`, ...
    status: &'static str,
}

failures!(GoogleFailures: GoogleError);

/// Rewrites errors in the format of Google's APIs.
fn write_error(response: Response) -> Response {
    error_format::rewrite(response, |status, message| {
        let name = match status {
            StatusCode::SERVICE_UNAVAILABLE => "UNAVAILABLE",
            StatusCode::GATEWAY_TIMEOUT => "DEADLINE_EXCEEDED",
            StatusCode::NOT_FOUND => "NOT_FOUND",
            StatusCode::UNAUTHORIZED => "UNAUTHENTICATED",
            StatusCode::FORBIDDEN => "PERMISSION_DENIED",
            StatusCode::TOO_MANY_REQUESTS => "RESOURCE_EXHAUSTED",
            _ if status.is_server_error() => "INTERNAL",
            _ => "INVALID_ARGUMENT",
        };
        let error = GoogleErrorDetail { code: status.as_u16(), message, status: name };
        (status, Json(GoogleError { error })).into_response()
    })
}
