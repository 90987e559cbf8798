//! A line of input: a text, and other fields that are passed through unchanged.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde::ser;
use serde_json::Value;
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::cli::report::Report;
use crate::error::Error;
use crate::error::Result;
use crate::json;

/// The fields of a JSON object, in input order and as written in the input.
#[derive(Debug)]
pub(super) struct Record(Vec<Field>);

#[derive(Debug)]
struct Field {
    name: String,
    raw_name: Box<RawValue>, // a JSON string
    value: Box<RawValue>,
}

impl Record {
    /// Parses one line.
    pub(super) fn parse(line: &str) -> Result<Self> {
        serde_json::from_str(line).map_err(|fault| match fault.classify() {
            // Valid JSON, but not an object; parsed again to find its type.
            Category::Data => match json::parse(line.as_bytes()) {
                Ok(value) => json::invalid("the line", "an object", &value),
                Err(error) => error,
            },
            Category::Syntax | Category::Eof | Category::Io => json::malformed(&fault),
        })
    }

    /// Creates a record with only a text.
    pub(super) fn from_text(text: &str) -> Self {
        Self(vec![Field::new(TEXT, raw(&text))])
    }

    /// Returns a required field; the last one if it is repeated, as other JSON parsers do.
    pub(super) fn require(&self, name: &'static str) -> Result<Value> {
        let field = self.0.iter().rfind(|field| field.name == name);
        let field = field.ok_or(Error::MissingField { param: name.into() })?;
        json::parse(json::replace_lone_surrogates(field.value.get()).as_bytes())
    }

    /// Returns the text to score.
    pub(super) fn text(&self) -> Result<String> {
        json::string(TEXT, self.require(TEXT)?)
    }

    /// Adds the fields of a report, or one field named `result_key` that contains all of them.
    ///
    /// Returns an error if the record already has a field of such a name, even one that this report
    /// omits.
    pub(super) fn add(&mut self, report: &Report, result_key: Option<&str>) -> Result<()> {
        let is_reserved = |name: &str| match result_key {
            Some(key) => name == key,
            None => RESULT_KEYS.contains(&name),
        };
        if let Some(field) = self.0.iter().find(|field| is_reserved(&field.name)) {
            return Err(Error::FieldTaken { name: field.name.clone() });
        }
        let results = raw(report);
        if let Some(key) = result_key {
            self.0.push(Field::new(key, results));
        } else {
            let Self(fields) = Self::parse(results.get()).expect("a report is an object");
            self.0.extend(fields);
        }
        Ok(())
    }
}

impl Field {
    fn new(name: &str, value: Box<RawValue>) -> Self {
        Self { name: name.into(), raw_name: raw(&name), value }
    }

    /// Replaces lone surrogates in the text, so that it is written as it was scored; leaves other
    /// fields unchanged.
    fn with_readable_text(mut self) -> Self {
        if self.name == TEXT
            && let Cow::Owned(text) = json::replace_lone_surrogates(self.value.get())
        {
            self.value = RawValue::from_string(text).expect("one escape replaced another");
        }
        self
    }
}

/// Serialises a text or a report, which are valid JSON: strings and finite numbers.
fn raw(value: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("strings and finite numbers are JSON")
}

/// The name of the field that is scored.
const TEXT: &str = "text";

/// The names of the fields of a report.
const RESULT_KEYS: &[&str] = &[
    "flagged",
    "action",
    "categories",
    "n_tokens",
    "n_windows",
    "normalised",
    "context_turns_used",
];

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields: Vec<_> = self.0.iter().map(Field::to_string).collect();
        let object = RawValue::from_string(format!("{{{}}}", fields.join(",")));
        object.map_err(ser::Error::custom)?.serialize(serializer)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.raw_name, self.value)
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Record;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of fields")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record, A::Error> {
                let mut fields = Vec::new();
                while let Some((raw_name, value)) = map.next_entry::<Box<RawValue>, _>()? {
                    let name = json::replace_lone_surrogates(raw_name.get());
                    let name = serde_json::from_str(&name).map_err(de::Error::custom)?;
                    fields.push(Field { name, raw_name, value }.with_readable_text());
                }
                Ok(Record(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::OrderedMap;
    use crate::policy::Action;

    const RESULTS: &str = concat!(
        r#""flagged":true,"action":"block","categories":{},"n_tokens":3,"n_windows":1,"#,
        r#""normalised":true,"context_turns_used":2"#
    );

    #[test]
    fn other_fields_pass_through_to_the_letter() {
        let fields = concat!(
            r#""id":12345678901234567890123,"text":"hi","n":1.10,"caf\u00e9":"\ud800","#,
            r#""\udfff\/":{"\ud800":1},"text ":null"#
        );
        let written = |result_key| {
            let mut record = Record::parse(&format!("{{{fields}}}")).unwrap();
            assert_eq!(record.text().unwrap(), "hi");
            record.add(&report(), result_key).unwrap();
            serde_json::to_string(&record).unwrap()
        };
        assert_eq!(written(None), format!("{{{fields},{RESULTS}}}"));
        let expected = format!("{{{fields},\"the \\\"results\":{{{RESULTS}}}}}");
        assert_eq!(written(Some("the \"results")), expected);
        // Escaped or not, it is the same name.
        let mut record = Record::parse(r#"{"\u0066lagged": 1}"#).unwrap();
        assert!(record.add(&report(), None).is_err());
    }

    #[test]
    fn a_field_that_the_results_would_overwrite_is_refused() {
        let Record(fields) = Record::parse(&format!("{{{RESULTS}}}")).unwrap();
        let names: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, RESULT_KEYS, "these are the fields of a report");
        for name in names {
            let line = format!(r#"{{"text": "hi", "{name}": null}}"#);
            let fault = Record::parse(&line).unwrap().add(&report(), None).unwrap_err();
            let message = format!(
                "field {name:?} is in the input already; --result-key NAME puts the results into \
                 a field of another name"
            );
            assert_eq!(fault.to_string(), message);
            Record::parse(&line).unwrap().add(&report(), Some("results")).unwrap();
            let fault = Record::parse(&line).unwrap().add(&report(), Some(name)).unwrap_err();
            assert_eq!(fault.to_string(), message);
        }
    }

    #[test]
    fn of_two_texts_the_one_is_scored_that_a_reader_will_see() {
        let record = Record::parse(r#"{"text": "first", "text": "second"}"#).unwrap();
        assert_eq!(record.text().unwrap(), "second");
    }

    #[test]
    fn a_line_that_cannot_be_scored_says_why_and_quotes_nothing() {
        for (line, message) in [
            ("[\"hidden\"]", "the line must be an object, found an array"),
            ("[\"hidden\"", "malformed JSON at line 1 column 9: EOF while parsing a list"),
            (
                "{\"text\": \"hidden",
                "malformed JSON at line 1 column 16: EOF while parsing a string",
            ),
            ("{\"txt\": \"hidden\"}", "text is missing"),
            ("{\"text\": [\"hidden\"]}", "text must be a string, found an array"),
            ("{\"text\": null}", "text must be a string, found null"),
            ("{5: \"hidden\"}", "malformed JSON at line 1 column 2: key must be a string"),
        ] {
            let fault = Record::parse(line).and_then(|record| record.text());
            assert_eq!(fault.unwrap_err().to_string(), message, "{line}");
        }
    }

    fn report() -> Report {
        Report {
            flagged: true,
            action: Action::Block,
            categories: OrderedMap(Vec::new()),
            n_tokens: 3,
            n_windows: 1,
            normalised: true,
            context_turns_used: Some(2),
        }
    }
}
