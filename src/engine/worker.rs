//! The thread that owns the model: gather, pack, forward, answer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use ndarray::Array2;
use ndarray::ArrayView2;
use ndarray::Axis;
use ndarray::s;
use tokio::sync::mpsc;
use tracing::debug;

use crate::batch;
use crate::batch::Batch;
use crate::encode::Window;
use crate::engine::queue::Job;
use crate::engine::queue::Pace;
use crate::error::Result;
use crate::metrics::Metrics;
use crate::model::Forward;
use crate::model::Logits;

/// Runs one batch after the other; what arrives meanwhile makes up the next.
pub(super) struct Worker {
    jobs: mpsc::Receiver<Job>,
    forward: Box<dyn Forward>,
    batch_tokens: usize,
    pace: Arc<Pace>,
    metrics: Arc<Metrics>,
    waiting: VecDeque<Progress>, // in order of `due`; bounded, each holds its room in the queue
}

/// A job and how far it has come.
struct Progress {
    job: Job,
    due: Instant, // when its turn is
    n_packed: usize,
    done: Vec<Array2<f32>>, // logits so far, a part a batch
}

impl Worker {
    pub(super) fn new(
        jobs: mpsc::Receiver<Job>,
        forward: Box<dyn Forward>,
        batch_tokens: usize,
        pace: Arc<Pace>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { jobs, forward, batch_tokens, pace, metrics, waiting: VecDeque::new() }
    }

    /// Works until the queue is closed and empty.
    pub(super) fn run(mut self) {
        while self.gather() {
            if !self.waiting.is_empty() {
                self.work();
            }
        }
    }

    /// Takes everything that waits; sleeps only if nothing does. False at the end.
    fn gather(&mut self) -> bool {
        if self.waiting.is_empty() {
            match self.jobs.blocking_recv() {
                Some(job) => self.enqueue(job),
                None => return false,
            }
        }
        while let Ok(job) = self.jobs.try_recv() {
            self.enqueue(job);
        }
        // The client of a closed reply has gone or waits no longer; its work is not worth doing.
        let n_before = self.waiting.len();
        self.waiting.retain(|progress| !progress.job.reply.is_closed());
        for _ in self.waiting.len()..n_before {
            self.metrics.abandoned();
        }
        true
    }

    /// Puts a job where its turn is, behind those with the same turn.
    fn enqueue(&mut self, job: Job) {
        let progress = Progress::new(job);
        let place = self.waiting.partition_point(|other| other.due <= progress.due);
        self.waiting.insert(place, progress);
    }

    /// Runs one batch.
    fn work(&mut self) {
        let pending = || self.waiting.iter().flat_map(Progress::pending);
        let n_windows = batch::fit(pending().map(|window| window.ids.len()), self.batch_tokens);
        let batch = Batch::pack(pending().take(n_windows));
        let shares = self.share_out(n_windows);
        self.metrics.packed(batch.n_windows(), batch.n_tokens());
        debug!(batch.windows = n_windows, batch.tokens = batch.n_tokens(), "packed a batch");
        let start = Instant::now();
        let logits = self.forward.forward(&batch);
        let elapsed = start.elapsed();
        self.metrics.forwarded(elapsed);
        self.pace.observe(batch.n_tokens(), elapsed);
        self.deliver(&shares, logits);
    }

    /// How many of the batch's windows belong to each job, from the first on.
    fn share_out(&mut self, n_windows: usize) -> Vec<usize> {
        let mut left = n_windows;
        let mut shares = Vec::new();
        for progress in &mut self.waiting {
            if left == 0 {
                break;
            }
            if progress.n_packed == 0 {
                self.metrics.waited(progress.job.admitted.elapsed());
            }
            let share = progress.advance(left);
            left -= share;
            shares.push(share);
        }
        shares
    }

    /// Gives each job its rows, and answers those that are complete.
    fn deliver(&mut self, shares: &[usize], logits: Result<Logits>) {
        let logits = match logits {
            Ok(logits) => logits.0,
            Err(error) => {
                for progress in self.waiting.drain(..shares.len()) {
                    progress.answer(Err(error.clone()));
                }
                return;
            }
        };
        let mut row = 0;
        for (progress, &share) in self.waiting.iter_mut().zip(shares) {
            progress.done.push(logits.slice(s![row..row + share, ..]).to_owned());
            row += share;
        }
        while self.waiting.front().is_some_and(Progress::is_complete) {
            if let Some(progress) = self.waiting.pop_front() {
                let logits = progress.logits();
                progress.answer(Ok(logits));
            }
        }
    }
}

impl Progress {
    /// A short request overtakes a long one that came a little earlier; nobody is overtaken for
    /// ever, since what comes later is due later.
    fn new(job: Job) -> Self {
        let n_tokens: usize = job.windows.iter().map(|window| window.ids.len()).sum();
        let delay = DELAY_PER_TOKEN.saturating_mul(u32::try_from(n_tokens).unwrap_or(u32::MAX));
        let due = job.admitted + delay;
        Self { job, due, n_packed: 0, done: Vec::new() }
    }

    fn pending(&self) -> &[Window] {
        &self.job.windows[self.n_packed..]
    }

    /// Marks up to `n_windows` as packed, gives back their room and says how many they were.
    fn advance(&mut self, n_windows: usize) -> usize {
        let share = n_windows.min(self.pending().len());
        let n_tokens = self.pending()[..share].iter().map(|window| window.ids.len()).sum();
        drop(self.job.room.split(n_tokens));
        self.n_packed += share;
        share
    }

    fn is_complete(&self) -> bool {
        self.done.iter().map(Array2::nrows).sum::<usize>() == self.job.windows.len()
    }

    fn logits(&self) -> Logits {
        let parts: Vec<ArrayView2<'_, f32>> = self.done.iter().map(|part| part.view()).collect();
        let rows = ndarray::concatenate(Axis(0), &parts);
        Logits(rows.expect("parts are rows of one head, and a job has at least one"))
    }

    fn answer(self, logits: Result<Logits>) {
        // A client that has just gone takes nothing.
        let _ = self.job.reply.send(logits);
    }
}

/// What a token costs on one CPU core: a request waits for shorter ones as long as it takes itself.
const DELAY_PER_TOKEN: Duration = Duration::from_micros(100);
