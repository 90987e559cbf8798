//! JSON to domain types, with errors that name the field and never quote its value.

mod by_id;

use std::borrow::Cow;

use serde_json::Map;
use serde_json::Value;
use serde_json::error::Category;

pub use self::by_id::ById;
use crate::error::Error;
use crate::error::Result;

/// Reads one JSON value.
pub fn parse(bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes).map_err(|fault| malformed(&fault))
}

/// What the parser says, less the place, which the error carries by itself.
pub fn malformed(fault: &serde_json::Error) -> Error {
    // The parser has no other name for it.
    if fault.to_string().starts_with("recursion limit exceeded") {
        return Error::JsonTooDeep { max: MAX_DEPTH };
    }
    let reason = match fault.classify() {
        // A fault of syntax names what was expected; a fault of data would quote what came.
        Category::Syntax | Category::Eof => {
            let message = fault.to_string();
            message.split(" at line ").next().unwrap_or_default().to_owned()
        }
        Category::Data | Category::Io => "not an object of fields".to_owned(),
    };
    Error::MalformedJson { line: fault.line(), column: fault.column(), reason }
}

/// The same JSON with the escape of U+FFFD in place of each escape of a lone surrogate, which stands
/// for no character: the parser refuses those.
pub fn replace_lone_surrogates(json: &str) -> Cow<'_, str> {
    let places = lone_surrogates(json.as_bytes());
    if places.is_empty() {
        return Cow::Borrowed(json);
    }
    let mut replaced = json.to_owned();
    for place in places {
        replaced.replace_range(place..place + REPLACEMENT.len(), REPLACEMENT);
    }
    Cow::Owned(replaced)
}

/// Where the escapes of surrogates begin that are not half of a pair.
fn lone_surrogates(json: &[u8]) -> Vec<usize> {
    let mut lone = Vec::new();
    let mut place = 0;
    while let Some(n_bytes) =
        json.get(place..).and_then(|rest| rest.iter().position(|&byte| byte == b'\\'))
    {
        place += n_bytes;
        let escaped = [place, place + REPLACEMENT.len()].map(|place| code_unit(json, place));
        place += match escaped {
            [Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)] => 2 * REPLACEMENT.len(),
            [Some(0xd800..=0xdfff), _] => {
                lone.push(place);
                REPLACEMENT.len()
            }
            // The backslash and what it stands before, which may be a backslash too.
            _ => 2,
        };
    }
    lone
}

/// The unit of UTF-16 whose escape stands at a place.
fn code_unit(json: &[u8], place: usize) -> Option<u32> {
    let digits = json.get(place..place + REPLACEMENT.len())?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, &digit| Some(unit * 16 + char::from(digit).to_digit(16)?))
}

/// As long as every escape of a surrogate.
const REPLACEMENT: &str = "\\ufffd";

/// How deep the parser goes, arrays and objects together.
const MAX_DEPTH: usize = 127;

/// The fields of an object, taken one by one.
#[derive(Debug)]
pub struct Fields(Map<String, Value>);

impl Fields {
    /// Opens an object; a field that is not known is an error.
    pub fn of(value: Value, known: &'static [&'static str]) -> Result<Self> {
        let Value::Object(fields) = value else {
            return Err(invalid("body", "an object", &value));
        };
        match fields.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(Error::UnknownField { param: shorten(name), known }),
            None => Ok(Self(fields)),
        }
    }

    /// Opens an object of another service's contract: what is not known is left alone.
    pub fn lenient(param: &str, value: Value) -> Result<Self> {
        match value {
            Value::Object(fields) => Ok(Self(fields)),
            other => Err(invalid(param, "an object", &other)),
        }
    }

    /// The value of a field; null is as good as absent.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    /// The value of a field that must be there.
    pub fn require(&mut self, name: &str) -> Result<Value> {
        self.take(name).ok_or_else(|| Error::MissingField { param: name.into() })
    }

    /// The same for an object within the body; `path` is its own.
    pub fn require_of(&mut self, path: &str, name: &str) -> Result<Value> {
        self.take(name).ok_or_else(|| Error::MissingField { param: format!("{path}.{name}") })
    }
}

/// A string.
pub fn string(param: &str, value: Value) -> Result<String> {
    match value {
        Value::String(string) => Ok(string),
        other => Err(invalid(param, "a string", &other)),
    }
}

/// True or false.
pub fn boolean(param: &str, value: &Value) -> Result<bool> {
    value.as_bool().ok_or_else(|| invalid(param, "true or false", value))
}

/// A number.
pub fn number(param: &str, value: &Value) -> Result<f64> {
    value.as_f64().ok_or_else(|| invalid(param, "a number", value))
}

/// A whole number above 0.
pub fn count(param: &str, value: &Value) -> Result<usize> {
    match value.as_u64().and_then(|number| usize::try_from(number).ok()) {
        Some(number) if number > 0 => Ok(number),
        _ if value.is_number() => Err(Error::InvalidValue {
            param: param.into(),
            expected: "a whole number above 0".into(),
        }),
        _ => Err(invalid(param, "a whole number above 0", value)),
    }
}

/// An array.
pub fn array(param: &str, value: Value) -> Result<Vec<Value>> {
    match value {
        Value::Array(values) => Ok(values),
        other => Err(invalid(param, "an array", &other)),
    }
}

