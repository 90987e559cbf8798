//! The scheduler between those who ask and the places that compute.
//!
//! One lock, held for the scheduler's arithmetic and never while anything is tokenised, packed,
//! computed or sent. A place has two threads, so that one packs and delivers while the other
//! computes. No wake-up is lost: before it sleeps, a thread looks for work under the lock, and
//! whoever makes work possible calls a thread under the lock, unless one is already about to look.

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
use crate::encode::Window;
use crate::engine::deadline::Deadline;
use crate::engine::fair_queue::BatchSlice;
use crate::engine::fair_queue::JobId;
use crate::engine::priority::Priority;
use crate::engine::replica::Replica;
use crate::engine::scheduler::BatchId;
use crate::engine::scheduler::Demand;
use crate::engine::scheduler::ModelId;
use crate::engine::scheduler::PlaceId;
use crate::engine::scheduler::Refusal;
use crate::engine::scheduler::SchedulerSettings;
use crate::engine::scheduler::Start;
use crate::error::Error;
use crate::error::Result;
use crate::key::Account;
use crate::model::Logits;

/// What all engines of a process ask, and all places.
#[derive(Debug)]
pub(super) struct Dispatcher {
    state: Mutex<State>,
    /// Tokens that requests without a deadline may have in the engine; they wait for them in order.
    room: Arc<Semaphore>,
}

/// A request to be computed.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) model: ModelId,
    pub(super) priority: Priority,
    pub(super) account: Option<Arc<Account>>,
    /// One at least.
    pub(super) windows: Vec<Window>,
    pub(super) deadline: Option<Deadline>,
}

/// What a thread of a place is to do.
#[derive(Debug)]
pub(super) enum Task {
    /// Compute a batch.
    Compute(Work),
    /// Answer jobs whose deadline has passed.
    Expire(Vec<PendingJob>),
    /// Drop what nobody needs any more.
    Free(Vec<Arc<Replica>>),
    /// End.
    End,
}

/// A batch, to be packed and computed.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) batch: BatchId,
    pub(super) model: ModelId,
    pub(super) place: PlaceId,
    pub(super) replica: Arc<Replica>,
    pub(super) slices: Vec<BatchSlice>,
    /// Of the slices, one after the other.
    pub(super) windows: Vec<Window>,
    pub(super) budget: usize,
}

/// Whether a model can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// It does.
    Working,
    /// Nobody needs it any more.
    Ended,
    /// A forward pass panicked.
    Crashed,
}

/// What is in an engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Queued {
    /// Requests that were admitted and are not answered.
    pub n_requests: usize,
    /// Their tokens that no batch has begun to compute.
    pub n_tokens: usize,
}

/// A model that was added.
#[derive(Debug)]
pub(super) struct AddedModel {
    pub(super) id: ModelId,
    pub(super) life: watch::Receiver<Life>,
    pub(super) queued: watch::Receiver<Queued>,
}

impl Dispatcher {
    /// Without places and models.
    pub(super) fn new(settings: SchedulerSettings) -> Self {
        let room = Arc::new(Semaphore::new(settings.queue_tokens));
        Self { state: Mutex::new(State::new(settings)), room }
    }

    /// Adds a place, unless it is there.
    pub(super) fn add_place(&self, place: PlaceId) {
        self.lock().add_place(place);
    }

    /// Adds a model with a replica at each of the first places, which are there; of one replica, the
    /// tokens per second, if they are known.
    pub(super) fn add_model(
        &self,
        replicas: Vec<Arc<Replica>>,
        tokens_per_second: Option<f64>,
    ) -> AddedModel {
        let (life, lives) = watch::channel(Life::Working);
        let (queued, queue) = watch::channel(Queued::default());
        let model = ActiveModel { replicas, life, queued };
        let id = self.lock().add_model(model, tokens_per_second);
        AddedModel { id, life: lives, queued: queue }
    }

    /// Takes a model out; its memory is freed by the threads of its places.
    pub(super) fn remove_model(&self, model: ModelId) {
        let mut state = self.lock();
        let removed = state.remove_model(model, Life::Ended);
        let Some(removed) = removed else { return };
        state.retire(removed.replicas);
        drop(state);
        drop(removed.jobs); // nobody waits for them
    }

    /// Has the threads of all places end.
    pub(super) fn shut_down(&self) {
        self.lock().shut_down();
    }

    /// Refuses what would be refused now.
    pub(super) fn check(&self, demand: Demand) -> Result<()> {
        self.lock().scheduler.check(demand).map_err(error)
    }

    /// Puts a request into the queue, or refuses it at once; without a deadline, waits for room.
    pub(super) async fn submit(&self, submission: Submission) -> Result<Ticket<'_>> {
        let room = match submission.deadline {
            Some(_) => None,
            None => Some(self.room_for(&submission.windows).await?),
        };
        let submitted = self.lock().submit(submission, Instant::now());
        let (job, answer) = submitted.map_err(error)?;
        Ok(Ticket { dispatcher: self, job: Some(job), answer, _room: room })
    }

    /// Whether there is no time for the background.
    pub(super) fn is_busy(&self) -> bool {
        self.lock().scheduler.is_busy()
    }

    /// Sleeps until there is something to do at a place.
    pub(super) fn next(&self, place: PlaceId) -> Task {
        let mut state = self.lock();
        loop {
            if let Some(task) = state.task(place, Instant::now()) {
                return task;
            }
            let has_work = state.has_work(place);
            state = self.recover(has_work.wait(state));
        }
    }

    /// Waits until the place is free and runs the batch; gives how long the jobs have waited of which
    /// this is the first one. None if the batch is not wanted any more.
    pub(super) fn start(&self, work: &Work) -> Option<Vec<Duration>> {
        let mut state = self.lock();
        loop {
            match state.scheduler.start(work.batch) {
                Start::Running => return Some(state.begin(work, Instant::now())),
                Start::Cancelled => return None,
                Start::Occupied => {}
            }
            let is_free = state.is_free(work.place);
            state = self.recover(is_free.wait(state));
        }
    }

    /// Ends a batch; gives the jobs that are complete, to be answered.
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
        state.freed(work.place, Instant::now());
        state.take(&complete)
    }

    /// Ends a batch that gave an error; gives its jobs, to be answered.
    pub(super) fn fail(&self, work: &Work) -> Vec<PendingJob> {
        let mut state = self.lock();
        let failed = state.scheduler.fail(work.batch);
        state.freed(work.place, Instant::now());
        state.take(&failed)
    }

    /// Takes out a model of which a batch panicked. Those who wait for it are told by its end.
    pub(super) fn crash(&self, model: ModelId, batch: BatchId) {
        let mut state = self.lock();
        let failed = state.scheduler.fail(batch);
        let failed = state.take(&failed);
        let removed = state.remove_model(model, Life::Crashed);
        drop(state);
        drop((failed, removed));
    }

    /// After a panic in the thread of a place outside of any batch.
    pub(super) fn break_down(&self) {
        self.lock().break_down();
    }

    async fn room_for(&self, windows: &[Window]) -> Result<OwnedSemaphorePermit> {
        let n_tokens: usize = windows.iter().map(|window| window.ids.len()).sum();
        let n_permits = u32::try_from(n_tokens)
            .expect("a request is smaller than the queue, which has u32 tokens");
        let room = Arc::clone(&self.room).acquire_many_owned(n_permits).await;
        room.map_err(|_| Error::Stopped)
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

    /// Poison means that the state is half changed.
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
