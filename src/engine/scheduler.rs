//! Decides which requests are admitted and which batch each worker computes next.
//!
//! A state machine without clock, threads, channels or metrics: time and workers are arguments.
//!
//! **Tokens.** A window is waiting, then in a prepared batch, then in a running one, then done. The
//! token budgets count waiting and prepared windows, separately for the foreground and the
//! background. A job that is abandoned, expires or fails releases its waiting windows at once; its
//! windows in a batch are still computed, and their results dropped.
//!
//! **Turns.** A worker computes one batch at a time. The models of the foreground take turns batch
//! by batch. The background is computed when no foreground work is waiting, in smaller batches, and
//! at least once in five seconds (`BACKGROUND_WAIT`). The next batch is prepared while one runs
//! only if it is a full foreground batch and no worker is free: otherwise late requests would miss
//! it. Nor is it prepared while one key has more waiting than all others together and others are
//! active too; a key with more than a batch waiting then gets half batches.
//!
//! **Keys.** Keys share a model by tokens, and a request of an occasional key is computed before
//! those of continuously backlogged keys. The waiting and prepared tokens of one key, a new request
//! included, stay within half of the queue and of its time, so that others find room in the other
//! half.

mod admission;
mod batches;
mod job;
mod lane;
mod model_queues;
mod settings;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod turns;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::time::Duration;
use std::time::Instant;

use self::batches::Batches;
use self::batches::ScheduledBatch;
use self::job::Job;
use self::model_queues::ModelQueues;
use self::turns::Turn;
use crate::engine::fair_queue::BatchContents;
use crate::engine::fair_queue::BatchSlice;
use crate::engine::fair_queue::JobId;
use crate::engine::fair_queue::QueuedJob;
use crate::engine::throughput::Measurement;

pub(super) use self::job::Demand;
pub(super) use self::job::NewJob;
pub(super) use self::job::Refusal;
pub(super) use self::settings::SchedulerSettings;

/// The waiting and running work of one process.
#[derive(Debug)]
pub(super) struct Scheduler {
    settings: SchedulerSettings,
    models: BTreeMap<ModelId, ModelQueues>,
    batches: Batches,
    jobs: HashMap<JobId, Job>,
    deadlines: BTreeSet<(Instant, JobId)>,
    n_ids: u64,   // handed out; no id is reused
    n_turns: u64, // batches planned so far
}

/// The id of a model in the scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ModelId(u64);

/// The id of a planned batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct BatchId(u64);

/// The id of a worker, which computes one batch at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct WorkerId(pub(super) usize);

/// A batch to be packed.
#[derive(Debug)]
pub(super) struct Plan {
    /// The id of the batch.
    pub(super) id: BatchId,
    /// The model that computes the batch.
    pub(super) model: ModelId,
    /// The windows of the batch.
    pub(super) slices: Vec<BatchSlice>,
    /// The token budget that the batch was planned with.
    pub(super) budget: usize,
}

/// The result of starting a prepared batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// The batch is running now.
    Running,
    /// Another batch is running on its worker.
    Occupied,
    /// The batch was cancelled.
    Cancelled,
}

impl Scheduler {
    /// Creates a scheduler without models or jobs.
    pub(super) fn new(settings: SchedulerSettings) -> Self {
        Self {
            settings,
            models: BTreeMap::new(),
            batches: Batches::default(),
            jobs: HashMap::new(),
            deadlines: BTreeSet::new(),
            n_ids: 0,
            n_turns: 0,
        }
    }

    /// Adds a model with one replica for each of the first `n_workers` workers. `tokens_per_second`
    /// is the throughput of one replica, if known.
    pub(super) fn add_model(
        &mut self,
        n_workers: usize,
        tokens_per_second: Option<f64>,
    ) -> ModelId {
        let id = ModelId(self.new_id());
        self.batches.grow_to(n_workers);
        let max_credit = self.settings.max_credit();
        self.models.insert(id, ModelQueues::new(n_workers, tokens_per_second, max_credit));
        id
    }

    /// Removes a model and its queues; returns its jobs that have not ended. A running batch
    /// occupies its worker until it ends.
    pub(super) fn remove_model(&mut self, model: ModelId) -> Vec<JobId> {
        self.models.remove(&model);
        self.batches.cancel_prepared(model);
        let jobs = self.jobs.iter().filter(|(_, job)| job.model == model);
        let mut jobs: Vec<_> = jobs.map(|(&id, _)| id).collect();
        jobs.sort_unstable();
        for &id in &jobs {
            self.forget(id);
        }
        jobs
    }

