//! The queue of one model: a flow per key, served fairly by tokens.

mod contention;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Instant;

use self::contention::Contention;
use crate::engine::flow::FlowId;

/// Jobs in flows that share a model by tokens.
///
/// Start-time fair queueing (Goyal, Vin and Cheng, 1996): the next window is taken from the flow
/// that has been served the fewest tokens. Within a flow, jobs are served by rank.
///
/// Unlike in the paper, a job that arrives in an idle flow is served before those of continuously
/// backlogged flows, so that a long text of an occasional key is not interleaved with theirs,
/// window by window. Tokens served this way are taken from a credit. All flows share the credit,
/// which grows by the tokens that the waiting flows are served, up to `max_credit`. Tokens that a
/// flow has already been served beyond the waiting flows count against it. So while a flow is
/// waiting, no other flow is served more tokens than it, except for `max_credit` and two of the
/// largest windows, however often the other goes idle and comes back.
///
/// When the queue is empty, all flows start anew.
#[derive(Debug)]
pub(super) struct FairQueue {
    max_credit: u64, // tokens
    credit: u64,     // what is left, in tokens
    flows: BTreeMap<FlowId, Flow>,
    turns: BTreeSet<(u64, FlowId)>, // waiting flows, by tokens served
    idle: BTreeSet<(u64, FlowId)>,  // remembered flows without jobs, likewise
    virtual_time: u64, // the most tokens that had been served to a flow when it was chosen
    n_tokens: usize,   // waiting in all flows
    contention: Contention,
}

/// The id of a request in the scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct JobId(pub(super) u64);

/// A job to be queued.
#[derive(Debug, Clone)]
pub(super) struct QueuedJob {
    /// The id of the job.
    pub(super) id: JobId,
    /// The order within its flow: lower ranks first, then older jobs first.
    pub(super) rank: Instant,
    /// The number of tokens in each window; at least one window.
    pub(super) windows: Vec<u32>,
}

/// Consecutive windows of one job, as part of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BatchSlice {
    /// The job that the windows belong to.
    pub(super) job: JobId,
    /// The indices of the windows within the job.
    pub(super) windows: Range<usize>,
}

/// The windows taken out of the queue for a batch.
#[derive(Debug, Default)]
pub(super) struct BatchContents {
    /// One slice per job, in the order in which the jobs were admitted.
    pub(super) slices: Vec<BatchSlice>,
    /// The number of tokens of each flow in the batch.
    pub(super) n_tokens: BTreeMap<FlowId, usize>,
}

#[derive(Debug, Default)]
struct Flow {
    served: u64,                               // tokens
    n_tokens: usize,                           // waiting
    jobs: BTreeMap<(Instant, JobId), Windows>, // by rank
}

/// The windows of a job, of which those from `next` on are waiting.
#[derive(Debug)]
struct Windows {
    lens: Vec<u32>,
    next: usize,
}

impl FairQueue {
    /// Creates an empty queue.
    pub(super) fn new(max_credit: usize) -> Self {
        Self {
            max_credit: max_credit as u64,
            credit: 0,
            flows: BTreeMap::new(),
            turns: BTreeSet::new(),
            idle: BTreeSet::new(),
            virtual_time: 0,
            n_tokens: 0,
            contention: Contention::default(),
        }
    }

    /// Adds a job to its flow.
    pub(super) fn push(&mut self, flow_id: FlowId, job: QueuedJob, now: Instant) {
        self.contention.arrived(flow_id, now);
        let windows = Windows { lens: job.windows, next: 0 };
        let n_tokens = windows.n_tokens();
        let credit = self.credit.min(n_tokens as u64);
        let flow = self.flows.entry(flow_id).or_default();
        if flow.jobs.is_empty() {
            self.idle.remove(&(flow.served, flow_id));
            flow.served = flow.served.max(self.virtual_time.saturating_sub(credit));
            self.credit -= self.virtual_time.saturating_sub(flow.served);
            self.turns.insert((flow.served, flow_id));
        }
        flow.jobs.insert((job.rank, job.id), windows);
        flow.n_tokens += n_tokens;
        self.n_tokens += n_tokens;
    }

