//! One or more texts in a request body.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de;
use serde::de::SeqAccess;
use serde::de::Visitor;
use serde::de::value::MapAccessDeserializer;
use serde_json::json;
use utoipa::PartialSchema;
use utoipa::ToSchema;
use utoipa::openapi::ArrayBuilder;
use utoipa::openapi::OneOfBuilder;
use utoipa::openapi::RefOr;
use utoipa::openapi::Schema;

use crate::http::request::messages::Part;
use crate::http::request::sequence::read_rest;

/// A text, or an array of texts.
#[derive(Debug)]
pub(in crate::http) struct Texts(pub(in crate::http) Vec<String>);

/// A text, an array of texts, or an array of the parts of one text.
#[derive(Debug)]
pub(in crate::http) enum TextsOrParts {
    /// Texts with one result each.
    Texts(Vec<String>),
    /// The parts of one text, with one result in total.
    Parts(Vec<Part>),
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextsVisitor)
    }
}

struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Texts;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string or an array of strings")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Texts, E> {
        Ok(Texts(vec![text.to_owned()]))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Texts, E> {
        Ok(Texts(vec![text]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Texts, A::Error> {
        read_rest(seq, Vec::new()).map(Texts)
    }
}

impl<'de> Deserialize<'de> for TextsOrParts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextsOrPartsVisitor)
    }
}

struct TextsOrPartsVisitor;

impl<'de> Visitor<'de> for TextsOrPartsVisitor {
    type Value = TextsOrParts;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string, an array of strings or an array of parts")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<TextsOrParts, E> {
        Ok(TextsOrParts::Texts(vec![text.to_owned()]))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<TextsOrParts, E> {
        Ok(TextsOrParts::Texts(vec![text]))
    }

    /// All elements must have the type of the first: texts or parts.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<TextsOrParts, A::Error> {
        match seq.next_element()? {
            None => Ok(TextsOrParts::Texts(Vec::new())),
            Some(TextOrPart::Text(text)) => read_rest(seq, vec![text]).map(TextsOrParts::Texts),
            Some(TextOrPart::Part(part)) => read_rest(seq, vec![*part]).map(TextsOrParts::Parts),
        }
    }
}

enum TextOrPart {
    Text(String),
    Part(Box<Part>),
}

impl<'de> Deserialize<'de> for TextOrPart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrPartVisitor)
    }
}

struct TextOrPartVisitor;

impl<'de> Visitor<'de> for TextOrPartVisitor {
    type Value = TextOrPart;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string or a part")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<TextOrPart, E> {
        Ok(TextOrPart::Text(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<TextOrPart, E> {
        Ok(TextOrPart::Text(text))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<TextOrPart, A::Error> {
        Part::deserialize(MapAccessDeserializer::new(map))
            .map(|part| TextOrPart::Part(Box::new(part)))
    }
}

impl PartialSchema for Texts {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new()
            .description(Some("A text, or an array of texts."))
            .item(String::schema())
            .item(ArrayBuilder::new().items(String::schema()).min_items(Some(1)))
            .examples([json!("Good morning!")])
            .into()
    }
}

impl ToSchema for Texts {}

impl PartialSchema for TextsOrParts {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new()
            .description(Some("A text, an array of texts, or an array of the parts of one text."))
            .item(String::schema())
            .item(ArrayBuilder::new().items(String::schema()).min_items(Some(1)))
            .item(ArrayBuilder::new().items(Part::schema()).min_items(Some(1)))
            .examples([json!("Good morning!")])
            .into()
    }
}

impl ToSchema for TextsOrParts {}
