//! A small scheduler, driven by hand.

use super::*;

/// A scheduler with one worker, or more if a model has more replicas.
pub(super) struct Fixture {
    pub(super) scheduler: Scheduler,
    pub(super) now: Instant,
}

impl Fixture {
    pub(super) fn new() -> Self {
        Self::with(SETTINGS)
    }

    pub(super) fn with(settings: SchedulerSettings) -> Self {
        Self { scheduler: Scheduler::new(settings), now: Instant::now() }
    }

    /// Adds a model of unknown throughput.
    pub(super) fn add_model(&mut self) -> ModelId {
        self.scheduler.add_model(1, None)
    }

    pub(super) fn admit(&mut self, model: ModelId, windows: &[u32]) -> JobId {
        self.admit_for(FlowId::Anonymous, model, windows)
    }

    pub(super) fn admit_for(&mut self, flow: FlowId, model: ModelId, windows: &[u32]) -> JobId {
        let job = NewJob { flow, ..job(model, windows) };
        self.scheduler.admit(job, self.now).unwrap()
    }

    pub(super) fn admit_background(&mut self, model: ModelId, windows: &[u32]) -> JobId {
        let job = NewJob { priority: Priority::Background, ..job(model, windows) };
        self.scheduler.admit(job, self.now).unwrap()
    }

    pub(super) fn check(&self, model: ModelId, n_tokens: usize) -> Result<(), Refusal> {
        self.check_for(FlowId::Anonymous, model, n_tokens, Priority::Foreground)
    }

    pub(super) fn check_for(
        &self,
        flow: FlowId,
        model: ModelId,
        n_tokens: usize,
        priority: Priority,
    ) -> Result<(), Refusal> {
        self.scheduler.check(Demand { model, priority, flow, n_tokens })
    }

    pub(super) fn next(&mut self) -> Plan {
        assert!(self.scheduler.has_batch(HERE, self.now));
        self.scheduler.next_batch(HERE, self.now).unwrap()
    }

    /// Computes the next batch; returns whether all of its windows belong to that job.
    pub(super) fn next_batch_is_only(&mut self, job: JobId) -> bool {
        let plan = self.next();
        self.run(plan.id);
        plan.slices.iter().all(|slice| slice.job == job)
    }

    pub(super) fn run(&mut self, batch: BatchId) -> Vec<JobId> {
        assert_eq!(self.scheduler.start(batch), Start::Running);
        self.scheduler.complete(batch, MS)
    }

    pub(super) fn is_idle(&self, model: ModelId) -> bool {
        self.scheduler.n_waiting(model, Priority::Foreground) == 0
            && self.scheduler.jobs.is_empty()
            && self.scheduler.deadlines.is_empty()
    }
}

pub(super) fn job(model: ModelId, windows: &[u32]) -> NewJob {
    let (priority, flow) = (Priority::Foreground, FlowId::Anonymous);
    NewJob { model, priority, flow, windows: windows.into(), deadline: None }
}

pub(super) fn slice(job: JobId, windows: std::ops::Range<usize>) -> BatchSlice {
    BatchSlice { job, windows }
}

pub(super) const HERE: WorkerId = WorkerId(0);
pub(super) const MS: Duration = Duration::from_millis(1);
pub(super) const SETTINGS: SchedulerSettings = SchedulerSettings {
    batch_tokens: 100,
    queue_tokens: 10_000,
    max_request_tokens: 1000,
    queue_time: Duration::from_secs(2),
};
