//! Requests on their way to the model.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::sync::oneshot;

use crate::encode::Window;
use crate::engine::capacity::Capacity;
use crate::engine::room::Place;
use crate::error::Error;
use crate::error::Result;
use crate::key::Account;
use crate::model::Logits;

/// The door to one worker.
#[derive(Debug)]
pub(super) struct Queue {
    jobs: mpsc::Sender<Job>,
    capacity: Capacity,
}

/// All windows of one request.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) windows: Vec<Window>,
    pub(super) reply: Reply,
    pub(super) admitted: Instant,
    /// Held for the windows that wait; given back as they are packed.
    pub(super) room: Place,
}

/// What came of a job, and when.
#[derive(Debug)]
pub(super) struct Computed {
    pub(super) logits: Logits, // a row for each window
    pub(super) admitted: Instant,
    pub(super) began: Instant, // its first batch
    pub(super) ended: Instant, // its last one
}

/// Takes what was computed, or the error.
pub(super) type Reply = oneshot::Sender<Result<Computed>>;

/// Gives what the [`Reply`] was given; an error of its own if the worker ended first.
pub(super) type Answer = oneshot::Receiver<Result<Computed>>;

impl Queue {
    /// A queue within a capacity, and the worker's end of it.
    pub(super) fn new(capacity: Capacity) -> (Self, mpsc::Receiver<Job>) {
        // A job has a token at least, so tokens are the tighter bound.
        let (jobs, receiver) = mpsc::channel(capacity.settings.queue_tokens);
        (Self { jobs, capacity }, receiver)
    }

    /// Refuses what would be refused at the end: a request of so many tokens at least.
    pub(super) fn check_room(&self, n_tokens: usize, account: Option<&Arc<Account>>) -> Result<()> {
        let Capacity { room, .. } = &self.capacity;
        let checked = room.check(n_tokens, account, self.capacity.max_waiting());
        checked.map_err(|refusal| self.timed(refusal))
    }

    /// Lets a request in, or refuses it at once.
    pub(super) fn admit(
        &self,
        windows: Vec<Window>,
        n_tokens: usize,
        account: Option<&Arc<Account>>,
    ) -> Result<Answer> {
        self.check_room(n_tokens, account)?;
        let room = self.capacity.room.enter(n_tokens, account);
        let (job, answer) = Job::new(windows, room.map_err(|refusal| self.timed(refusal))?);
        self.jobs.try_send(job).map_err(|refusal| match refusal {
            mpsc::error::TrySendError::Full(_) => self.timed(self.capacity.room.full()),
            mpsc::error::TrySendError::Closed(_) => Error::Stopped,
        })?;
        Ok(answer)
    }

    /// Lets a request in as soon as there is room.
    pub(super) async fn wait(&self, windows: Vec<Window>, n_tokens: usize) -> Result<Answer> {
        let room = self.capacity.room.wait(n_tokens).await?;
        let (job, answer) = Job::new(windows, room);
        self.jobs.send(job).await.map_err(|_| Error::Stopped)?;
        Ok(answer)
    }

    /// Says in a refusal when to come again: when half of what waits is done.
    fn timed(&self, refusal: Error) -> Error {
        match refusal {
            Error::QueueFull { queued_tokens, capacity, .. } => {
                let retry_ms = self.capacity.pace.millis_for(queued_tokens / 2);
                Error::QueueFull { queued_tokens, capacity, retry_ms }
            }
            other => other,
        }
    }
}

impl Job {
    pub(super) fn new(windows: Vec<Window>, room: Place) -> (Self, Answer) {
        let (reply, answer) = oneshot::channel();
        (Self { windows, reply, admitted: Instant::now(), room }, answer)
    }
}
