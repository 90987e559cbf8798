//! The one error type: what went wrong, as data; edges turn it into status and exit codes.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::sync::Arc;

/// A cause from another crate, kept for the log.
pub type Cause = Arc<dyn StdError + Send + Sync>;

/// A result with this crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong. Texts of users never become part of it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No text at all.
    #[error("the input has no text")]
    NoTexts,
    /// A text of nothing but white space.
    #[error("text {index} is empty")]
    EmptyText {
        /// Its place in the input, from 0.
        index: usize,
    },
    /// A conversation without a turn.
    #[error("conversation {index} has no turn")]
    NoTurns {
        /// Its place in the input, from 0.
        index: usize,
    },
    /// A text longer than the limit.
    #[error("text {index} has {n_chars} characters, at most {max} are accepted")]
    TextTooLong {
        /// Its place in the input, from 0.
        index: usize,
        /// Its length in Unicode scalar values.
        n_chars: usize,
        /// The limit.
        max: usize,
    },
    /// More texts than the limit.
    #[error("the input has {n_texts} texts, at most {max} are accepted")]
    TooManyTexts {
        /// How many came.
        n_texts: usize,
        /// The limit.
        max: usize,
    },
    /// More tokens than one request may cost.
    #[error("the input makes {n_tokens} tokens in overlapping windows, at most {max} are accepted")]
    TooManyTokens {
        /// Tokens of all windows.
        n_tokens: usize,
        /// The limit.
        max: usize,
    },
    /// Category ids that the policy does not have.
    #[error("unknown categories {}; known are {}", quote(unknown), quote(known))]
    UnknownCategories {
        /// The field that named them.
        param: &'static str,
        /// What was named.
        unknown: Vec<String>,
        /// What there is.
        known: Vec<String>,
    },
    /// A threshold outside 0 to 1.
    #[error("the threshold of {category} is {value}, expected a number from 0 to 1")]
    InvalidThreshold {
        /// The category's id.
        category: String,
        /// What was given.
        value: f64,
    },
    /// Bytes that are not JSON.
    #[error("malformed JSON at line {line} column {column}: {reason}")]
    MalformedJson {
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault, from 1.
        column: usize,
        /// What the parser expected.
        reason: String,
    },
    /// A JSON value of another kind than the field takes.
    #[error("{param} must be {expected}, found {found}")]
    InvalidType {
        /// The path of the field.
        param: String,
        /// What it takes.
        expected: &'static str,
        /// The kind that came.
        found: &'static str,
    },
    /// A value of the right kind that cannot be.
    #[error("{param} must be {expected}")]
    InvalidValue {
        /// The path of the field.
        param: String,
        /// What it takes.
        expected: String,
    },
    /// Something that other services take and this one cannot.
    #[error("{param}: {reason}")]
    Unsupported {
        /// The path of the field.
        param: String,
        /// What it is and what to do about it.
        reason: &'static str,
    },
    /// A policy that is not loaded.
    #[error("unknown policy {name:?}; loaded are {}", quote(known))]
    UnknownPolicy {
        /// What was named.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A model that does not serve.
    #[error("unknown model {name:?}; serving are {}", quote(known))]
    UnknownModel {
        /// What was named.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A required field that did not come.
    #[error("{param} is missing")]
    MissingField {
        /// The path of the field.
        param: String,
    },
    /// A field that nobody reads.
    #[error("unknown field {param:?}; known are {}", quote(known))]
    UnknownField {
        /// The name that came.
        param: String,
        /// The names there are.
        known: &'static [&'static str],
    },
    /// A field of an input line that the results would overwrite.
    #[error(
        "field {name:?} is in the input already; --result-key NAME puts the results into a field of another name"
    )]
    FieldTaken {
        /// Its name.
        name: String,
    },
    /// The JSON is nested too deeply.
    #[error("the JSON is nested deeper than {max} levels")]
    JsonTooDeep {
        /// How deep it may be.
        max: usize,
    },
    /// The queue has no room for the request.
    #[error("the queue is full: {queued_tokens} of {capacity} tokens wait")]
    QueueFull {
        /// Tokens that wait.
        queued_tokens: usize,
        /// The most that may wait.
        capacity: usize,
        /// When half of what waits will have been worked off.
        retry_ms: u64,
    },
    /// The model is still being loaded.
    #[error("the model is still being loaded")]
    Starting,
    /// What was decided could not be written down.
    #[error("the audit log cannot be written")]
    Unaudited,
    /// The answer would have come after the request's deadline.
    #[error("the deadline of {timeout_ms} ms has passed")]
    DeadlineExceeded {
        /// The time the request had.
        timeout_ms: u64,
    },
    /// The engine ended before it answered.
    #[error("the engine stopped before it answered")]
    Stopped,
    /// The tokenizer failed.
    #[error("text {index} could not be tokenised")]
    Encode {
        /// Its place in the input, from 0.
        index: usize,
        /// The tokenizer's own words.
        #[source]
        source: Cause,
    },
    /// The model failed.
    #[error("forward pass failed on a batch of {rows} windows")]
    Forward {
        /// Windows in the batch.
        rows: usize,
        /// The tensor library's own words.
        #[source]
        source: Cause,
    },
    /// The model answered with NaN or infinity.
    #[error("the model gave a score that is not finite for text {index}")]
    NonFinite {
        /// Its place in the input, from 0.
        index: usize,
    },
    /// A file that could not be read or written.
    #[error("{}: {action} failed", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was attempted: `reading`, `writing`.
        action: &'static str,
        /// The system's own words.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// A file whose content is not what it must be.
    #[error("{file}: expected {expected}, found {found}")]
    Artifact {
        /// The file.
        file: String,
        /// What it should hold.
        expected: String,
        /// What it holds.
        found: String,
    },
    /// A line of an input file that could not be worked on.
    #[error("line {number}")]
    Line {
        /// From 1.
        number: usize,
        /// What was wrong with it.
        #[source]
        source: Box<Error>,
    },
    /// A line of an input file that is too long to be one.
    #[error("has more than {max_bytes} bytes")]
    LineTooLong {
        /// The limit.
        max_bytes: u64,
    },
    /// A setting that cannot be.
    #[error("{name}: {reason}")]
    Config {
        /// The setting.
        name: &'static str,
        /// Why not.
        reason: String,
    },
    /// A model for which there is no memory beside the one that serves.
    #[error(
        "{file}: needs {needed_mb} MB beside the model that serves, {available_mb} MB are free"
    )]
    Memory {
        /// The model.
        file: String,
        /// What it needs, in millions of bytes.
        needed_mb: u64,
        /// What there is.
        available_mb: u64,
    },
    /// Another model is on its way.
    #[error("another model is being staged")]
    Staging,
    /// No model served before this one.
    #[error("no model served before this one")]
    NothingBefore,
    /// There is no model in the shadow.
    #[error("no model is in the shadow")]
    NoShadow,
    /// The model in the shadow panicked, and so cannot serve.
    #[error("the model in the shadow has crashed")]
    ShadowCrashed,
    /// An address that could not be listened on.
    #[error("listening on {address} failed")]
    Listen {
        /// The address.
        address: String,
        /// The system's own words.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// The model hub could not give a model.
    #[error("{repo}@{revision}: fetching {file} failed")]
    Hub {
        /// The repository, `ORG/NAME`.
        repo: String,
        /// What was asked for: a branch, a tag or a commit.
        revision: String,
        /// The file on its way.
        file: String,
        /// The client's own words.
        #[source]
        source: Cause,
    },
}

