//! A line of the audit log.

use std::fmt::Write;
use std::time::SystemTime;

use serde::Serialize;
use sha2::Digest;
use sha2::Sha256;

use crate::http::clock;
use crate::http::judged::Judged;
use crate::http::judged::NamedJudgement;
use crate::json::ById;
use crate::policy::Action;
use crate::score::CategoryVerdict;
use crate::text::Subject;

/// One request: who asked, what judged, and what came of each text. Never a text.
#[derive(Debug, Serialize)]
pub(in crate::http) struct Entry<'a> {
    #[serde(serialize_with = "rfc3339")]
    pub(in crate::http) time: SystemTime,
    pub(in crate::http) request_id: &'a str,
    pub(in crate::http) route: &'a str,
    /// The name of the key; none where anybody may ask.
    pub(in crate::http) key: Option<String>,
    pub(in crate::http) model: &'a str,
    pub(in crate::http) policy: &'a str,
    pub(in crate::http) results: Vec<Outcome<'a>>,
}

/// What was decided about one text or conversation.
#[derive(Debug, Serialize)]
pub(in crate::http) struct Outcome<'a> {
    sha256: String,
    flagged: bool,
    action: Action,
    violated: Vec<&'a str>,
    n_tokens: usize,
    scores: ById<f32>,
    /// Of violated categories, the scores of those of their clauses that the model scores.
    #[serde(skip_serializing_if = "is_empty")]
    clauses: ById<ById<f32>>,
}

impl Entry<'_> {
    /// With its end.
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

fn clauses(judged: &Judged) -> ById<ById<f32>> {
    let of_category = |category: &CategoryVerdict| {
        let policy = &judged.policy().categories[category.category];
        let by_id = category.clauses.iter().map(|it| (it.id(policy).to_owned(), it.score));
        (policy.id.clone(), by_id.collect())
    };
    let categories = judged.verdict.categories.iter();
    categories.filter(|category| !category.clauses.is_empty()).map(of_category).collect()
}

fn is_empty<T>(map: &ById<T>) -> bool {
    map.0.is_empty()
}

/// By which a text is found again: of its UTF-8; of a conversation, of the lines `role: content`
/// with each content as it came.
pub(in crate::http) fn sha256(subject: &Subject) -> String {
    let digest = match subject {
        Subject::Text(text) => Sha256::digest(text.as_str()),
        Subject::Conversation(conversation) => Sha256::digest(conversation.transcript()),
    };
    digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing into a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn rfc3339<S: serde::Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&clock::rfc3339(*time))
}
