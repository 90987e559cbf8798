//! The field `input`: a text, or an array of texts.

use serde_json::Value;
use serde_json::json;
use utoipa::PartialSchema;
use utoipa::ToSchema;
use utoipa::openapi::ArrayBuilder;
use utoipa::openapi::Object;
use utoipa::openapi::OneOfBuilder;
use utoipa::openapi::RefOr;
use utoipa::openapi::Schema;
use utoipa::openapi::Type;

use crate::error::Result;
use crate::json;

/// Texts as they came, not yet held against the limits.
#[derive(Debug)]
pub(super) struct Input(pub(super) Vec<String>);

impl Input {
    pub(super) fn parse(value: Value) -> Result<Self> {
        json::string_or_strings("input", value).map(Self)
    }
}

impl PartialSchema for Input {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new()
            .description(Some("A text, or an array of texts."))
            .item(Object::with_type(Type::String))
            .item(ArrayBuilder::new().items(Object::with_type(Type::String)))
            .examples([json!("Good morning!")])
            .into()
    }
}

impl ToSchema for Input {}
