//! `POST /v1/score`: scores, thresholds and a verdict for each text or conversation.

mod result;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use self::result::Detail;
use self::result::ScoreResult;
use crate::error::Error;
use crate::error::Result;
use crate::http::app::App;
use crate::http::ask;
use crate::http::ask::Ask;
use crate::http::input::Input;
use crate::http::judged::Judged;
use crate::http::messages;
use crate::http::messages::Message;
use crate::http::posted::Posted;
use crate::http::problem::Faults;
use crate::http::problem::Problem;
use crate::json;
use crate::json::Fields;
use crate::policy::Action;
use crate::text::Turn;

/// What to score, and by which terms. One of `input` and `messages` must be there.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "read by the documentation")]
pub(super) struct ScoreRequest {
    input: Option<Input>,
    /// A conversation, of which the last turn is judged in the context of those before it; or
    /// several, an array each.
    #[schema(min_items = 1)]
    messages: Option<Vec<Message>>,
    /// Thresholds by category id, from 0 to 1; they replace those of the policy, 1 switches a
    /// category off. `custom_category_thresholds` is another name for it.
    #[schema(value_type = Option<std::collections::HashMap<String, f64>>)]
    thresholds: Option<Vec<(String, f64)>>,
    #[schema(value_type = Option<std::collections::HashMap<String, f64>>)]
    custom_category_thresholds: Option<Vec<(String, f64)>>,
    /// Judges only the categories that `thresholds` names.
    ignore_other_categories: Option<bool>,
    /// The only categories to judge; all if absent.
    #[schema(min_items = 1)]
    categories: Option<Vec<String>>,
    /// What to answer for a violation, whatever the policy says: `none` or `block`.
    action: Option<String>,
    /// The id of the policy to judge by; the first that was loaded if absent. The header
    /// `x-moderato-policy` is another way to say it.
    policy: Option<String>,
    /// The name of the model that scores, with or without its version; the first that was loaded
    /// if absent. The header `x-moderato-model` is another way to say it.
    model: Option<String>,
    /// Names the parts of the text that carry each violation.
    spans: Option<bool>,
    /// Adds clause scores to each violated category; `GET /v1/policy` says which clauses are scored.
    clauses: Option<bool>,
    /// So many categories only, from the highest score to the lowest.
    #[schema(minimum = 1)]
    top_k: Option<usize>,
}

/// One result for each text or conversation, in order.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ScoreResponse {
    /// Unique.
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
    responses((status = 200, body = ScoreResponse), Faults),
)]
pub(super) async fn score(
    State(app): State<App>,
    mut posted: Posted,
) -> Result<Json<ScoreResponse>, Problem> {
    let mut fields = Fields::of(posted.body.take(), FIELDS)?;
    let policy = fields.take("policy").map(|id| json::string("policy", id)).transpose()?;
    if let Some(model) = fields.take("model") {
        posted.name_model(json::string("model", model)?);
    }
    let mut ask = Ask::new(&app, &posted, policy.as_deref())?;
    let subjects = Subjects::parse(&app, &mut fields)?;
    let top_k = fields.take("top_k").map(|k| json::count("top_k", &k)).transpose()?;
    let clauses = flag(&mut fields, "clauses")?;
    set_rules(&mut ask, fields)?;
    let judged = match subjects {
        Subjects::Texts(texts) => ask.texts(texts).await?,
        Subjects::Conversations(conversations) => ask.conversations(conversations).await?,
    };
    Ok(Json(ScoreResponse::new(&ask, &judged, Detail { top_k, clauses })))
}

impl ScoreResponse {
    fn new(ask: &Ask, judged: &[Judged], detail: Detail) -> Self {
        Self {
            id: format!("score-{}", uuid::Uuid::new_v4().simple()),
            model: ask.model(),
            policy: ask.policy().reference(),
            usage: ScoreUsage { n_tokens: ask::n_tokens(judged) },
            results: judged.iter().map(|judged| ScoreResult::new(judged, detail)).collect(),
        }
    }
}

/// What came to be judged.
enum Subjects {
    Texts(Vec<String>),
    Conversations(Vec<Vec<Turn>>),
}

impl Subjects {
    fn parse(app: &App, fields: &mut Fields) -> Result<Self> {
        match (fields.take("input"), fields.take("messages")) {
            (Some(input), None) => Ok(Self::Texts(json::string_or_strings("input", input)?)),
            (None, Some(messages)) => {
                messages::conversations(app, "messages", messages).map(Self::Conversations)
            }
            (None, None) => Err(Error::MissingField { param: "input".into() }),
            (Some(_), Some(_)) => Err(either("messages", "input")),
        }
    }
}

/// Takes what remains of the request into the rules.
fn set_rules(ask: &mut Ask, mut fields: Fields) -> Result<()> {
    let thresholds = thresholds(&mut fields)?;
    let mut rules = ask.rules.clone().with_thresholds(&thresholds)?;
    if let Some(ids) = categories(&mut fields)? {
        rules = rules.only(&ids)?;
    }
    if flag(&mut fields, "ignore_other_categories")? {
        let ids: Vec<_> = thresholds.into_iter().map(|(id, _)| id).collect();
        rules = rules.only(&ids)?;
    }
    if let Some(action) = fields.take("action") {
        rules = match json::string("action", action)?.as_str() {
            "none" => rules.with_action(Action::Allow),
            "block" => rules.with_action(Action::Block),
            _ => {
                let expected = "none or block".into();
                return Err(Error::InvalidValue { param: "action".into(), expected });
            }
        };
    }
    ask.rules = rules;
    ask.spans = flag(&mut fields, "spans")?;
    Ok(())
}

fn thresholds(fields: &mut Fields) -> Result<Vec<(String, f64)>> {
    match (fields.take("thresholds"), fields.take("custom_category_thresholds")) {
        (None, None) => Ok(Vec::new()),
        (Some(own), None) => json::numbers("thresholds", own),
        (None, Some(custom)) => json::numbers("custom_category_thresholds", custom),
        (Some(_), Some(_)) => Err(either("custom_category_thresholds", "thresholds")),
    }
}

fn categories(fields: &mut Fields) -> Result<Option<Vec<String>>> {
    match fields.take("categories") {
        Some(Value::Array(values)) if values.is_empty() => {
            let (expected, found) = ("an array of at least one id", "an empty array");
            Err(Error::InvalidType { param: "categories".into(), expected, found })
        }
        Some(value) => json::strings("categories", value).map(Some),
        None => Ok(None),
    }
}

fn flag(fields: &mut Fields, name: &'static str) -> Result<bool> {
    fields.take(name).map_or(Ok(false), |value| json::boolean(name, &value))
}

fn either(param: &str, other: &str) -> Error {
    Error::InvalidValue { param: param.into(), expected: format!("left out beside {other}") }
}

const FIELDS: &[&str] = &[
    "input",
    "messages",
    "thresholds",
    "custom_category_thresholds",
    "ignore_other_categories",
    "categories",
    "action",
    "policy",
    "model",
    "spans",
    "clauses",
    "top_k",
];
