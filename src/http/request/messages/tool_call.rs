//! Tool calls of an assistant.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

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
    arguments: Option<Value>,
}

/// The input of a custom tool, which takes a text.
#[derive(Debug, Deserialize, ToSchema)]
struct CustomCall {
    #[schema(value_type = Option<Object>)]
    input: Option<Value>,
}

impl ToolCall {
    /// Appends the texts in the call to `texts`.
    pub(in crate::http) fn read(self, texts: &mut Vec<String>) {
        if let Some(function) = self.function {
            function.read(texts);
        }
        if let Some(input) = self.custom.and_then(|custom| custom.input) {
            strings(input, texts);
        }
    }
}

impl FunctionCall {
    /// Appends the strings in the arguments to `texts`.
    pub(in crate::http) fn read(self, texts: &mut Vec<String>) {
        match self.arguments {
            // A model may write anything: arguments that are not valid JSON are read as plain text.
            Some(Value::String(json)) => match serde_json::from_str(&json) {
                Ok(arguments) => strings(arguments, texts),
                Err(_) => texts.push(json),
            },
            Some(arguments) => strings(arguments, texts),
            None => {}
        }
    }
}

/// Appends all strings in a value to `texts`, in order.
pub(super) fn strings(value: Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(values) => values.into_iter().for_each(|value| strings(value, texts)),
        Value::Object(fields) => fields.into_iter().for_each(|(_, value)| strings(value, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
