//! The flows that share a model.

use std::sync::Arc;

use crate::key::Account;

/// The id of a flow: the requests of one key, or all requests without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum FlowId {
    /// Requests without a key.
    Anonymous,
    /// Requests of one key.
    Key(usize),
}

impl FlowId {
    /// Returns the flow of an account, unique while the account is alive.
    pub(super) fn from_account(account: Option<&Arc<Account>>) -> Self {
        account.map_or(Self::Anonymous, |account| Self::Key(Arc::as_ptr(account).addr()))
    }

    /// Returns whether per-key shares and limits apply.
    pub(super) fn is_key(self) -> bool {
        matches!(self, Self::Key(_))
    }
}
