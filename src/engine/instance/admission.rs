//! Admission control before tokenisation.

use crate::engine::flow::FlowId;
use crate::engine::instance::Engine;
use crate::engine::request_context::RequestContext;
use crate::engine::scheduler::Demand;
use crate::error::Result;
use crate::text::Input;

impl Engine {
    /// Refuses a request that would be refused after tokenisation anyway, to save that work. Never
    /// refuses a request without a deadline, which waits for room.
    pub(super) fn check(&self, inputs: &[Input], context: RequestContext<'_>) -> Result<()> {
        if context.deadline.is_none() {
            return Ok(());
        }
        self.group.dispatcher().check(self.min_demand(inputs, context))
    }

    fn min_demand(&self, inputs: &[Input], context: RequestContext<'_>) -> Demand {
        Demand {
            model: self.model.id,
            priority: context.priority,
            flow: FlowId::from_account(context.account),
            n_tokens: min_tokens(inputs).min(self.group.settings.max_request_tokens),
        }
    }
}

/// Returns a low estimate of the number of tokens, which hardly ever exceeds it: an English token
/// is four to five bytes long.
fn min_tokens(inputs: &[Input]) -> usize {
    const BYTES_PER_TOKEN: usize = 8;
    let n_bytes = |input: &Input| input.judged().as_str().len();
    inputs.iter().map(|input| n_bytes(input).div_ceil(BYTES_PER_TOKEN)).sum()
}
