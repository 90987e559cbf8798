//! A line of input: a text, and fields that pass through untouched.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde_json::Value;
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::error::Error;
use crate::error::Result;
use crate::json;
use crate::score::Report;

/// The fields of a JSON object, in their order, as they were written.
#[derive(Debug)]
pub(super) struct Record(Vec<(String, Box<RawValue>)>);

impl Record {
    /// Reads one line.
    pub(super) fn parse(line: &[u8]) -> Result<Self> {
        serde_json::from_slice(line).map_err(|fault| match fault.classify() {
            // JSON, but of another kind; reading it again tells which.
            Category::Data => match json::parse(line) {
                Ok(value) => json::invalid("the line", "an object", &value),
                Err(error) => error,
            },
            Category::Syntax | Category::Eof | Category::Io => json::malformed(&fault),
        })
    }

    /// A line of a text alone.
    pub(super) fn of_text(text: &str) -> Self {
        let raw = serde_json::value::to_raw_value(text).expect("a string is JSON");
        Self(vec![("text".into(), raw)])
    }

    /// A field that must be there; of several, the last, as other readers of JSON take it.
    pub(super) fn require(&self, name: &'static str) -> Result<Value> {
        let (_, raw) = self
            .0
            .iter()
            .rfind(|(field, _)| field == name)
            .ok_or(Error::MissingField { param: name.into() })?;
        json::parse(raw.get().as_bytes())
    }

    /// The text to score.
    pub(super) fn text(&self) -> Result<String> {
        json::string("text", self.require("text")?)
    }

    /// Adds the fields of a report, in place of any of the same name.
    pub(super) fn set(&mut self, report: &Report) {
        let added = serde_json::to_string(report).and_then(|json| serde_json::from_str(&json));
        let Self(added) = added.expect("a report is an object of strings and finite numbers");
        self.0.retain(|(name, _)| added.iter().all(|(other, _)| other != name));
        self.0.extend(added);
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
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
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
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
    use crate::policy::Action;
    use crate::score::ById;

    #[test]
    fn other_fields_pass_through_to_the_digit() {
        let line = r#"{"id": 12345678901234567890123, "text": "hi", "n": 1.10, "flagged": 7}"#;
        let mut record = Record::parse(line.as_bytes()).unwrap();
        assert_eq!(record.text().unwrap(), "hi");
        record.set(&Report {
            flagged: true,
            action: Action::Block,
            categories: ById(Vec::new()),
            n_tokens: 3,
            n_windows: 1,
            normalised: false,
            context_turns_used: None,
        });
        let written = serde_json::to_string(&record).unwrap();
        let passed = r#"{"id":12345678901234567890123,"text":"hi","n":1.10,"#;
        let added =
            r#""flagged":true,"action":"block","categories":{},"n_tokens":3,"n_windows":1}"#;
        assert_eq!(written, format!("{passed}{added}"));
    }

    #[test]
    fn of_two_texts_the_one_is_scored_that_a_reader_will_see() {
        let record = Record::parse(br#"{"text": "first", "text": "second"}"#).unwrap();
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
        ] {
            let fault = Record::parse(line.as_bytes()).and_then(|record| record.text());
            assert_eq!(fault.unwrap_err().to_string(), message, "{line}");
        }
    }
}
