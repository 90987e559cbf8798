//! The context of a request: everything but its inputs.

use std::sync::Arc;

use crate::engine::deadline::Deadline;
use crate::engine::priority::Priority;
use crate::engine::timings::Timings;
use crate::key::Account;

/// The caller, deadline, priority and timings of a request.
#[derive(Debug, Clone, Copy)]
pub struct RequestContext<'a> {
    /// With a deadline, a full queue refuses the request at once, and the request fails if not
    /// answered in time. Without one, the request waits for room in the queue and for the answer.
    pub deadline: Option<Deadline>,
    /// Whether a client waits for the answer.
    pub priority: Priority,
    /// The account charged for the tokens when they are queued, even if the answer is never read.
    pub account: Option<&'a Arc<Account>>,
    /// Records how long each step takes.
    pub timings: Option<&'a Timings>,
}