/// Whose fault it is, and so what a caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The caller's: the same request fails again.
    Input,
    /// The caller's: what it names is not here.
    Unknown,
    /// Nobody's: something else has to end first.
    Conflict,
    /// Nobody's: the same request may succeed later.
    Overload,
    /// The deadline's: the same request may succeed with more time.
    Timeout,
    /// The operator's: a file or a setting must change.
    Setup,
    /// Ours.
    Internal,
}

impl Error {
    /// Whose fault it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Line { source, .. } => source.kind(),
            Self::UnknownModel { .. } => Kind::Unknown,
            Self::Staging | Self::NothingBefore | Self::NoShadow | Self::ShadowCrashed => {
                Kind::Conflict
            }
            Self::NoTexts
            | Self::NoTurns { .. }
            | Self::InvalidValue { .. }
            | Self::Unsupported { .. }
            | Self::UnknownPolicy { .. }
            | Self::EmptyText { .. }
            | Self::TextTooLong { .. }
            | Self::TooManyTexts { .. }
            | Self::TooManyTokens { .. }
            | Self::UnknownCategories { .. }
            | Self::InvalidThreshold { .. }
            | Self::MalformedJson { .. }
            | Self::InvalidType { .. }
            | Self::MissingField { .. }
            | Self::UnknownField { .. }
            | Self::FieldTaken { .. }
            | Self::JsonTooDeep { .. }
            | Self::LineTooLong { .. } => Kind::Input,
            Self::QueueFull { .. } | Self::Starting | Self::Unaudited => Kind::Overload,
            Self::DeadlineExceeded { .. } => Kind::Timeout,
            Self::Stopped | Self::Encode { .. } | Self::Forward { .. } | Self::NonFinite { .. } => {
                Kind::Internal
            }
            Self::Memory { .. }
            | Self::File { .. }
            | Self::Artifact { .. }
            | Self::Config { .. }
            | Self::Listen { .. }
            | Self::Hub { .. } => Kind::Setup,
        }
    }

    /// A stable word for clients, logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Line { source, .. } => source.code(),
            Self::NoTexts => "no_texts",
            Self::NoTurns { .. } => "no_turns",
            Self::InvalidValue { .. } => "invalid_value",
            Self::Unsupported { .. } => "unsupported_input",
            Self::UnknownPolicy { .. } => "unknown_policy",
            Self::UnknownModel { .. } => "unknown_model",
            Self::EmptyText { .. } => "empty_text",
            Self::TextTooLong { .. } => "text_too_long",
            Self::TooManyTexts { .. } => "too_many_texts",
            Self::TooManyTokens { .. } => "too_many_tokens",
            Self::UnknownCategories { .. } => "unknown_category",
            Self::InvalidThreshold { .. } => "invalid_threshold",
            Self::MalformedJson { .. } => "malformed_json",
            Self::InvalidType { .. } => "invalid_type",
            Self::MissingField { .. } => "missing_field",
            Self::UnknownField { .. } => "unknown_field",
            Self::FieldTaken { .. } => "field_taken",
            Self::LineTooLong { .. } => "line_too_long",
            Self::JsonTooDeep { .. } => "json_too_deep",
            Self::QueueFull { .. } => "server_is_overloaded",
            Self::Starting => "server_is_starting",
            Self::Unaudited => "audit_unavailable",
            Self::DeadlineExceeded { .. } => "deadline_exceeded",
            Self::Stopped => "engine_stopped",
            Self::Encode { .. } => "encode_failed",
            Self::Forward { .. } => "forward_failed",
            Self::NonFinite { .. } => "non_finite_score",
            Self::File { .. } => "file_error",
            Self::Artifact { .. } => "invalid_artifact",
            Self::Config { .. } => "invalid_config",
            Self::Listen { .. } => "listen_failed",
            Self::Hub { .. } => "hub_error",
            Self::Memory { .. } => "not_enough_memory",
            Self::Staging => "staging_in_progress",
            Self::NothingBefore => "nothing_before",
            Self::NoShadow => "no_shadow",
            Self::ShadowCrashed => "shadow_crashed",
        }
    }

    /// The same error, placed in a file of lines.
    #[must_use]
    pub fn at_line(self, number: usize) -> Self {
        match self {
            // Each line is read by itself, so its parser always says line 1.
            Self::MalformedJson { column, reason, .. } => {
                Self::MalformedJson { line: number, column, reason }
            }
            other => Self::Line { number, source: Box::new(other) },
        }
    }

    /// The message with all its causes, for logs and terminals: `a: b: c`.
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
