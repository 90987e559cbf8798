//! Actions in responses.

use serde::Serialize;
use utoipa::ToSchema;

use crate::policy;

/// The action that a platform should take on a text, from the mildest to the most severe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::http) enum Action {
    /// No action: no category is violated.
    Allow,
    /// Have a person review the text.
    Flag,
    /// Offer help to the author of the text.
    Support,
    /// Do not publish the text.
    Block,
    /// Do not publish the text, and report it to the authorities.
    Report,
}

impl From<policy::Action> for Action {
    fn from(action: policy::Action) -> Self {
        match action {
            policy::Action::Allow => Self::Allow,
            policy::Action::Flag => Self::Flag,
            policy::Action::Support => Self::Support,
            policy::Action::Block => Self::Block,
            policy::Action::Report => Self::Report,
        }
    }
}
