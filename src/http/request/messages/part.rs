//! The content of a message: a text, or parts.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de;
use serde::de::SeqAccess;
use serde::de::Visitor;
use utoipa::PartialSchema;
use utoipa::ToSchema;
use utoipa::openapi::ArrayBuilder;
use utoipa::openapi::OneOfBuilder;
use utoipa::openapi::Ref;
use utoipa::openapi::RefOr;
use utoipa::openapi::Schema;

use crate::error::Error;
use crate::error::Result;
use crate::http::app::Media;
use crate::http::request::messages::tool_call::strings;
use crate::http::request::sequence::read_rest;
use crate::json::AnyValue;

/// A text, or its parts in order.
#[derive(Debug)]
pub(in crate::http) enum Content {
    Text(String),
    Parts(Vec<Part>),
}

/// A part of the content of a message. All readable fields are scored; other fields are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub(in crate::http) struct Part {
    /// `text`, or another type of the chat APIs. Images, audio and video are rejected unless the
    /// server is configured to ignore them.
    r#type: String,
    text: Option<String>,
    refusal: Option<String>,
    /// A text, or its parts in order.
    #[schema(no_recursion)]
    thinking: Option<Content>,
    /// The title of a document.
    title: Option<String>,
    /// What a document is about.
    context: Option<String>,
    /// The content of a tool result.
    #[schema(no_recursion)]
    content: Option<Content>,
    /// The input of a tool call; all strings in it are scored.
    #[schema(value_type = Option<Object>)]
    input: Option<AnyValue>,
}

impl Content {
    /// Appends the texts of the content to `texts`.
    pub(in crate::http) fn read(
        self,
        param: &str,
        media: Media,
        texts: &mut Vec<String>,
    ) -> Result<()> {
        match self {
            Self::Text(text) => texts.push(text),
            Self::Parts(parts) => read_parts(parts, param, media, texts)?,
        }
        Ok(())
    }
}

/// Appends the texts of the parts to `texts`, in order.
pub(in crate::http) fn read_parts(
    parts: Vec<Part>,
    param: &str,
    media: Media,
    texts: &mut Vec<String>,
) -> Result<()> {
    for (index, part) in parts.into_iter().enumerate() {
        part.read(&format!("{param}[{index}]"), media, texts)?;
    }
    Ok(())
}

impl Part {
    fn read(self, param: &str, media: Media, texts: &mut Vec<String>) -> Result<()> {
        let kind = self.r#type.as_str();
        let is_media = MEDIA.contains(&kind);
        if is_media && media == Media::Refused {
            return Err(Error::Unsupported { param: param.into(), reason: ONLY_TEXT });
        }
        if TEXT.contains(&kind) && self.text.is_none() {
            return Err(Error::MissingField { param: format!("{param}.text") });
        }
        let plain = [self.text, self.refusal, self.title, self.context];
        let has_text = plain.iter().any(Option::is_some) || self.thinking.is_some();
        let has_more = self.content.is_some() || self.input.is_some();
        if !(is_media || has_text || has_more || SILENT.contains(&kind)) {
            return Err(Error::Unsupported { param: param.into(), reason: UNREADABLE });
        }
        texts.extend(plain.into_iter().flatten());
        for (name, content) in [("thinking", self.thinking), ("content", self.content)] {
            if let Some(content) = content {
                content.read(&format!("{param}.{name}"), media, texts)?;
            }
        }
        if let Some(AnyValue(input)) = self.input {
            strings(input, texts);
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string or an array of parts")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Content, E> {
        Ok(Content::Text(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Content, E> {
        Ok(Content::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Content, A::Error> {
        read_rest(seq, Vec::new()).map(Content::Parts)
    }
}

impl PartialSchema for Content {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new()
            .description(Some("A text, or its parts in order."))
            .item(String::schema())
            .item(ArrayBuilder::new().items(Ref::from_schema_name(Part::name())))
            .into()
    }
}

impl ToSchema for Content {
    /// Adds the schema of a part, which refers back to this one.
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Part::name().into(), Part::schema()));
        Part::schemas(schemas);
    }
}

/// Types of parts that must have a text.
const TEXT: &[&str] = &["text", "input_text", "output_text"];
/// Types of parts that a text model cannot read.
const MEDIA: &[&str] = &[
    "image",
    "image_url",
    "image_file",
    "input_image",
    "audio",
    "audio_url",
    "input_audio",
    "output_audio",
    "video",
    "video_url",
    "input_video",
];
/// Types of parts with nothing to read: their content is encrypted.
const SILENT: &[&str] = &["redacted_thinking"];

/// The error message for images, audio and video.
pub(in crate::http) const ONLY_TEXT: &str =
    "images, audio and video are not scored; start the server with --ignore-images to ignore them";
const UNREADABLE: &str = "a part of this type has nothing that can be read here";
