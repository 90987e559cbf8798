//! The class and the code of an error.

use crate::error::Error;

/// The class of an error: who caused it, and so what a caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Caller error: the same request fails again.
    Input,
    /// Caller error: the request names something that does not exist.
    Unknown,
    /// The request conflicts with the current state of the server.
    Conflict,
    /// Temporary failure: the same request may succeed later.
    Overload,
    /// The deadline has passed: the same request may succeed with more time.
    Timeout,
    /// Operator error: a file or a setting must change.
    Setup,
    /// A fault of the service itself.
    Internal,
}

impl Error {
    /// Returns the class of the error.
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

    /// Returns a stable word for clients, logs and metrics.
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
}
