//! Reads JSON into domain types, with errors that name the field and never quote its value.

mod any_value;
mod deserializer;
mod field_error;
mod ordered_map;

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;

pub use self::any_value::AnyValue;
use self::deserializer::ValueDeserializer;
use self::field_error::kind_of;
pub use self::ordered_map::OrderedMap;
use crate::error::Error;
use crate::error::Result;

/// Parses one JSON value.
pub fn parse(bytes: &[u8]) -> Result<Value> {
    let parsed = serde_json::from_slice(bytes).map_err(|fault| malformed(&fault));
    parsed.map(|AnyValue(value)| value)
}

/// Deserialises JSON into a type.
///
/// Invalid UTF-8 and escaped lone surrogates are read as U+FFFD; a byte order mark is skipped.
pub fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
    from_value(parse(replace_lone_surrogates(text).as_bytes())?)
}

/// Converts a JSON value to a type; an error has the path of the field that caused it.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T> {
    serde_path_to_error::deserialize(ValueDeserializer(value)).map_err(|fault| {
        let path = fault.path().clone();
        fault.into_inner().at(&path)
    })
}

/// Converts a parser error; its position moves from the message to fields of the error.
pub fn malformed(fault: &serde_json::Error) -> Error {
    // The parser reports this limit in its message only.
    if fault.to_string().starts_with("recursion limit exceeded") {
        return Error::JsonTooDeep { max: MAX_DEPTH };
    }
    let reason = match fault.classify() {
        // Syntax errors name what was expected; data errors would quote the input.
        Category::Syntax | Category::Eof => {
            let message = fault.to_string();
            message.split(" at line ").next().unwrap_or_default().to_owned()
        }
        Category::Data | Category::Io => "not an object of fields".to_owned(),
    };
    Error::MalformedJson { line: fault.line(), column: fault.column(), reason }
}

/// Replaces each escaped lone surrogate, which the parser would refuse, with the escape of U+FFFD.
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

/// Returns the byte offsets of escaped surrogates that are not half of a pair.
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
            // The backslash and the character after it, which may be a backslash too.
            _ => 2,
        };
    }
    lone
}

/// Returns the UTF-16 code unit whose escape begins at `place`; `None` if there is no escape.
fn code_unit(json: &[u8], place: usize) -> Option<u32> {
    let digits = json.get(place..place + REPLACEMENT.len())?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, &digit| Some(unit * 16 + char::from(digit).to_digit(16)?))
}

/// Decodes the escapes of a string literal in a text that is not valid JSON as a whole.
pub fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escaped)) = rest.split_once('\\') {
        decoded.push_str(before);
        let (character, n_bytes) = unescape_one(&rest[before.len()..]);
        decoded.push(character);
        rest = escaped.get(n_bytes - 1..).unwrap_or_default();
    }
    decoded.push_str(rest);
    Cow::Owned(decoded)
}

/// Returns the character of the escape that the text begins with, and its length in bytes.
fn unescape_one(text: &str) -> (char, usize) {
    let n_digits = REPLACEMENT.len();
    let units = [0, n_digits].map(|offset| code_unit(text.as_bytes(), offset));
    match units {
        [Some(high @ 0xd800..=0xdbff), Some(low @ 0xdc00..=0xdfff)] => {
            let point = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
            (char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER), 2 * n_digits)
        }
        [Some(unit), _] => (char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER), n_digits),
        [None, _] => match text.chars().nth(1) {
            Some('n' | 'r') => ('\n', 2),
            Some('t' | 'b' | 'f') => (' ', 2),
            Some(other) => (other, 1 + other.len_utf8()),
            None => ('\\', 1),
        },
    }
}

const BYTE_ORDER_MARK: char = '\u{feff}';
/// The escape of U+FFFD, which has the length of any surrogate's escape.
const REPLACEMENT: &str = "\\ufffd";

/// The parser's maximum nesting depth, counting arrays and objects.
const MAX_DEPTH: usize = 127;

/// Extracts a string; `param` names the field in the error.
pub fn string(param: &str, value: Value) -> Result<String> {
    match value {
        Value::String(string) => Ok(string),
        other => Err(invalid(param, "a string", &other)),
    }
}

