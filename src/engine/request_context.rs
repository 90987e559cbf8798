//! What is known of a request beside what is to be scored.

use std::sync::Arc;

use crate::engine::deadline::Deadline;
use crate::engine::priority::Priority;
use crate::engine::timings::Timings;
use crate::key::Account;

/// Who asks, and how long the answer is waited for.
#[derive(Debug, Clone, Copy)]
pub struct RequestContext<'a> {
    /// A full queue refuses at once, and the answer comes by then or not at all. Without a deadline
    /// the request waits for room in the queue, and for the answer.
    pub deadline: Option<Deadline>,
    /// Whether somebody waits for the answer.
    pub priority: Priority,
    /// What is charged for the tokens as they are queued, also if nobody reads the answer.
    pub account: Option<&'a Arc<Account>>,
    /// Takes down where the time goes.
    pub timings: Option<&'a Timings>,
}