/// An array of strings.
pub fn strings(param: &str, value: Value) -> Result<Vec<String>> {
    let Value::Array(values) = value else {
        return Err(invalid(param, "an array of strings", &value));
    };
    let element = |(index, value)| string(&format!("{param}[{index}]"), value);
    values.into_iter().enumerate().map(element).collect()
}

/// A string, or an array of them.
pub fn string_or_strings(param: &str, value: Value) -> Result<Vec<String>> {
    match value {
        Value::String(string) => Ok(vec![string]),
        Value::Array(_) => strings(param, value),
        other => Err(invalid(param, "a string or an array of strings", &other)),
    }
}

/// An object of numbers.
pub fn numbers(param: &str, value: Value) -> Result<Vec<(String, f64)>> {
    let Value::Object(entries) = value else {
        return Err(invalid(param, "an object of numbers", &value));
    };
    let entry = |(name, value): (String, Value)| match value.as_f64() {
        Some(number) => Ok((name, number)),
        None => Err(invalid(&format!("{param}.{}", shorten(&name)), "a number", &value)),
    };
    // Null is as good as absent.
    entries.into_iter().filter(|(_, value)| !value.is_null()).map(entry).collect()
}

/// A value of another kind than the field takes.
pub fn invalid(param: &str, expected: &'static str, found: &Value) -> Error {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    Error::InvalidType { param: param.into(), expected, found }
}

/// A field's name may be anything, a whole text too; the first characters tell which it is.
fn shorten(name: &str) -> String {
    const MAX_CHARS: usize = 40;
    name.chars().take(MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fault_of_syntax_is_placed_but_not_quoted() {
        for (bytes, message) in [
            ("bad", "malformed JSON at line 1 column 1: expected value"),
            (
                "{\"input\":\n \"hidden words",
                "malformed JSON at line 2 column 14: EOF while parsing a string",
            ),
            ("", "malformed JSON at line 1 column 0: EOF while parsing a value"),
            ("{} hidden", "malformed JSON at line 1 column 4: trailing characters"),
            ("\"\\ud800\"", "malformed JSON at line 1 column 8: unexpected end of hex escape"),
        ] {
            assert_eq!(parse(bytes.as_bytes()).unwrap_err().to_string(), message, "{bytes}");
        }
        for depth in [MAX_DEPTH + 1, 100_000] {
            let deep = ["[".repeat(depth), "]".repeat(depth)].concat();
            let error = parse(deep.as_bytes()).unwrap_err();
            assert!(matches!(error, Error::JsonTooDeep { max: MAX_DEPTH }), "{depth}: {error}");
        }
        let deep = ["[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH)].concat();
        assert!(parse(deep.as_bytes()).is_ok());
        assert!(parse(b"\"\xff\"").is_err());
    }

    #[test]
    fn a_wrong_type_names_the_field_and_the_kinds() {
        for (result, message) in [
            (string("model", json!(5)).map(|_| ()), "model must be a string, found a number"),
            (
                string_or_strings("input", json!(["hidden", null])).map(|_| ()),
                "input[1] must be a string, found null",
            ),
            (
                string_or_strings("input", json!({"hidden": 1})).map(|_| ()),
                "input must be a string or an array of strings, found an object",
            ),
            (
                numbers("thresholds", json!({"privacy": "hidden"})).map(|_| ()),
                "thresholds.privacy must be a number, found a string",
            ),
        ] {
            assert_eq!(result.unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn lone_surrogates_are_read_as_the_replacement_character() {
        for (json, text) in [
            (r#""tea \ud83d\ude00""#, "tea \u{1f600}"),
            (r#""tea \ud800""#, "tea \u{fffd}"),
            (r#""\udfff tea""#, "\u{fffd} tea"),
            (r#""\uD800\uDBFFx\uDC00""#, "\u{fffd}\u{fffd}x\u{fffd}"),
            (r#""\ud800\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
            (r#""\ud83d\ude00\ude00""#, "\u{1f600}\u{fffd}"),
            (r#""\ud800\n\u0041""#, "\u{fffd}\nA"),
            (r#""\\ud800 and \\\ud800""#, "\\ud800 and \\\u{fffd}"),
            (r#""\ud7ff\ue000""#, "\u{d7ff}\u{e000}"),
            (r#""plain""#, "plain"),
        ] {
            let replaced = replace_lone_surrogates(json);
            assert_eq!(replaced.len(), json.len(), "{json}");
            assert_eq!(parse(replaced.as_bytes()).unwrap(), json!(text), "{json}");
        }
        // What is no JSON stays so.
        for json in [r#""\ud80""#, r#""\ud8"#, r#""\"#, r#""\u+d80""#, r#""\ud80\""#] {
            assert_eq!(replace_lone_surrogates(json), json);
            assert!(parse(json.as_bytes()).is_err(), "{json}");
        }
    }

    #[test]
    fn an_unknown_field_is_refused_with_the_known_ones() {
        let error = Fields::of(json!({"inptu": "hidden"}), &["input", "model"]).unwrap_err();
        assert_eq!(error.to_string(), r#"unknown field "inptu"; known are "input", "model""#);
    }
}