/// Creates the error for a value of the wrong type.
pub fn invalid(param: &str, expected: &str, found: &Value) -> Error {
    Error::InvalidType { param: param.into(), expected: expected.into(), found: kind_of(found) }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[test]
    fn no_key_is_special_and_the_depth_is_limited_once() {
        let key = "$serde_json::private::RawValue";
        let value = parse(format!(r#"{{"{key}": "[1]"}}"#).as_bytes()).unwrap();
        assert_eq!(value, json!({key: "[1]"}));
        assert_eq!(from_value::<AnyValue>(value.clone()).unwrap(), AnyValue(value));
        let deep = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(parse(&deep(MAX_DEPTH)).is_ok());
        assert!(matches!(parse(&deep(MAX_DEPTH + 1)), Err(Error::JsonTooDeep { .. })));
    }

    #[test]
    fn escapes_are_decoded_outside_of_json_too() {
        for (text, decoded) in [
            ("plain", "plain"),
            (r"\u0074ea \u00e9", "tea \u{e9}"),
            (r"\ud83d\ude00 \ud800!", "\u{1f600} \u{fffd}!"),
            (r#"a\nb\t\"c\" \q \u12"#, "a\nb \"c\" q u12"),
            ("end\\", "end\\"),
        ] {
            assert_eq!(unescape(text), decoded, "{text}");
        }
    }

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

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Request {
        name: String,
        limit: Option<u32>,
        share: Option<f64>,
        is_open: Option<bool>,
        kind: Option<Kind>,
        inner: Option<Vec<Inner>>,
        numbers: Option<OrderedMap<f64>>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Inner {
        text: String,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Round,
        Square,
    }

    #[test]
    fn an_error_has_the_path_what_is_expected_and_the_kind_that_came() {
        for (body, message) in [
            (json!([1, "hidden"]), "body must be an object, found an array"),
            (json!("hidden"), "body must be an object, found a string"),
            (json!({}), "name is missing"),
            (json!({"name": null}), "name is missing"),
            (json!({"name": 5}), "name must be a string, found a number"),
            (
                json!({"name": "", "limit": "hidden"}),
                "limit must be a whole number, found a string",
            ),
            (json!({"name": "", "limit": 1.5}), "limit must be a whole number"),
            (json!({"name": "", "share": true}), "share must be a number, found a boolean"),
            (json!({"name": "", "is_open": 1}), "is_open must be true or false, found a number"),
            (json!({"name": "", "kind": "hidden"}), "kind must be round or square"),
            (json!({"name": "", "kind": {"round": 1}}), "kind must be a string, found an object"),
            (json!({"name": "", "inner": {}}), "inner must be an array, found an object"),
            (
                json!({"name": "", "inner": [{"text": ""}, ["hidden"]]}),
                "inner[1] must be an object, found an array",
            ),
            (json!({"name": "", "inner": [null]}), "inner[0] must be an object, found null"),
            (json!({"name": "", "inner": [{"more": "hidden"}]}), "inner[0].text is missing"),
            (
                json!({"name": "", "numbers": {"privacy": "hidden"}}),
                "numbers.privacy must be a number, found a string",
            ),
            (
                json!({"nmae": "hidden"}),
                "unknown field \"nmae\"; known are \"name\", \"limit\", \"share\", \"is_open\", \
                 \"kind\", \"inner\", \"numbers\"",
            ),
        ] {
            let error = from_value::<Request>(body.clone()).unwrap_err();
            assert_eq!(error.to_string(), message, "{body}");
        }
        let error = from_value::<OrderedMap<f64>>(json!({"x".repeat(1000): "hidden"})).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{} must be a number, found a string", "x".repeat(40))
        );
    }

    #[test]
    fn null_is_as_good_as_absent() {
        let body = json!({"name": "a", "limit": null, "inner": [{"text": "b", "more": null}]});
        let request: Request = from_value(body).unwrap();
        assert_eq!((request.limit, request.inner.unwrap().len()), (None, 1));
        let numbers: OrderedMap<f64> = from_value(json!({"a": 1, "b": null, "c": 0.5})).unwrap();
        assert_eq!(numbers.0, [("a".into(), 1.0), ("c".into(), 0.5)]);
    }

    #[test]
    fn broken_unicode_stands_for_the_replacement_character() {
        for (body, name) in [
            (&b"{\"name\": \"tea\"}"[..], "tea"),
            (b"\xef\xbb\xbf{\"name\": \"tea\"}", "tea"),
            (b"{\"name\": \"tea \xff\"}", "tea \u{fffd}"),
            (b"{\"name\": \"tea \\ud800\"}", "tea \u{fffd}"),
        ] {
            assert_eq!(from_bytes::<Request>(body).unwrap().name, name);
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
        // Invalid JSON stays invalid.
        for json in [r#""\ud80""#, r#""\ud8"#, r#""\"#, r#""\u+d80""#, r#""\ud80\""#] {
            assert_eq!(replace_lone_surrogates(json), json);
            assert!(parse(json.as_bytes()).is_err(), "{json}");
        }
    }
}
