//! `POST /v1/score`: scores, thresholds and a verdict for each text.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::Error;
use crate::error::Result;
use crate::http::app::App;
use crate::http::input::Input;
use crate::http::posted::Posted;
use crate::http::problem::ErrorBody;
use crate::http::problem::Problem;
use crate::json;
use crate::json::Fields;
use crate::policy::Policy;
use crate::score::Report;
use crate::score::Terms;

/// What to score, and by which terms.
#[derive(Debug, ToSchema)]
pub(super) struct ScoreRequest {
    input: Input,
    /// Thresholds by category id, from 0 to 1; they replace those of the policy, 1 switches a
    /// category off.
    #[schema(value_type = Option<std::collections::HashMap<String, f64>>)]
    thresholds: Vec<(String, f64)>,
    /// The only categories to judge; all if absent.
    categories: Option<Vec<String>>,
}

/// One result for each text, in order.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ScoreResponse {
    /// Unique.
    id: String,
    /// The model that scored, with its version.
    model: String,
    /// The policy that judged, with its version.
    policy: String,
    results: Vec<Report>,
    usage: ScoreUsage,
}

#[derive(Debug, Serialize, ToSchema)]
struct ScoreUsage {
    /// Tokens of all texts.
    n_tokens: usize,
}

/// Scores one or more texts against every category of the policy.
#[utoipa::path(
    post, path = "/v1/score", request_body = ScoreRequest,
    params(("x-request-timeout-ms" = Option<u64>, Header, description = "Lowers the deadline.")),
    responses(
        (status = 200, body = ScoreResponse),
        (status = "4XX", body = ErrorBody, description = "The request is at fault."),
        (status = "5XX", body = ErrorBody, description = "503: try again later; 504: too late."),
    ),
)]
pub(super) async fn score(
    State(app): State<App>,
    posted: Posted,
) -> Result<Json<ScoreResponse>, Problem> {
    let engine = app.engine()?;
    let request = ScoreRequest::parse(posted.body)?;
    let terms = request.terms(engine.policy())?;
    let results = app.assess(request.input.0, &terms, posted.deadline).await?;
    Ok(Json(ScoreResponse {
        id: format!("score-{}", uuid::Uuid::new_v4().simple()),
        model: engine.card().reference(),
        policy: engine.policy().reference(),
        usage: ScoreUsage { n_tokens: results.iter().map(|result| result.n_tokens).sum() },
        results,
    }))
}

impl ScoreRequest {
    fn parse(body: Value) -> Result<Self> {
        let mut fields = Fields::of(body, &["input", "thresholds", "categories"])?;
        let input = Input::parse(fields.require("input")?)?;
        let thresholds = match fields.take("thresholds") {
            Some(value) => json::numbers("thresholds", value)?,
            None => Vec::new(),
        };
        let categories = match fields.take("categories") {
            Some(Value::Array(values)) if values.is_empty() => {
                let (expected, found) = ("an array of at least one id", "an empty array");
                return Err(Error::InvalidType { param: "categories".into(), expected, found });
            }
            Some(value) => Some(json::strings("categories", value)?),
            None => None,
        };
        Ok(Self { input, thresholds, categories })
    }

    fn terms(&self, policy: &Policy) -> Result<Terms> {
        let terms = Terms::of(policy).with_thresholds(policy, &self.thresholds)?;
        match &self.categories {
            Some(ids) => terms.only(policy, ids),
            None => Ok(terms),
        }
    }
}
