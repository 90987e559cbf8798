//! A line of the audit log.

use std::time::SystemTime;

use serde::Serialize;
use sha2::Digest;
use sha2::Sha256;

use crate::http::request::judged::Judged;
use crate::http::request::judged::NamedJudgement;
use crate::http::telemetry::clock;
use crate::json::OrderedMap;
use crate::policy::Action;
use crate::score::CategoryVerdict;

/// One request: its key, model and policy, and the outcome for each text. Never contains a text.
#[derive(Debug, Serialize)]
pub(in crate::http) struct Entry<'a> {
    #[serde(serialize_with = "rfc3339")]
    pub(in crate::http) time: SystemTime,
    pub(in crate::http) request_id: &'a str,
    pub(in crate::http) route: &'a str,
    /// The name of the API key; `None` if no keys are configured.
    pub(in crate::http) key: Option<String>,
    pub(in crate::http) model: &'a str,
    pub(in crate::http) policy: &'a str,
    pub(in crate::http) results: Vec<Outcome<'a>>,
}

/// The outcome for one text or conversation.
#[derive(Debug, Serialize)]
pub(in crate::http) struct Outcome<'a> {
    sha256: String,
    flagged: bool,
    action: Action,
    violated: Vec<&'a str>,
    n_tokens: usize,
    scores: OrderedMap<f32>,
    /// Clause scores of the violated categories, for the clauses that the model scores.
    #[serde(skip_serializing_if = "is_empty")]
    clauses: OrderedMap<OrderedMap<f32>>,
}

impl Entry<'_> {
    /// Returns the entry as a JSON line, including the newline.
    pub(super) fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).expect("an entry is strings and finite numbers");
        line.push(b'\n');
        line
    }
}

impl<'a> Outcome<'a> {
    pub(in crate::http) fn new(sha256: String, judged: &'a Judged) -> Self {
        let violated = judged.entries().filter(|entry| entry.judgement.violated);
        let score = |entry: NamedJudgement<'_>| (entry.id.to_owned(), entry.judgement.score);
        Self {
            sha256,
            flagged: judged.verdict.flagged,
            action: judged.verdict.action,
            violated: violated.map(|entry| entry.id).collect(),
            n_tokens: judged.scored.n_tokens,
            scores: judged.entries().map(score).collect(),
            clauses: clauses(judged),
        }
    }
}

fn clauses(judged: &Judged) -> OrderedMap<OrderedMap<f32>> {
    let of_category = |category: &CategoryVerdict| {
        let policy = &judged.policy().categories[category.category];
        let by_id = category.clauses.iter().map(|it| (it.id(policy).to_owned(), it.score));
        (policy.id.clone(), by_id.collect())
    };
    let categories = judged.verdict.categories.iter();
    categories.filter(|category| !category.clauses.is_empty()).map(of_category).collect()
}

fn is_empty<T>(map: &OrderedMap<T>) -> bool {
    map.0.is_empty()
}

/// Returns the hexadecimal SHA-256 digest by which an input can be found again: of a text, the
/// digest of its UTF-8; of a conversation, that of the lines `role: content`, with each content as
/// received.
pub(in crate::http) fn sha256(transcript: &str) -> String {
    const_hex::encode(Sha256::digest(transcript))
}

fn rfc3339<S: serde::Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&clock::rfc3339(*time))
}
