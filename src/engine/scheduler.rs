//! Decides what waits, what is refused and what is computed next, where and in which order.
//!
//! A state machine without clock, thread, channel or metric: time and places are arguments.
//!
//! **Tokens.** A window waits, then is part of a prepared batch, then of a running one, then done.
//! The budgets hold what waits or is prepared, of the foreground and of the background apart. A job
//! that is abandoned, expires or fails gives back at once what still waits; its windows in a batch
//! are computed for nobody.
//!
//! **Turns.** A place computes one batch at a time. Models of the foreground take turns batch by
//! batch. The background is computed when no foreground waits, in smaller batches, and at least once
//! in five seconds (`BACKGROUND_WAIT`). The next batch is prepared while one runs only if it is a
//! full one of the foreground and no place is free: else those who come late would miss it. It is
//! not prepared either while one key has more waiting than all others and others come too; a key
//! with more than a batch waiting then gets half batches.
//!
//! **Keys.** Keys share a model by tokens, and the request of one that asks now and then is computed
//! before those of keys that have something waiting all the time. What one key has waiting or prepared
//! stays within half of the queue and of its time, a new request included, so that others find room
//! in the other half.

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
use crate::engine::fair_queue::BatchSlice;
use crate::engine::fair_queue::JobId;
use crate::engine::fair_queue::QueuedJob;
use crate::engine::fair_queue::Taken;
use crate::engine::throughput::Measurement;

pub(super) use self::job::Demand;
pub(super) use self::job::NewJob;
pub(super) use self::job::Refusal;
pub(super) use self::settings::SchedulerSettings;

/// All that waits and runs in one process.
#[derive(Debug)]
pub(super) struct Scheduler {
    settings: SchedulerSettings,
    models: BTreeMap<ModelId, ModelQueues>,
    batches: Batches,
    jobs: HashMap<JobId, Job>,
    deadlines: BTreeSet<(Instant, JobId)>,
    n_ids: u64,   // handed out; no id is used twice
    n_turns: u64, // batches so far
}

/// A model that was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ModelId(u64);

/// A batch that was planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct BatchId(u64);

/// Where one batch at a time is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PlaceId(pub(super) usize);

/// A batch to pack.
#[derive(Debug)]
pub(super) struct Plan {
    /// Which.
    pub(super) id: BatchId,
    /// Who computes it.
    pub(super) model: ModelId,
    /// What it holds.
    pub(super) slices: Vec<BatchSlice>,
    /// Tokens that it could have had.
    pub(super) budget: usize,
}

/// Whether a prepared batch may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// It runs from now on.
    Running,
    /// Another runs there.
    Occupied,
    /// It is not wanted any more.
    Cancelled,
}

impl Scheduler {
    /// Starts with nothing.
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

    /// Adds a model that has a replica at each of the first `n_places` places, and, if it is known,
    /// the tokens per second of one replica.
    pub(super) fn add_model(&mut self, n_places: usize, tokens_per_second: Option<f64>) -> ModelId {
        let id = ModelId(self.new_id());
        self.batches.grow_to(n_places);
        let max_credit = self.settings.max_credit();
        self.models.insert(id, ModelQueues::new(n_places, tokens_per_second, max_credit));
        id
    }

    /// Removes a model with all that waits for it; gives the jobs that were not over. A running
    /// batch keeps its place until it ends.
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

    /// Takes a request, or refuses it.
    pub(super) fn admit(&mut self, job: NewJob, now: Instant) -> Result<JobId, Refusal> {
        let n_tokens = job.windows.iter().map(|&len| len as usize).sum();
        let NewJob { model, priority, flow, .. } = job;
        self.check(Demand { model, priority, flow, n_tokens })?;
        self.enqueue(job, now)
    }

    /// Takes a request whatever waits.
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

    /// Whether [`Scheduler::next_batch`] would give one.
    pub(super) fn has_batch(&self, place: PlaceId, now: Instant) -> bool {
        self.turn(place, now).is_some()
    }

    /// Plans the next batch for a place, whose preparation then may begin.
    pub(super) fn next_batch(&mut self, place: PlaceId, now: Instant) -> Option<Plan> {
        let Turn { model, priority, budget } = self.turn(place, now)?;
        let id = BatchId(self.new_id());
        self.n_turns += 1;
        let lane = self.models.get_mut(&model)?.lane_mut(priority);
        let Taken { slices, n_tokens } = lane.take(budget, self.n_turns, now);
        let batch =
            ScheduledBatch { model, priority, place, slices: slices.clone(), n_tokens, budget };
        self.batches.prepare(id, batch);
        Some(Plan { id, model, slices, budget })
    }

    /// Runs a prepared batch, if its place is free; its tokens then wait no more.
    pub(super) fn start(&mut self, batch: BatchId) -> Start {
        self.batches.start(batch)
    }

    /// Ends a running batch; gives the jobs that are complete.
    pub(super) fn complete(&mut self, batch: BatchId, elapsed: Duration) -> Vec<JobId> {
        let Some(batch) = self.batches.end(batch) else { return Vec::new() };
        if let Some(queues) = self.models.get_mut(&batch.model) {
            let (n_tokens, budget) = (batch.n_tokens(), batch.budget);
            queues.throughput.observe(Measurement { n_tokens, budget, elapsed });
        }
        let mut complete = Vec::new();
        for BatchSlice { job: id, windows } in batch.slices {
            // Nobody may wait for it any more.
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            job.n_missing -= windows.len();
            if job.n_missing == 0 {
                self.forget(id);
                complete.push(id);
            }
        }
        complete
    }

    /// Ends a batch that gave nothing, prepared or running; gives the jobs that are over with it.
    pub(super) fn fail(&mut self, batch: BatchId) -> Vec<JobId> {
        let slices = self.batches.end(batch).map(|batch| batch.slices).unwrap_or_default();
        let jobs = slices.into_iter().map(|slice| slice.job);
        jobs.filter(|&job| self.forget(job)).collect()
    }

    /// Drops a job for which nobody waits any more; false if it was over.
    pub(super) fn abandon(&mut self, job: JobId) -> bool {
        self.forget(job)
    }

    /// Drops the jobs whose deadline has come.
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

    /// Takes a job out of everything but the batches; false if it was over.
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
