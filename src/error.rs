//! The crate's error type: failures as data, which the edges map to status and exit codes.

mod kind;

use std::error::Error as StdError;
use std::path::PathBuf;
use std::sync::Arc;

pub use self::kind::Kind;

/// A cause from another crate, kept for the log.
pub type Cause = Arc<dyn StdError + Send + Sync>;

/// A result with this crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong. An error never contains the text of a user.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The input has no text.
    #[error("the input has no text")]
    NoTexts,
    /// A text that is empty or only white space.
    #[error("text {index} is empty")]
    EmptyText {
        /// Index of the text in the input, from 0.
        index: usize,
    },
    /// A conversation without turns.
    #[error("conversation {index} has no turn")]
    NoTurns {
        /// Index of the conversation in the input, from 0.
        index: usize,
    },
    /// A text longer than the limit.
    #[error("text {index} has {n_chars} characters, at most {max} are accepted")]
    TextTooLong {
        /// Index of the text in the input, from 0.
        index: usize,
        /// Length of the text in Unicode scalar values.
        n_chars: usize,
        /// The limit, in Unicode scalar values.
        max: usize,
    },
    /// More texts than the limit.
    #[error("the input has {n_texts} texts, at most {max} are accepted")]
    TooManyTexts {
        /// Number of texts in the input.
        n_texts: usize,
        /// The limit.
        max: usize,
    },
    /// More tokens than one request may use.
    #[error("the input makes {n_tokens} tokens in overlapping windows, at most {max} are accepted")]
    TooManyTokens {
        /// Tokens in all windows.
        n_tokens: usize,
        /// The limit.
        max: usize,
    },
    /// Category ids that the policy does not define.
    #[error("unknown categories {}; known are {}", quote(unknown), quote(known))]
    UnknownCategories {
        /// The field that named the categories.
        param: &'static str,
        /// The unknown ids.
        unknown: Vec<String>,
        /// The ids that the policy defines.
        known: Vec<String>,
    },
    /// A threshold outside 0 to 1.
    #[error("the threshold of {category} is {value}, expected a number from 0 to 1")]
    InvalidThreshold {
        /// The category's id.
        category: String,
        /// The value given.
        value: f64,
    },
    /// Input that is not valid JSON.
    #[error("malformed JSON at line {line} column {column}: {reason}")]
    MalformedJson {
        /// Line of the syntax error, from 1.
        line: usize,
        /// Column of the syntax error, from 1.
        column: usize,
        /// The parser's message.
        reason: String,
    },
    /// A JSON value of the wrong type for its field.
    #[error("{param} must be {expected}, found {found}")]
    InvalidType {
        /// The path of the field.
        param: String,
        /// What the field accepts.
        expected: String,
        /// The type found.
        found: &'static str,
    },
    /// A value of the right type that is not allowed.
    #[error("{param} must be {expected}")]
    InvalidValue {
        /// The path of the field.
        param: String,
        /// What the field accepts.
        expected: String,
    },
    /// A feature of other services that this one does not support.
    #[error("{param}: {reason}")]
    Unsupported {
        /// The path of the field.
        param: String,
        /// What is unsupported, and what to do instead.
        reason: &'static str,
    },
    /// A policy that is not loaded.
    #[error("unknown policy {name:?}; loaded are {}", quote(known))]
    UnknownPolicy {
        /// The name in the request.
        name: String,
        /// The names of the loaded policies.
        known: Vec<String>,
    },
    /// A model that is not serving.
    #[error("unknown model {name:?}; the models are {}", quote(known))]
    UnknownModel {
        /// The name in the request.
        name: String,
        /// The names of the serving models.
        known: Vec<String>,
    },
    /// A required field that is missing.
    #[error("{param} is missing")]
    MissingField {
        /// The path of the field.
        param: String,
    },
    /// A field that the request does not have.
    #[error("unknown field {param:?}; known are {}", quote(known))]
    UnknownField {
        /// The name of the field.
        param: String,
        /// The names of the known fields.
        known: &'static [&'static str],
    },
    /// A field of an input line that the results would overwrite.
    #[error(
        "field {name:?} is in the input already; --result-key NAME puts the results into a field of another name"
    )]
    FieldTaken {
        /// The name of the field.
        name: String,
    },
    /// JSON that is nested too deeply.
    #[error("the JSON is nested deeper than {max} levels")]
    JsonTooDeep {
        /// Maximum depth, in levels.
        max: usize,
    },
    /// The queue has no capacity left for the request.
    #[error("the queue is full: {queued_tokens} of {capacity} tokens wait")]
    QueueFull {
        /// Tokens in the queue.
        queued_tokens: usize,
        /// Maximum number of tokens in the queue.
        capacity: usize,
        /// Suggested delay before a retry, in milliseconds: half the time that the queue needs.
        retry_ms: u64,
    },
    /// The model is still being loaded.
    #[error("the model is still being loaded")]
    Starting,
    /// The verdict could not be written to the audit log.
    #[error("the audit log cannot be written")]
    Unaudited,
    /// The response would have come after the request's deadline.
    #[error("the deadline of {timeout_ms} ms has passed")]
    DeadlineExceeded {
        /// The timeout of the request, in milliseconds.
        timeout_ms: u64,
    },
    /// The engine stopped before it answered the request.
    #[error("the engine stopped before it answered")]
    Stopped,
    /// The tokenizer failed.
    #[error("text {index} could not be tokenised")]
    Encode {
        /// Index of the text in the input, from 0.
        index: usize,
        /// The tokenizer's error.
        #[source]
        source: Cause,
    },
    /// The forward pass of the model failed.
    #[error("forward pass failed on a batch of {rows} windows")]
    Forward {
        /// Number of windows in the batch.
        rows: usize,
        /// The tensor library's error.
        #[source]
        source: Cause,
    },
    /// The model returned NaN or infinity.
    #[error("the model gave a score that is not finite for text {index}")]
    NonFinite {
        /// Index of the text in the input, from 0.
        index: usize,
    },
    /// A file that could not be read or written.
    #[error("{}: {action} failed", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was attempted: `reading`, `writing`.
        action: &'static str,
        /// The operating system's error.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// A file with unexpected content.
    #[error("{file}: expected {expected}, found {found}")]
    Artifact {
        /// The file.
        file: String,
        /// The expected content.
        expected: String,
        /// The content found.
        found: String,
    },
    /// A line of an input file that could not be processed.
    #[error("line {number}")]
    Line {
        /// Line number, from 1.
        number: usize,
        /// The error on the line.
        #[source]
        source: Box<Error>,
    },
    /// A line of an input file that is longer than the limit.
    #[error("has more than {max_bytes} bytes")]
    LineTooLong {
        /// The limit, in bytes.
        max_bytes: u64,
    },
    /// An invalid setting.
    #[error("{name}: {reason}")]
    Config {
        /// The name of the setting.
        name: &'static str,
        /// Why the setting is invalid.
        reason: String,
    },
    /// A model that does not fit into memory beside the one that serves.
    #[error(
        "{file}: needs {needed_mb} MB beside the model that serves, {available_mb} MB are free"
    )]
    Memory {
        /// The model.
        file: String,
        /// Memory that the model needs, in millions of bytes.
        needed_mb: u64,
        /// Memory that is available, in millions of bytes.
        available_mb: u64,
    },
    /// Another model is already being staged.
    #[error("another model is being staged")]
    Staging,
    /// There is no previous model to return to.
    #[error("there is no previous model")]
    NothingBefore,
    /// There is no shadow model.
    #[error("there is no shadow model")]
    NoShadow,
    /// The shadow model panicked and so cannot serve.
    #[error("the shadow model has crashed")]
    ShadowCrashed,
    /// An address that could not be listened on.
    #[error("listening on {address} failed")]
    Listen {
        /// The address.
        address: String,
        /// The operating system's error.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// A file of a model could not be fetched from the model hub.
    #[error("{repo}@{revision}: fetching {file} failed")]
    Hub {
        /// The repository, `ORG/NAME`.
        repo: String,
        /// The requested revision: a branch, a tag or a commit.
        revision: String,
        /// The file that was being fetched.
        file: String,
        /// The hub client's error.
        #[source]
        source: Cause,
    },
}

