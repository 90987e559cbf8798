//! Errors of fields: the path, the expected type, and the type that was found.

use std::fmt;
use std::fmt::Display;
use std::fmt::Write;

use serde::de;
use serde::de::Expected;
use serde::de::Unexpected;
use serde_json::Value;
use serde_path_to_error::Path;
use serde_path_to_error::Segment;

use crate::error::Error;
use crate::error::shorten;

/// Why a value cannot be deserialised. The variants hold names of fields but never values.
#[derive(Debug)]
pub(super) enum FieldError {
    /// The value has the wrong type.
    Type { expected: String, found: &'static str },
    /// The value has the right type but is not allowed.
    Value { expected: String },
    /// An object lacks a field.
    Missing { field: &'static str },
    /// An object has an unknown field.
    Unknown { field: String, known: &'static [&'static str] },
}

impl FieldError {
    /// Creates the error for a value of the wrong type.
    pub(super) fn wrong_type(expected: &'static str, found: &Value) -> Self {
        Self::Type { expected: expected.into(), found: kind_of(found) }
    }

    /// Converts to the error for the client, with the path of the field.
    pub(super) fn at(self, path: &Path) -> Error {
        let mut segments: Vec<_> = path.iter().collect();
        if let Self::Unknown { field, .. } = &self {
            // The path may end with the unknown field itself, which is added below.
            segments.pop_if(|last| matches!(last, Segment::Map { key } if key == field));
        }
        let param = param(&segments);
        match self {
            Self::Type { expected, found } => {
                Error::InvalidType { param: or_body(param), expected, found }
            }
            Self::Value { expected } => Error::InvalidValue { param: or_body(param), expected },
            Self::Missing { field } => Error::MissingField { param: join(param, field) },
            Self::Unknown { field, known } => {
                Error::UnknownField { param: join(param, &shorten(&field)), known }
            }
        }
    }
}

impl de::Error for FieldError {
    /// Called only by types of this crate, which pass a description of what they expect.
    fn custom<T: Display>(expected: T) -> Self {
        Self::Value { expected: expected.to_string() }
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match unexpected {
            Unexpected::Bool(_) => "a boolean",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
            Unexpected::Str(_) | Unexpected::Char(_) => "a string",
            Unexpected::Seq => "an array",
            Unexpected::Map => "an object",
            Unexpected::Unit | Unexpected::Option => "null",
            _ => "another value",
        };
        Self::Type { expected: expected.to_string(), found }
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match unexpected {
            // Otherwise the name of an integer type.
            Unexpected::Signed(_) | Unexpected::Unsigned(_) => {
                Self::Value { expected: "a whole number in range".into() }
            }
            _ => Self::Value { expected: expected.to_string() },
        }
    }

    fn invalid_length(_len: usize, expected: &dyn Expected) -> Self {
        Self::Value { expected: expected.to_string() }
    }

    fn unknown_variant(_variant: &str, expected: &'static [&'static str]) -> Self {
        Self::Value { expected: expected.join(" or ") }
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self::Unknown { field: field.into(), known }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing { field }
    }
}

impl std::error::Error for FieldError {}

impl Display for FieldError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?}")
    }
}

/// Returns the JSON type of a value, with an article.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Formats a path such as `messages[2].content`: indices in brackets, names after dots.
fn param(segments: &[&Segment]) -> String {
    let mut param = String::new();
    for segment in segments {
        match segment {
            Segment::Seq { index } => {
                let _ = write!(param, "[{index}]"); // writing to a string cannot fail
            }
            Segment::Map { key } => param = join(param, &shorten(key)),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    param
}

fn join(path: String, name: &str) -> String {
    if path.is_empty() { name.into() } else { path + "." + name }
}

fn or_body(param: String) -> String {
    if param.is_empty() { "body".into() } else { param }
}
