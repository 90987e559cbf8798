//! What a violation asks for.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

/// What a platform should do with a text, from the mildest to the most severe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Nothing: no category is violated.
    Allow,
    /// Let somebody look.
    Flag,
    /// Offer help to the author.
    Support,
    /// Do not publish.
    Block,
    /// Do not publish, and tell the authorities.
    Report,
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Allow => "allow",
            Self::Flag => "flag",
            Self::Support => "support",
            Self::Block => "block",
            Self::Report => "report",
        })
    }
}
