//! The parties among which a model is shared.

/// A key, or all requests without one together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum FlowId {
    /// Requests without a key.
    Anonymous,
    /// Requests of one key.
    Key(usize),
}

impl FlowId {
    /// Whether shares and bounds of a single key apply.
    pub(super) fn is_key(self) -> bool {
        matches!(self, Self::Key(_))
    }
}
