//! `POST /v1/chat/moderations`: Mistral's contract for conversations.

use axum::Json;
use axum::extract::State;
use utoipa::ToSchema;

use crate::error::Result;
use crate::http::app::App;
use crate::http::ask::Ask;
use crate::http::messages;
use crate::http::messages::Message;
use crate::http::moderations;
use crate::http::moderations::ModerationResponse;
use crate::http::posted::Posted;
use crate::http::problem::Faults;
use crate::http::problem::Problem;
use crate::json::Fields;

/// What to moderate.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "read by the documentation")]
pub(super) struct ChatModerationRequest {
    /// A conversation, of which the last turn is judged in the context of those before it; or an
    /// array of conversations.
    #[schema(min_items = 1)]
    input: Vec<Message>,
    /// Chooses the names of the categories, as in `/v1/moderations`.
    model: Option<String>,
}

/// Moderates the last turn of one or more conversations; answers as Mistral's clients expect.
#[utoipa::path(
    post, path = "/v1/chat/moderations", operation_id = "moderate_chat",
    request_body = ChatModerationRequest,
    responses((status = 200, body = ModerationResponse), Faults),
)]
pub(super) async fn moderate(
    State(app): State<App>,
    mut posted: Posted,
) -> Result<Json<ModerationResponse>, Problem> {
    let mut fields =
        Fields::of(posted.body.take(), &["input", "model", "truncate_for_context_length"])?;
    let model = moderations::model(&mut fields)?;
    posted.suggest_model(&app, model.as_deref());
    let ask = Ask::new(&app, &posted, None)?;
    let conversations = messages::conversations(&app, "input", fields.require("input")?)?;
    let judged = ask.conversations(conversations).await?;
    Ok(Json(ModerationResponse::new(&ask, model.as_deref(), &judged)))
}
