//! `POST /v1/score`: scores, thresholds and a verdict for each text or conversation.

mod result;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

use self::result::Detail;
use self::result::ScoreResult;
use crate::error::Error;
use crate::error::Result;
use crate::http::app::App;
use crate::http::auth::AccessRule;
use crate::http::auth::Area;
use crate::http::problem::ErrorResponses;
use crate::http::problem::Problem;
use crate::http::request::contract::Contract;
use crate::http::request::count::Count;
use crate::http::request::error_format;
use crate::http::request::input::Texts;
use crate::http::request::json_request::JsonRequest;
use crate::http::request::judged::Judged;
use crate::http::request::messages::Conversations;
use crate::http::request::scoring;
use crate::http::request::scoring::Scoring;
use crate::json::OrderedMap;
use crate::policy::Action;
use crate::score::Rules;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The contract.
pub(super) const CONTRACT: Contract = Contract {
    routes: &[(AccessRule::for_area(Area::Service), routes)],
    error_format: error_format::ours,
    schemas: &[],
};

fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(score))
}

/// The texts or conversations to score, and the rules to judge them by. Exactly one of `input` and
/// `messages` is required.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ScoreRequest {
    input: Option<Texts>,
    messages: Option<Conversations>,
    /// Thresholds by category id, from 0 to 1, which replace those of the policy; 1 disables a
    /// category. `custom_category_thresholds` is an alias of this field.
    #[schema(value_type = Option<std::collections::HashMap<String, f64>>)]
    thresholds: Option<OrderedMap<f64>>,
    #[schema(value_type = Option<std::collections::HashMap<String, f64>>)]
    custom_category_thresholds: Option<OrderedMap<f64>>,
    /// Judges only the categories that `thresholds` names.
    ignore_other_categories: Option<bool>,
    /// The only categories to judge; all if absent.
    #[schema(min_items = 1)]
    categories: Option<Vec<String>>,
    /// The action to return for a violation, overriding the policy.
    action: Option<ActionOverride>,
    /// The id of the policy to judge by; the first loaded policy if absent. The header
    /// `x-moderato-policy` takes precedence.
    policy: Option<String>,
    /// The name of the model that scores, with or without its version; the first loaded model if
    /// absent. The header `x-moderato-model` takes precedence.
    model: Option<String>,
    /// Whether to return the parts of the text that cause each violation.
    spans: Option<bool>,
    /// Whether to add clause scores to each violated category; `GET /v1/policy` lists the scored
    /// clauses.
    clauses: Option<bool>,
    /// Maximum number of categories to return, from the highest score to the lowest.
    top_k: Option<Count>,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ActionOverride {
    None,
    Block,
}

/// One result for each text or conversation, in order.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ScoreResponse {
    /// A unique id of the response.
    id: String,
    /// The model that scored, with its version.
    model: String,
    /// The policy that judged, with its version.
    policy: String,
    results: Vec<ScoreResult>,
    usage: ScoreUsage,
}

#[derive(Debug, Serialize, ToSchema)]
struct ScoreUsage {
    /// Tokens of all texts.
    n_tokens: usize,
}

/// Scores texts or conversations against every category of a policy.
#[utoipa::path(
    post, path = "/v1/score", request_body = ScoreRequest,
    params(
        ("x-request-timeout-ms" = Option<u64>, Header, description = "Lowers the deadline."),
        ("x-moderato-policy" = Option<String>, Header, description = "The policy to judge by."),
        ("x-moderato-model" = Option<String>, Header, description = "The model to score with."),
    ),
    responses((status = 200, body = ScoreResponse), ErrorResponses),
)]
pub(in crate::http) async fn score(
    State(app): State<App>,
    JsonRequest { body, mut options }: JsonRequest<ScoreRequest>,
) -> Result<Json<ScoreResponse>, Problem> {
    if let Some(model) = &body.model {
        options.select_model(model.clone());
    }
    let mut scoring = Scoring::new(&app, &options, body.policy.as_deref())?;
    scoring.rules = body.rules(scoring.rules)?;
    scoring.spans = body.spans.unwrap_or(false);
    let detail = Detail {
        top_k: body.top_k.map(|Count(top_k)| top_k),
        clauses: body.clauses.unwrap_or(false),
    };
    let judged = match (body.input, body.messages) {
        (Some(Texts(texts)), None) => scoring.texts(texts).await?,
        (None, Some(messages)) => {
            let turns = messages.into_turns("messages", app.settings().media)?;
            scoring.conversations(turns).await?
        }
        (None, None) => return Err(Error::MissingField { param: "input".into() }.into()),
        (Some(_), Some(_)) => return Err(either("messages", "input").into()),
    };
    Ok(Json(ScoreResponse::new(&scoring, &judged, detail)))
}

impl ScoreRequest {
    /// Applies the overrides of the request to `rules`.
    fn rules(&self, rules: Rules) -> Result<Rules> {
        let thresholds = self.thresholds()?;
        let mut rules = rules.with_thresholds(thresholds)?;
        if let Some(ids) = &self.categories {
            if ids.is_empty() {
                let (expected, found) = ("an array of at least one id".into(), "an empty array");
                return Err(Error::InvalidType { param: "categories".into(), expected, found });
            }
            rules = rules.only(ids)?;
        }
        if self.ignore_other_categories.unwrap_or(false) {
            let ids: Vec<_> = thresholds.iter().map(|(id, _)| id.clone()).collect();
            rules = rules.only(&ids)?;
        }
        if rules.is_empty() {
            let expected = "thresholds of at least one category that is judged".into();
            let param = "ignore_other_categories".into();
            return Err(Error::InvalidValue { param, expected });
        }
        Ok(match self.action {
            Some(ActionOverride::None) => rules.with_action(Action::Allow),
            Some(ActionOverride::Block) => rules.with_action(Action::Block),
            None => rules,
        })
    }

    fn thresholds(&self) -> Result<&[(String, f64)]> {
        match (&self.thresholds, &self.custom_category_thresholds) {
            (None, None) => Ok(&[]),
            (Some(OrderedMap(thresholds)), None) | (None, Some(OrderedMap(thresholds))) => {
                Ok(thresholds)
            }
            (Some(_), Some(_)) => Err(either("custom_category_thresholds", "thresholds")),
        }
    }
}

impl ScoreResponse {
    fn new(scoring: &Scoring, judged: &[Judged], detail: Detail) -> Self {
        Self {
            id: format!("score-{}", uuid::Uuid::new_v4().simple()),
            model: scoring.model(),
            policy: scoring.policy().reference(),
            usage: ScoreUsage { n_tokens: scoring::n_tokens(judged) },
            results: judged.iter().map(|judged| ScoreResult::new(judged, detail)).collect(),
        }
    }
}

fn either(param: &str, other: &str) -> Error {
    Error::InvalidValue { param: param.into(), expected: format!("left out beside {other}") }
}
