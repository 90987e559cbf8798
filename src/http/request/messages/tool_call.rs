//! Tool calls of an assistant.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::json;
use crate::json::AnyValue;

/// A call of a function or of a custom tool. Other fields are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub(in crate::http) struct ToolCall {
    function: Option<FunctionCall>,
    custom: Option<CustomCall>,
}

/// The arguments of a function call.
#[derive(Debug, Deserialize, ToSchema)]
pub(in crate::http) struct FunctionCall {
    /// JSON in a string, or an object; all strings in it are scored, including nested ones.
    #[schema(value_type = Option<Object>)]
    arguments: Option<AnyValue>,
}

/// The input of a custom tool, which takes a text.
#[derive(Debug, Deserialize, ToSchema)]
struct CustomCall {
    #[schema(value_type = Option<Object>)]
    input: Option<AnyValue>,
}

impl ToolCall {
    /// Appends the texts in the call to `texts`.
    pub(in crate::http) fn read(self, texts: &mut Vec<String>) {
        if let Some(function) = self.function {
            function.read(texts);
        }
        if let Some(AnyValue(input)) = self.custom.and_then(|custom| custom.input) {
            strings(input, texts);
        }
    }
}

impl FunctionCall {
    /// Appends the strings in the arguments to `texts`.
    pub(in crate::http) fn read(self, texts: &mut Vec<String>) {
        match self.arguments {
            // A model may write anything: arguments that are not valid JSON are read as plain text.
            Some(AnyValue(Value::String(arguments))) => {
                let repaired = json::replace_lone_surrogates(&arguments);
                match json::parse(repaired.as_bytes()) {
                    Ok(arguments) => strings(arguments, texts),
                    Err(_) => texts.push(json::unescape(&arguments).into_owned()),
                }
            }
            Some(AnyValue(arguments)) => strings(arguments, texts),
            None => {}
        }
    }
}

/// Appends all strings in a value to `texts`, in order, and the names of fields that consist of
/// several words.
pub(super) fn strings(value: Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(values) => values.into_iter().for_each(|value| strings(value, texts)),
        Value::Object(fields) => {
            for (name, value) in fields {
                if name.trim().contains(char::is_whitespace) {
                    texts.push(name);
                }
                strings(value, texts);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
