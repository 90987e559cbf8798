//! Conversations as chat APIs write them: messages with a role and a content.

use serde_json::Value;
use utoipa::ToSchema;

use crate::error::Error;
use crate::error::Result;
use crate::http::app::App;
use crate::json;
use crate::json::Fields;
use crate::text::Role;
use crate::text::Turn;

/// One message; fields beyond these are left alone.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "read by the documentation")]
pub(super) struct Message {
    role: MessageRole,
    /// A text, an array of parts `{"type": "text", "text": ...}`, or null.
    #[schema(value_type = Option<Object>)]
    content: Value,
}

#[derive(Debug, ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "read by the documentation")]
enum MessageRole {
    System,
    Developer,
    User,
    Assistant,
    Tool,
    Function,
}

/// One conversation or several: an array of messages, or an array of such arrays.
pub(super) fn conversations(app: &App, param: &str, value: Value) -> Result<Vec<Vec<Turn>>> {
    let values = json::array(param, value)?;
    if !matches!(values.first(), Some(Value::Array(_))) {
        return Ok(vec![turns(app, param, values)?]);
    }
    let conversation = |(index, value)| {
        let param = format!("{param}[{index}]");
        turns(app, &param, json::array(&param, value)?)
    };
    values.into_iter().enumerate().map(conversation).collect()
}

/// The messages of one conversation.
pub(super) fn turns(app: &App, param: &str, messages: Vec<Value>) -> Result<Vec<Turn>> {
    let turn = |(index, message)| {
        let param = format!("{param}[{index}]");
        let mut fields = Fields::lenient(&param, message)?;
        let role = fields.require_of(&param, "role")?;
        let role = json::string(&format!("{param}.role"), role)?;
        let role = Role::of(&role).ok_or_else(|| Error::InvalidValue {
            param: format!("{param}.role"),
            expected: "system, user, assistant or tool".into(),
        })?;
        let content = match fields.take("content") {
            Some(content) => self::content(app, &format!("{param}.content"), content)?,
            None => String::new(),
        };
        Ok(Turn { role, content })
    };
    messages.into_iter().enumerate().map(turn).collect()
}

/// A content: a string, or parts of which the texts are joined in order.
fn content(app: &App, param: &str, value: Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Array(values) => parts(app, param, values),
        other => Err(json::invalid(param, "a string or an array of parts", &other)),
    }
}

/// Parts of a multimodal input: the texts, a line each; images are refused or left out.
pub(super) fn parts(app: &App, param: &str, values: Vec<Value>) -> Result<String> {
    let part = |(index, value)| {
        let param = format!("{param}[{index}]");
        let mut fields = Fields::lenient(&param, value)?;
        let kind = json::string(&format!("{param}.type"), fields.require_of(&param, "type")?)?;
        if kind == "text" {
            let text = fields.require_of(&param, "text")?;
            return json::string(&format!("{param}.text"), text).map(Some);
        }
        if app.settings().ignore_images {
            return Ok(None);
        }
        Err(Error::Unsupported { param, reason: ONLY_TEXT })
    };
    let texts = values.into_iter().enumerate().map(part).collect::<Result<Vec<_>>>()?;
    Ok(texts.into_iter().flatten().collect::<Vec<_>>().join("\n"))
}

/// What is said of an image.
pub(super) const ONLY_TEXT: &str =
    "only parts of type text are scored; serve with --ignore-images to have others left out";