    /// Removes a job's waiting windows.
    pub(super) fn remove(&mut self, flow_id: FlowId, rank: Instant, id: JobId) {
        let Some(flow) = self.flows.get_mut(&flow_id) else { return };
        let Some(windows) = flow.jobs.remove(&(rank, id)) else { return };
        let n_tokens = windows.n_tokens();
        flow.n_tokens -= n_tokens;
        self.n_tokens -= n_tokens;
        if flow.jobs.is_empty() {
            self.turns.remove(&(flow.served, flow_id));
            self.idle.insert((flow.served, flow_id));
        }
        self.prune_idle_flows();
    }

    /// Takes the windows of the next batch: at most `budget` tokens, but at least one window, of
    /// any size, unless the queue is empty.
    pub(super) fn take(&mut self, budget: usize) -> BatchContents {
        let mut slices: BTreeMap<JobId, Range<usize>> = BTreeMap::new();
        let mut n_tokens = BTreeMap::new();
        let mut room = budget;
        while let Some((flow, len)) = self.next_window() {
            if !slices.is_empty() && len > room {
                break;
            }
            room = room.saturating_sub(len);
            *n_tokens.entry(flow).or_default() += len;
            let (job, window) = self.take_window(flow, len);
            slices.entry(job).or_insert(window..window).end = window + 1;
        }
        self.prune_idle_flows();
        let slice = |(job, windows)| BatchSlice { job, windows };
        BatchContents { slices: slices.into_iter().map(slice).collect(), n_tokens }
    }

    /// Returns whether no job is waiting.
    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Returns the number of waiting tokens.
    pub(super) fn n_tokens(&self) -> usize {
        self.n_tokens
    }

    /// Returns the number of waiting tokens of one flow.
    pub(super) fn n_tokens_of(&self, flow: FlowId) -> usize {
        self.flows.get(&flow).map_or(0, |flow| flow.n_tokens)
    }

    /// Returns whether one key has more than `n_tokens` waiting, and more than all others together,
    /// while other flows are active too: batches computed for this key delay the others.
    pub(super) fn is_dominated(&self, n_tokens: usize, now: Instant) -> bool {
        let dominates = |(id, flow): (&FlowId, &Flow)| {
            id.is_key() && flow.n_tokens > n_tokens && flow.n_tokens > self.n_tokens / 2
        };
        let mut waiting = self.turns.iter().filter_map(|(_, id)| self.flows.get_key_value(id));
        self.contention.is_recent(now) && waiting.any(dominates)
    }

    /// Returns the flow to be served next and the number of tokens in its next window.
    fn next_window(&self) -> Option<(FlowId, usize)> {
        let (_, flow_id) = self.turns.first()?;
        let (_, windows) = self.flows.get(flow_id)?.jobs.first_key_value()?;
        Some((*flow_id, windows.pending().first().map_or(0, |&len| len as usize)))
    }

    /// Takes the next window, of `len` tokens, from a flow; returns its job and its index in the
    /// job.
    fn take_window(&mut self, flow_id: FlowId, len: usize) -> (JobId, usize) {
        let flow = self.flows.get_mut(&flow_id).expect("a flow that has a turn is there");
        let mut job = flow.jobs.first_entry().expect("a flow that has a turn has a job");
        let (_, id) = *job.key();
        let window = job.get().next;
        job.get_mut().next += 1;
        if job.get().pending().is_empty() {
            job.remove();
        }
        self.turns.remove(&(flow.served, flow_id));
        let advance = flow.served.saturating_sub(self.virtual_time);
        self.virtual_time += advance;
        self.credit = self.max_credit.min(self.credit + advance);
        flow.served += len as u64;
        flow.n_tokens -= len;
        self.n_tokens -= len;
        let of_flow = if flow.jobs.is_empty() { &mut self.idle } else { &mut self.turns };
        of_flow.insert((flow.served, flow_id));
        (id, window)
    }

    /// Forgets idle flows, each once the tokens it was served no longer limit its credit.
    fn prune_idle_flows(&mut self) {
        if self.turns.is_empty() {
            self.flows.clear();
            self.idle.clear();
            (self.virtual_time, self.credit) = (0, 0);
        }
        let least_served = self.virtual_time.saturating_sub(self.max_credit);
        while let Some(&(served, flow)) = self.idle.first()
            && served <= least_served
        {
            self.idle.pop_first();
            self.flows.remove(&flow);
        }
    }
}

impl Windows {
    fn pending(&self) -> &[u32] {
        &self.lens[self.next..]
    }

    fn n_tokens(&self) -> usize {
        self.pending().iter().map(|&len| len as usize).sum()
    }
}

#[cfg(test)]
mod tests;
