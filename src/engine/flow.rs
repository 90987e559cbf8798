//! The parties among which a model is shared.

use std::sync::Arc;

use crate::key::Account;

/// A key, or all requests without one together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum FlowId {
    /// Requests without a key.
    Anonymous,
    /// Requests of one key.
    Key(usize),
}

impl FlowId {
    /// The flow of an account, as long as somebody holds it.
    pub(super) fn of(account: Option<&Arc<Account>>) -> Self {
        account.map_or(Self::Anonymous, |account| Self::Key(Arc::as_ptr(account).addr()))
    }

    /// Whether shares and bounds of a single key apply.
    pub(super) fn is_key(self) -> bool {
        matches!(self, Self::Key(_))
    }
}