impl Error {
    /// Returns the same error with the number of its line in an input file.
    #[must_use]
    pub fn at_line(self, number: usize) -> Self {
        match self {
            // Each line is parsed by itself, so the parser always reports line 1.
            Self::MalformedJson { column, reason, .. } => {
                Self::MalformedJson { line: number, column, reason }
            }
            other => Self::Line { number, source: Box::new(other) },
        }
    }

    /// Returns the same error with the index of its text mapped, for a caller whose input had other
    /// texts between those that were scored.
    #[must_use]
    pub fn map_index(self, map: impl FnOnce(usize) -> usize) -> Self {
        match self {
            Self::Encode { index, source } => Self::Encode { index: map(index), source },
            Self::NonFinite { index } => Self::NonFinite { index: map(index) },
            other => other,
        }
    }

    /// Returns the message with all its causes, for logs and terminals: `a: b: c`.
    pub fn chain(&self) -> String {
        let mut chain = self.to_string();
        let mut source = self.source();
        while let Some(cause) = source {
            chain.push_str(": ");
            chain.push_str(&cause.to_string());
            source = cause.source();
        }
        chain
    }
}

fn quote(names: &[impl AsRef<str>]) -> String {
    names.iter().map(|name| format!("{:?}", name.as_ref())).collect::<Vec<_>>().join(", ")
}

/// Shortens a name that a client chose, which may be a whole text: errors quote its first characters
/// alone, enough to recognise it.
pub(crate) fn shorten(name: &str) -> String {
    const MAX_CHARS: usize = 40;
    name.chars().take(MAX_CHARS).collect()
}