    /// Queues a request, or refuses it if it exceeds a budget.
    pub(super) fn admit(&mut self, job: NewJob, now: Instant) -> Result<JobId, Refusal> {
        let n_tokens = job.windows.iter().map(|&len| len as usize).sum();
        let NewJob { model, priority, flow, .. } = job;
        self.check(Demand { model, priority, flow, n_tokens })?;
        self.enqueue(job, now)
    }

    /// Queues a request without checking the budgets.
    pub(super) fn enqueue(&mut self, job: NewJob, now: Instant) -> Result<JobId, Refusal> {
        let id = JobId(self.new_id());
        let NewJob { model, priority, flow, windows, deadline } = job;
        let queues = self.models.get_mut(&model).ok_or(Refusal::Removed)?;
        let n_tokens = windows.iter().map(|&len| len as usize).sum();
        let rank = now + queues.delay_of(n_tokens);
        let n_missing = windows.len();
        queues.lane_mut(priority).push(flow, QueuedJob { id, rank, windows }, now);
        self.jobs.insert(id, Job { model, priority, flow, rank, deadline, n_missing });
        self.deadlines.extend(deadline.map(|deadline| (deadline, id)));
        Ok(id)
    }

    /// Returns whether [`Scheduler::next_batch`] would return a batch.
    pub(super) fn has_batch(&self, worker: WorkerId, now: Instant) -> bool {
        self.turn(worker, now).is_some()
    }

    /// Plans the next batch for a worker; the batch counts as prepared from now on.
    pub(super) fn next_batch(&mut self, worker: WorkerId, now: Instant) -> Option<Plan> {
        let Turn { model, priority, budget } = self.turn(worker, now)?;
        let id = BatchId(self.new_id());
        self.n_turns += 1;
        let lane = self.models.get_mut(&model)?.lane_mut(priority);
        let BatchContents { slices, n_tokens } = lane.take(budget, self.n_turns, now);
        let batch =
            ScheduledBatch { model, priority, worker, slices: slices.clone(), n_tokens, budget };
        self.batches.prepare(id, batch);
        Some(Plan { id, model, slices, budget })
    }

    /// Starts a prepared batch if its worker is free; its tokens then no longer count as waiting.
    pub(super) fn start(&mut self, batch: BatchId) -> Start {
        self.batches.start(batch)
    }

    /// Ends a running batch; returns the jobs that it completes.
    pub(super) fn complete(&mut self, batch: BatchId, elapsed: Duration) -> Vec<JobId> {
        let Some(batch) = self.batches.end(batch) else { return Vec::new() };
        if let Some(queues) = self.models.get_mut(&batch.model) {
            let (n_tokens, budget) = (batch.n_tokens(), batch.budget);
            queues.throughput.observe(Measurement { n_tokens, budget, elapsed });
        }
        let mut complete = Vec::new();
        for BatchSlice { job: id, windows } in batch.slices {
            // The job may have ended already.
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            job.n_missing -= windows.len();
            if job.n_missing == 0 {
                self.forget(id);
                complete.push(id);
            }
        }
        complete
    }

    /// Ends a failed batch, prepared or running; returns the jobs that end with it.
    pub(super) fn fail(&mut self, batch: BatchId) -> Vec<JobId> {
        let slices = self.batches.end(batch).map(|batch| batch.slices).unwrap_or_default();
        let jobs = slices.into_iter().map(|slice| slice.job);
        jobs.filter(|&job| self.forget(job)).collect()
    }

    /// Drops a job whose client has gone; returns false if the job had ended already.
    pub(super) fn abandon(&mut self, job: JobId) -> bool {
        self.forget(job)
    }

    /// Drops the jobs whose deadline has passed, and returns them.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<JobId> {
        let mut expired = Vec::new();
        while let Some(&(deadline, id)) = self.deadlines.first()
            && deadline <= now
        {
            self.forget(id);
            expired.push(id);
        }
        expired
    }

    fn new_id(&mut self) -> u64 {
        self.n_ids += 1;
        self.n_ids
    }

    /// Removes a job from everything but the batches; returns false if the job had ended already.
    fn forget(&mut self, id: JobId) -> bool {
        let Some(job) = self.jobs.remove(&id) else { return false };
        if let Some(deadline) = job.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        if let Some(queues) = self.models.get_mut(&job.model) {
            queues.lane_mut(job.priority).remove(job.flow, job.rank, id);
        }
        true
    }
}
