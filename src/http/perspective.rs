//! `POST /v1alpha1/comments:analyze`: the contract of Google's Perspective.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::Error;
use crate::error::Result;
use crate::http::app::App;
use crate::http::ask::Ask;
use crate::http::dialect::GoogleFaults;
use crate::http::input::Words;
use crate::http::judged::NamedJudgement;
use crate::http::posted::Posted;
use crate::http::problem::Problem;
use crate::json;
use crate::json::ById;
use crate::json::Fields;

/// What to analyze. Other fields are left alone: nothing is stored, whatever they ask.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "read by the documentation")]
pub(super) struct AnalyzeRequest {
    comment: Comment,
    /// By name; `GET /v1/models` lists those there are, in the namespace `perspective`.
    #[schema(value_type = std::collections::HashMap<String, RequestedAttribute>)]
    requested_attributes: Value,
    /// Come back.
    languages: Option<Vec<String>>,
    /// Names the parts of the text that carry a violation.
    span_annotations: Option<bool>,
    /// Comes back.
    client_token: Option<String>,
}

#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "read by the documentation")]
struct Comment {
    text: Words,
}

#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "read by the documentation")]
struct RequestedAttribute {
    /// Leaves the attribute out of the answer if it scores less.
    #[schema(minimum = 0, maximum = 1)]
    score_threshold: Option<f64>,
}

/// Scores by attribute.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AnalyzeResponse {
    #[schema(value_type = std::collections::HashMap<String, AttributeScores>)]
    attribute_scores: ById<AttributeScores>,
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
    /// The parts that carry a violation, if they were asked for; else the whole text.
    span_scores: Vec<SpanScore>,
    summary_score: Score,
}

#[derive(Debug, Serialize, ToSchema)]
struct SpanScore {
    /// From character.
    begin: usize,
    /// To character (exclusive).
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

/// Scores a text by attribute; answers as Perspective does.
#[utoipa::path(
    post, path = "/v1alpha1/comments:analyze", operation_id = "analyze_comment",
    request_body = AnalyzeRequest,
    responses((status = 200, body = AnalyzeResponse), GoogleFaults),
)]
pub(super) async fn analyze(
    State(app): State<App>,
    mut posted: Posted,
) -> Result<Json<AnalyzeResponse>, Problem> {
    let mut ask = Ask::new(&app, &posted, None)?;
    let mut fields = Fields::lenient("body", posted.body.take())?;
    let text = text(&mut fields)?;
    let attributes = attributes(&ask, fields.require("requestedAttributes")?)?;
    let languages = fields.take("languages").map(|all| json::strings("languages", all));
    let client_token = fields.take("clientToken").map(|token| json::string("clientToken", token));
    if let Some(spans) = fields.take("spanAnnotations") {
        ask.spans = json::boolean("spanAnnotations", &spans)?;
    }
    let n_chars = text.chars().count();
    let judged = ask.texts(vec![text]).await?;
    let judged = judged.first().ok_or(Error::Stopped)?;
    let entries = judged.entries_under(ask.policy().namespace(NAMESPACE));
    Ok(Json(AnalyzeResponse {
        attribute_scores: attribute_scores(&attributes, &entries, n_chars),
        languages: languages.transpose()?,
        client_token: client_token.transpose()?,
        do_not_store: true,
    }))
}

fn text(fields: &mut Fields) -> Result<String> {
    let comment = fields.require("comment")?;
    let text = Fields::lenient("comment", comment)?.require_of("comment", "text")?;
    json::string("comment.text", text)
}

/// The attributes asked for, each with the score from which on it is answered.
fn attributes(ask: &Ask, requested: Value) -> Result<Vec<(String, f64)>> {
    let Value::Object(requested) = requested else {
        return Err(json::invalid("requestedAttributes", "an object", &requested));
    };
    let names = ask.policy().namespace(NAMESPACE).map_or_else(
        || ask.policy().ids(),
        |namespace| namespace.names.iter().map(|name| name.name.clone()).collect(),
    );
    let attribute = |(name, settings): (String, Value)| {
        if !names.contains(&name) {
            let unknown = vec![name.chars().take(40).collect()];
            let param = "requestedAttributes";
            return Err(Error::UnknownCategories { param, unknown, known: names.clone() });
        }
        let param = format!("requestedAttributes.{name}");
        let threshold = match settings {
            Value::Null => None,
            other => Fields::lenient(&param, other)?.take("scoreThreshold"),
        };
        let threshold =
            threshold.map(|number| json::number(&format!("{param}.scoreThreshold"), &number));
        Ok((name, threshold.transpose()?.unwrap_or(0.0)))
    };
    requested.into_iter().map(attribute).collect()
}

fn attribute_scores(
    attributes: &[(String, f64)],
    entries: &[NamedJudgement<'_>],
    n_chars: usize,
) -> ById<AttributeScores> {
    let answered = attributes.iter().filter_map(|(name, threshold)| {
        let entry = entries.iter().find(|entry| entry.id == name)?;
        (f64::from(entry.judgement.score) >= *threshold).then_some(entry)
    });
    let attribute_scores = |entry: &NamedJudgement<'_>| {
        let score = entry.judgement.score;
        let span = |(begin, end, value)| SpanScore { begin, end, score: Score::of(value) };
        let spans = entry.spans.iter().flatten();
        let mut span_scores: Vec<_> =
            spans.map(|found| span((found.chars[0], found.chars[1], found.score))).collect();
        if span_scores.is_empty() {
            span_scores.push(span((0, n_chars, score)));
        }
        (entry.id.to_owned(), AttributeScores { span_scores, summary_score: Score::of(score) })
    };
    answered.map(attribute_scores).collect()
}

impl Score {
    fn of(value: f32) -> Self {
        Self { value, r#type: "PROBABILITY" }
    }
}

/// Where the policy says what stands for an attribute.
const NAMESPACE: &str = "perspective";
