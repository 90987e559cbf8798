//! Conversations in the format of chat APIs, and the readable text in them.
#![expect(unused_qualifications, reason = "utoipa's macros qualify names of this module")]

mod part;
mod tool_call;

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::SeqAccess;
use serde::de::Visitor;
use utoipa::PartialSchema;
use utoipa::ToSchema;
use utoipa::openapi::ArrayBuilder;
use utoipa::openapi::OneOfBuilder;
use utoipa::openapi::RefOr;
use utoipa::openapi::Schema;

pub(in crate::http) use self::part::ONLY_TEXT;
pub(in crate::http) use self::part::Part;
pub(in crate::http) use self::tool_call::FunctionCall;
pub(in crate::http) use self::tool_call::ToolCall;
use crate::error::Result;
use crate::http::app::Media;
use crate::http::request::messages::part::Content;
use crate::http::request::one_or_many::OneOrMany;
use crate::http::request::sequence::read_rest;
use crate::text;
use crate::text::Turn;

/// One message. Other fields are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub(in crate::http) struct Message {
    role: Role,
    /// A text or an array of parts; may be absent, as in an assistant's tool calls.
    content: Option<Content>,
    refusal: Option<String>,
    reasoning_content: Option<String>,
    reasoning: Option<String>,
    tool_calls: Option<Vec<ToolCall>>,
    /// The older form of `tool_calls`.
    function_call: Option<FunctionCall>,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Role {
    System,
    Developer,
    User,
    Assistant,
    Tool,
    Function,
}

/// One conversation (an array of messages), or an array of conversations.
#[derive(Debug)]
pub(in crate::http) struct Conversations(pub(in crate::http) Vec<Vec<Message>>);

impl Conversations {
    /// Converts each conversation to turns.
    pub(in crate::http) fn into_turns(self, param: &str, media: Media) -> Result<Vec<Vec<Turn>>> {
        if let [_] = self.0.as_slice() {
            return self.0.into_iter().map(|messages| turns(messages, param, media)).collect();
        }
        let conversations = self.0.into_iter().enumerate();
        conversations
            .map(|(index, messages)| turns(messages, &format!("{param}[{index}]"), media))
            .collect()
    }
}

/// Joins the texts of the parts of one input, one per line.
pub(in crate::http) fn text_of(parts: Vec<Part>, param: &str, media: Media) -> Result<String> {
    let mut texts = Vec::new();
    part::read_parts(parts, param, media, &mut texts)?;
    Ok(texts.join("\n"))
}

/// Converts the messages of one conversation to turns; `param` is their path.
pub(in crate::http) fn turns(
    messages: Vec<Message>,
    param: &str,
    media: Media,
) -> Result<Vec<Turn>> {
    let turn =
        |(index, message): (usize, Message)| message.into_turn(&format!("{param}[{index}]"), media);
    messages.into_iter().enumerate().map(turn).collect()
}

impl Message {
    /// Joins all readable text of the message, one text per line. The content of the turn is empty
    /// if there is none.
    fn into_turn(self, param: &str, media: Media) -> Result<Turn> {
        let mut texts = Vec::new();
        if let Some(content) = self.content {
            content.read(&format!("{param}.content"), media, &mut texts)?;
        }
        texts.extend([self.refusal, self.reasoning_content, self.reasoning].into_iter().flatten());
        for call in self.tool_calls.into_iter().flatten() {
            call.read(&mut texts);
        }
        if let Some(call) = self.function_call {
            call.read(&mut texts);
        }
        texts.retain(|text| !text.trim().is_empty());
        Ok(Turn { role: self.role.into(), content: texts.join("\n") })
    }
}

impl From<Role> for text::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::System | Role::Developer => Self::System,
            Role::User => Self::User,
            Role::Assistant => Self::Assistant,
            Role::Tool | Role::Function => Self::Tool,
        }
    }
}

impl<'de> Deserialize<'de> for Conversations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ConversationsVisitor)
    }
}

struct ConversationsVisitor;

impl<'de> Visitor<'de> for ConversationsVisitor {
    type Value = Conversations;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of messages, or of arrays of messages")
    }

    /// The type of the first element determines whether this is one conversation or several.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Conversations, A::Error> {
        match seq.next_element()? {
            None => Ok(Conversations(vec![Vec::new()])),
            Some(OneOrMany::One(message)) => {
                read_rest(seq, vec![message]).map(|messages| Conversations(vec![messages]))
            }
            Some(OneOrMany::Many(messages)) => read_rest(seq, vec![messages]).map(Conversations),
        }
    }
}

impl PartialSchema for Conversations {
    fn schema() -> RefOr<Schema> {
        let messages = || ArrayBuilder::new().items(Message::schema()).min_items(Some(1));
        OneOfBuilder::new()
            .description(Some(
                "A conversation, whose last turn is judged in the context of the turns before \
                 it; or an array of conversations.",
            ))
            .item(messages())
            .item(ArrayBuilder::new().items(messages()).min_items(Some(1)))
            .into()
    }
}

impl ToSchema for Conversations {}
