//! The field `input`: a text, or an array of texts.

use serde_json::json;
use utoipa::PartialSchema;
use utoipa::ToSchema;
use utoipa::openapi::ArrayBuilder;
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::OneOfBuilder;
use utoipa::openapi::RefOr;
use utoipa::openapi::Schema;
use utoipa::openapi::Type;

/// How a text or an array of texts is documented; [`crate::json::string_or_strings`] reads it.
#[derive(Debug)]
pub(super) struct Input;

impl PartialSchema for Input {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new()
            .description(Some("A text, or an array of texts."))
            .item(Words::schema())
            .item(ArrayBuilder::new().items(Words::schema()).min_items(Some(1)))
            .examples([json!("Good morning!")])
            .into()
    }
}

impl ToSchema for Input {}

/// How a text, an array of texts, or the parts of one text are documented.
#[derive(Debug)]
pub(super) struct InputOrParts;

impl PartialSchema for InputOrParts {
    fn schema() -> RefOr<Schema> {
        let part = ObjectBuilder::new()
            .property("type", ObjectBuilder::new().enum_values(Some(["text"])))
            .property("text", Words::schema())
            .required("type")
            .required("text");
        OneOfBuilder::new()
            .description(Some("A text, an array of texts, or an array of the parts of one text."))
            .item(Words::schema())
            .item(ArrayBuilder::new().items(Words::schema()).min_items(Some(1)))
            .item(ArrayBuilder::new().items(part).min_items(Some(1)))
            .examples([json!("Good morning!")])
            .into()
    }
}

impl ToSchema for InputOrParts {}

/// How a text is documented: a string that is not blank.
#[derive(Debug)]
pub(super) struct Words;

impl PartialSchema for Words {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).pattern(Some("\\S")).into()
    }
}

impl ToSchema for Words {}
