//! Connects requests to the workers that compute them, by way of the scheduler.
//!
//! One lock guards the scheduler's bookkeeping; it is never held while texts are tokenised or while
//! batches are packed, computed or answered. A worker has two threads, so that one packs and
//! delivers batches while the other computes. No wake-up is lost: a thread checks for work under
//! the lock before it sleeps, and whoever makes work available wakes a thread under the lock,
//! unless one that was woken has yet to check.

mod pending_job;
mod state;
mod ticket;

use std::sync::Arc;
use std::sync::LockResult;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::time::Duration;
use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::sync::watch;

pub(super) use self::pending_job::JobOutput;
pub(super) use self::pending_job::PendingJob;
use self::state::ActiveModel;
use self::state::State;
pub(super) use self::ticket::Ticket;
use crate::engine::deadline::Deadline;
use crate::engine::fair_queue::BatchSlice;
use crate::engine::fair_queue::JobId;
use crate::engine::priority::Priority;
use crate::engine::replica::Replica;
use crate::engine::scheduler::BatchId;
use crate::engine::scheduler::Demand;
use crate::engine::scheduler::ModelId;
use crate::engine::scheduler::Refusal;
use crate::engine::scheduler::SchedulerSettings;
use crate::engine::scheduler::Start;
use crate::engine::scheduler::WorkerId;
use crate::error::Error;
use crate::error::Result;
use crate::key::Account;
use crate::model::Logits;
use crate::tokenize::Window;

/// The queue and the scheduler, shared by all engines and workers of a process.
#[derive(Debug)]
pub(super) struct Dispatcher {
    state: Mutex<State>,
    /// One permit per token; requests without a deadline wait for their permits in FIFO order.
    permits: Arc<Semaphore>,
}

/// A tokenised request, to be queued.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) model: ModelId,
    pub(super) priority: Priority,
    pub(super) account: Option<Arc<Account>>,
    /// At least one.
    pub(super) windows: Vec<Window>,
    pub(super) deadline: Option<Deadline>,
}

/// A task for a worker thread.
#[derive(Debug)]
pub(super) enum Task {
    /// Compute a batch.
    Compute(Work),
    /// Answer jobs whose deadline has passed.
    Expire(Vec<PendingJob>),
    /// Drop the replicas of removed models.
    Free(Vec<Arc<Replica>>),
    /// Exit the thread.
    End,
}

/// A batch to be packed and computed.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) batch: BatchId,
    pub(super) model: ModelId,
    pub(super) worker: WorkerId,
    pub(super) replica: Arc<Replica>,
    pub(super) slices: Vec<BatchSlice>,
    /// The windows of all slices, concatenated.
    pub(super) windows: Vec<Window>,
    pub(super) budget: usize,
}

/// Whether a model can compute requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ModelState {
    /// The model computes requests.
    Running,
    /// The model was removed.
    Removed,
    /// A forward pass or the dispatcher panicked.
    Crashed,
}

/// The load of an engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Queued {
    /// Requests that were admitted and are not answered yet.
    pub n_requests: usize,
    /// Tokens of these requests that are still waiting or in a prepared batch.
    pub n_tokens: usize,
}

/// The id of an added model, and receivers for its state and load.
#[derive(Debug)]
pub(super) struct AddedModel {
    pub(super) id: ModelId,
    pub(super) state: watch::Receiver<ModelState>,
    pub(super) queued: watch::Receiver<Queued>,
}

impl Dispatcher {
    /// Creates a dispatcher without workers or models.
    pub(super) fn new(settings: SchedulerSettings) -> Self {
        let permits = Arc::new(Semaphore::new(settings.queue_tokens));
        Self { state: Mutex::new(State::new(settings)), permits }
    }

    /// Adds a worker unless it exists.
    pub(super) fn add_worker(&self, worker: WorkerId) {
        self.lock().add_worker(worker);
    }

    /// Adds a model with one replica for each of the first workers, which must exist.
    /// `tokens_per_second` is the throughput of one replica, if known.
    pub(super) fn add_model(
        &self,
        replicas: Vec<Arc<Replica>>,
        tokens_per_second: Option<f64>,
    ) -> AddedModel {
        let (state, states) = watch::channel(ModelState::Running);
        let (queued, queue) = watch::channel(Queued::default());
        let model = ActiveModel { replicas, state, queued };
        let id = self.lock().add_model(model, tokens_per_second);
        AddedModel { id, state: states, queued: queue }
    }

    /// Removes a model; the threads of its workers free its memory.
    pub(super) fn remove_model(&self, model: ModelId) {
        let mut state = self.lock();
        let removed = state.remove_model(model, ModelState::Removed);
        let Some(removed) = removed else { return };
        state.retire(removed.replicas);
        drop(state);
        drop(removed.jobs); // no request waits for them
    }

