//! What is refused before it is tokenised.

use crate::engine::flow::FlowId;
use crate::engine::instance::Engine;
use crate::engine::request_context::RequestContext;
use crate::engine::scheduler::Demand;
use crate::error::Result;
use crate::text::Subject;

impl Engine {
    /// Refuses what would be refused once it is tokenised: that need not be begun. What has no
    /// deadline waits for its place.
    pub(super) fn check(&self, subjects: &[Subject], context: RequestContext<'_>) -> Result<()> {
        if context.deadline.is_none() {
            return Ok(());
        }
        self.group.dispatcher().check(self.least_demand(subjects, context))
    }

    fn least_demand(&self, subjects: &[Subject], context: RequestContext<'_>) -> Demand {
        Demand {
            model: self.model.id,
            priority: context.priority,
            flow: FlowId::of(context.account),
            n_tokens: least_tokens(subjects).min(self.group.settings.max_request_tokens),
        }
    }
}

/// About how many tokens they will be, and hardly ever more than they are: an English token is four
/// to five bytes long.
fn least_tokens(subjects: &[Subject]) -> usize {
    const BYTES_PER_TOKEN: usize = 8;
    let n_bytes = |subject: &Subject| subject.judged().as_str().len();
    subjects.iter().map(|subject| n_bytes(subject).div_ceil(BYTES_PER_TOKEN)).sum()
}
