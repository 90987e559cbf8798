//! The action that a violation calls for.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

/// The action that a platform should take on a text, from the mildest to the most severe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Take no action: no category is violated.
    Allow,
    /// Have a person review the text.
    Flag,
    /// Offer help to the author.
    Support,
    /// Do not publish.
    Block,
    /// Do not publish, and report to the authorities.
    Report,
}

impl Action {
    /// Returns the name used in policies and responses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Flag => "flag",
            Self::Support => "support",
            Self::Block => "block",
            Self::Report => "report",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}
