//! Requests on their way to the model: admission by tokens, and what waits.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use crate::encode::Window;
use crate::error::Error;
use crate::error::Result;
use crate::model::Logits;

/// The door to the worker.
#[derive(Debug)]
pub(super) struct Queue {
    jobs: mpsc::Sender<Job>,
    room: Arc<Semaphore>, // a permit a token that may still come
    capacity: usize,
}

/// All windows of one request.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) windows: Vec<Window>,
    pub(super) reply: Reply,
    pub(super) admitted: Instant,
    /// Held for the windows that wait; given back as they are packed.
    pub(super) room: OwnedSemaphorePermit,
}

/// Takes one row of logits for each window, or the error.
pub(super) type Reply = oneshot::Sender<Result<Logits>>;

/// Gives what the [`Reply`] was given; an error of its own if the worker ended first.
pub(super) type Answer = oneshot::Receiver<Result<Logits>>;

impl Queue {
    /// A queue with room for `capacity` tokens, and the worker's end of it.
    pub(super) fn new(capacity: usize) -> (Self, mpsc::Receiver<Job>) {
        // A job has a token at least, so tokens are the tighter bound.
        let (jobs, receiver) = mpsc::channel(capacity);
        (Self { jobs, room: Arc::new(Semaphore::new(capacity)), capacity }, receiver)
    }

    /// Refuses if not even the smallest request would be let in.
    pub(super) fn check_room(&self) -> Result<()> {
        if self.room.available_permits() == 0 { Err(self.full()) } else { Ok(()) }
    }

    /// Lets a request in, or refuses it at once.
    pub(super) fn admit(&self, windows: Vec<Window>, n_tokens: usize) -> Result<Answer> {
        let room = Arc::clone(&self.room);
        let room = room.try_acquire_many_owned(permits(n_tokens)).map_err(|_| self.full())?;
        let (job, answer) = Job::new(windows, room);
        self.jobs.try_send(job).map_err(|refusal| match refusal {
            mpsc::error::TrySendError::Full(_) => self.full(),
            mpsc::error::TrySendError::Closed(_) => Error::Stopped,
        })?;
        Ok(answer)
    }

    /// Lets a request in as soon as there is room.
    pub(super) async fn wait(&self, windows: Vec<Window>, n_tokens: usize) -> Result<Answer> {
        let room = Arc::clone(&self.room);
        let room = room.acquire_many_owned(permits(n_tokens)).await.map_err(|_| Error::Stopped)?;
        let (job, answer) = Job::new(windows, room);
        self.jobs.send(job).await.map_err(|_| Error::Stopped)?;
        Ok(answer)
    }

    fn full(&self) -> Error {
        let queued_tokens = self.capacity - self.room.available_permits();
        Error::QueueFull { queued_tokens, capacity: self.capacity }
    }
}

impl Job {
    fn new(windows: Vec<Window>, room: OwnedSemaphorePermit) -> (Self, Answer) {
        let (reply, answer) = oneshot::channel();
        (Self { windows, reply, admitted: Instant::now(), room }, answer)
    }
}

fn permits(n_tokens: usize) -> u32 {
    u32::try_from(n_tokens).expect("a request is smaller than the queue, which has u32 tokens")
}
