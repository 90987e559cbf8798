//! Actions, as answers carry them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::policy;

/// What a platform should do with a text, from the mildest to the most severe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Action {
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