    /// Tells all worker threads to exit.
    pub(super) fn shut_down(&self) {
        self.lock().shut_down();
    }

    /// Returns an error if a request with this demand would be refused now.
    pub(super) fn check(&self, demand: Demand) -> Result<()> {
        self.lock().scheduler.check(demand).map_err(error)
    }

    /// Queues a request. One with a deadline is refused at once if the queue is full; one without a
    /// deadline waits for room.
    pub(super) async fn submit(&self, submission: Submission) -> Result<Ticket<'_>> {
        let permits = match submission.deadline {
            Some(_) => None,
            None => Some(self.permits_for(&submission.windows).await?),
        };
        let submitted = self.lock().submit(submission, Instant::now());
        let (job, answer) = submitted.map_err(error)?;
        Ok(Ticket { dispatcher: self, job: Some(job), answer, _permits: permits })
    }

    /// Returns whether the foreground leaves no time for background work.
    pub(super) fn is_busy(&self) -> bool {
        self.lock().scheduler.is_busy()
    }

    /// Blocks until there is a task for a worker.
    pub(super) fn next(&self, worker: WorkerId) -> Task {
        let mut state = self.lock();
        loop {
            if let Some(task) = state.task(worker, Instant::now()) {
                return task;
            }
            let has_work = state.has_work(worker);
            state = self.recover(has_work.wait(state));
        }
    }

    /// Blocks until the worker is free and starts the batch. Returns how long each job that starts
    /// with this batch has waited, or `None` if the batch was cancelled.
    pub(super) fn start(&self, work: &Work) -> Option<Vec<Duration>> {
        let mut state = self.lock();
        loop {
            match state.scheduler.start(work.batch) {
                Start::Running => return Some(state.begin(work, Instant::now())),
                Start::Cancelled => return None,
                Start::Occupied => {}
            }
            let is_free = state.is_free(work.worker);
            state = self.recover(is_free.wait(state));
        }
    }

    /// Ends a batch; returns the jobs that it completes, to be answered.
    pub(super) fn complete(
        &self,
        work: &Work,
        logits: Logits,
        elapsed: Duration,
    ) -> Vec<PendingJob> {
        let logits = Arc::new(logits);
        let mut state = self.lock();
        state.deliver(&work.slices, &logits);
        let complete = state.scheduler.complete(work.batch, elapsed);
        state.freed(work.worker, Instant::now());
        state.take(&complete)
    }

    /// Ends a failed batch; returns its jobs, to be answered with the error.
    pub(super) fn fail(&self, work: &Work) -> Vec<PendingJob> {
        let mut state = self.lock();
        let failed = state.scheduler.fail(work.batch);
        state.freed(work.worker, Instant::now());
        state.take(&failed)
    }

    /// Removes a model after a panic in one of its batches. Its jobs are dropped, which answers
    /// them with [`Error::Stopped`].
    pub(super) fn crash(&self, model: ModelId, batch: BatchId) {
        let mut state = self.lock();
        let failed = state.scheduler.fail(batch);
        let failed = state.take(&failed);
        let removed = state.remove_model(model, ModelState::Crashed);
        drop(state);
        drop((failed, removed));
    }

    /// Shuts everything down after a worker thread panicked outside of a batch.
    pub(super) fn break_down(&self) {
        self.lock().break_down();
    }

    async fn permits_for(&self, windows: &[Window]) -> Result<OwnedSemaphorePermit> {
        let n_tokens: usize = windows.iter().map(|window| window.ids.len()).sum();
        let n_permits = u32::try_from(n_tokens)
            .expect("a request is smaller than the queue, which has u32 tokens");
        let permits = Arc::clone(&self.permits).acquire_many_owned(n_permits).await;
        permits.map_err(|_| Error::Stopped)
    }

    fn abandon(&self, job: JobId) {
        let mut state = self.lock();
        state.scheduler.abandon(job);
        let abandoned = state.take(&[job]);
        drop(state);
        for job in abandoned {
            job.abandon();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.recover(self.state.lock())
    }

    /// Returns the state, after shutting everything down if a panic may have left it inconsistent.
    fn recover<'a>(&'a self, locked: LockResult<MutexGuard<'a, State>>) -> MutexGuard<'a, State> {
        locked.unwrap_or_else(|poisoned| {
            self.state.clear_poison();
            let mut state = poisoned.into_inner();
            state.break_down();
            state
        })
    }
}

fn error(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Removed => Error::Stopped,
        Refusal::Full(full) => Error::QueueFull {
            queued_tokens: full.queued_tokens,
            capacity: full.capacity,
            retry_ms: u64::try_from(full.retry_after.as_millis()).unwrap_or(u64::MAX),
        },
    }
}

#[cfg(test)]
mod tests;
