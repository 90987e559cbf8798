//! `POST /classify`: vLLM's contract for classifiers.

use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Error;
use crate::error::Result;
use crate::http::app::App;
use crate::http::ask;
use crate::http::ask::Ask;
use crate::http::clock::unix_seconds;
use crate::http::input::Input;
use crate::http::judged::Judged;
use crate::http::judged::NamedJudgement;
use crate::http::messages;
use crate::http::messages::Message;
use crate::http::posted::Posted;
use crate::http::problem::Faults;
use crate::http::problem::Problem;
use crate::json;
use crate::json::Fields;

/// What to classify: `input` or `messages`. Other fields are left alone.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "read by the documentation")]
pub(super) struct ClassifyRequest {
    input: Option<Input>,
    /// A conversation, of which the last turn is judged.
    messages: Option<Vec<Message>>,
    /// Any name; the answer says which model scored.
    model: Option<String>,
}

/// One entry for each text, in order.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ClassifyResponse {
    /// Unique.
    id: String,
    /// Always `list`.
    object: &'static str,
    /// Seconds since 1970.
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
    /// Of all categories, in the order of the policy; each for itself, so they do not sum to 1.
    probs: Vec<f32>,
    num_classes: usize,
}

#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the contract has these names")]
struct ClassifyUsage {
    prompt_tokens: usize,
    total_tokens: usize,
    completion_tokens: usize,
}

/// Classifies one or more texts; answers as vLLM does.
#[utoipa::path(
    post, path = "/classify", operation_id = "classify_vllm", request_body = ClassifyRequest,
    responses((status = 200, body = ClassifyResponse), Faults),
)]
pub(super) async fn classify(
    State(app): State<App>,
    mut posted: Posted,
) -> Result<Json<ClassifyResponse>, Problem> {
    let mut fields = Fields::lenient("body", posted.body.take())?;
    let model = fields.take("model").map(|model| json::string("model", model)).transpose()?;
    posted.suggest_model(&app, model.as_deref());
    let ask = Ask::new(&app, &posted, None)?;
    let judged = judge(&app, &ask, fields).await?;
    let n_tokens = ask::n_tokens(&judged);
    Ok(Json(ClassifyResponse {
        id: format!("classify-{}", uuid::Uuid::new_v4().simple()),
        object: "list",
        created: unix_seconds(SystemTime::now()),
        model: ask.model(),
        data: judged.iter().enumerate().map(Classified::new).collect(),
        usage: ClassifyUsage {
            prompt_tokens: n_tokens,
            total_tokens: n_tokens,
            completion_tokens: 0,
        },
    }))
}

async fn judge(app: &App, ask: &Ask, mut fields: Fields) -> Result<Vec<Judged>> {
    match (fields.take("input"), fields.take("messages")) {
        (Some(input), _) => ask.texts(json::string_or_strings("input", input)?).await,
        (None, Some(messages)) => {
            ask.conversations(messages::conversations(app, "messages", messages)?).await
        }
        (None, None) => Err(Error::MissingField { param: "input".into() }),
    }
}

impl Classified {
    fn new((index, judged): (usize, &Judged)) -> Self {
        let entries: Vec<_> = judged.entries().collect();
        let score = |entry: &NamedJudgement<'_>| entry.judgement.score;
        let highest = entries.iter().max_by(|one, other| score(one).total_cmp(&score(other)));
        Self {
            index,
            label: highest.map(|entry| entry.id.to_owned()).unwrap_or_default(),
            probs: entries.iter().map(score).collect(),
            num_classes: entries.len(),
        }
    }
}
