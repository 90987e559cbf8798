//! Requests on their way to the model: admission by tokens, and what waits.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
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
    pace: Arc<Pace>,
}

/// How fast the model works, in tokens a second.
#[derive(Debug, Default)]
pub(super) struct Pace(AtomicU64); // the bits of an f64; 0 until something was measured

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
    pub(super) fn new(capacity: usize, pace: Arc<Pace>) -> (Self, mpsc::Receiver<Job>) {
        // A job has a token at least, so tokens are the tighter bound.
        let (jobs, receiver) = mpsc::channel(capacity);
        (Self { jobs, room: Arc::new(Semaphore::new(capacity)), capacity, pace }, receiver)
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
        let retry_ms = self.pace.millis_for(queued_tokens / 2);
        Error::QueueFull { queued_tokens, capacity: self.capacity, retry_ms }
    }
}

impl Pace {
    /// Takes a batch into the average, of which the last ones weigh most.
    pub(super) fn observe(&self, n_tokens: usize, elapsed: Duration) {
        let sample = n_tokens as f64 / elapsed.as_secs_f64().max(1e-6);
        let before = f64::from_bits(self.0.load(Ordering::Relaxed));
        let after =
            if before == 0.0 { sample } else { before + WEIGHT_OF_LAST * (sample - before) };
        self.0.store(after.to_bits(), Ordering::Relaxed);
    }

    /// How long so many tokens take, from a tenth of a second to a minute.
    fn millis_for(&self, n_tokens: usize) -> u64 {
        let per_second = f64::from_bits(self.0.load(Ordering::Relaxed));
        let seconds = if per_second > 0.0 { n_tokens as f64 / per_second } else { 1.0 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0.1 to 60 s")]
        let millis = (seconds.clamp(0.1, 60.0) * 1e3).ceil() as u64;
        millis
    }
}

/// Ten batches or so make the average.
const WEIGHT_OF_LAST: f64 = 0.1;

impl Job {
    fn new(windows: Vec<Window>, room: OwnedSemaphorePermit) -> (Self, Answer) {
        let (reply, answer) = oneshot::channel();
        (Self { windows, reply, admitted: Instant::now(), room }, answer)
    }
}

fn permits(n_tokens: usize) -> u32 {
    u32::try_from(n_tokens).expect("a request is smaller than the queue, which has u32 tokens")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_follows_from_the_pace_within_bounds() {
        let pace = Pace::default();
        assert_eq!(pace.millis_for(1_000_000), 1000, "nothing is known");
        pace.observe(2000, Duration::from_millis(100));
        assert_eq!(pace.millis_for(20_000), 1000);
        assert_eq!(pace.millis_for(1), 100);
        assert_eq!(pace.millis_for(usize::MAX), 60_000);
        for _ in 0..100 {
            pace.observe(1000, Duration::from_millis(100));
        }
        assert!((1990..=2000).contains(&pace.millis_for(20_000)), "the last batches weigh most");
    }
}
