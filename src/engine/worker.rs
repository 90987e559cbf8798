//! The thread that owns the model: gather, pack, forward, answer.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Instant;

use ndarray::s;
use tokio::sync::mpsc;
use tracing::debug;

use crate::batch::Batch;
use crate::engine::capacity::Capacity;
use crate::engine::lines::Lines;
use crate::engine::lines::Share;
use crate::engine::progress::Progress;
use crate::engine::queue::Job;
use crate::engine::turn::Priority;
use crate::error::Result;
use crate::metrics::Metrics;
use crate::model::Forward;
use crate::model::Logits;

/// Runs one batch after the other; what arrives meanwhile makes up the next.
pub(super) struct Worker {
    jobs: mpsc::Receiver<Job>,
    forward: Box<dyn Forward>,
    capacity: Capacity,
    is_background: Arc<AtomicBool>,
    metrics: Arc<Metrics>,
    waiting: Lines, // bounded: each job holds its room in the queue
}

impl Worker {
    pub(super) fn new(
        jobs: mpsc::Receiver<Job>,
        forward: Box<dyn Forward>,
        capacity: Capacity,
        is_background: Arc<AtomicBool>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let waiting = Lines::default();
        Self { jobs, forward, capacity, is_background, metrics, waiting }
    }

    /// Works until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let turn = Arc::clone(&self.capacity.turn);
        while self.wait() {
            // What comes while another model has the cores is in the batch too.
            let _cores = turn.take(self.priority());
            self.gather();
            if !self.waiting.is_empty() {
                self.work();
            }
        }
    }

    /// Sleeps until something waits. False at the end.
    fn wait(&mut self) -> bool {
        if self.waiting.is_empty() {
            match self.jobs.blocking_recv() {
                Some(job) => self.waiting.enqueue(job),
                None => return false,
            }
        }
        true
    }

    /// Takes everything that waits.
    fn gather(&mut self) {
        while let Ok(job) = self.jobs.try_recv() {
            self.waiting.enqueue(job);
        }
        // The client of a closed reply has gone or waits no longer; its work is not worth doing.
        for _ in 0..self.waiting.drop_abandoned() {
            self.metrics.abandoned();
        }
    }

    /// Runs one batch.
    fn work(&mut self) {
        let budget = self.batch_tokens();
        let shares = self.waiting.choose(budget);
        let batch = Batch::pack(self.waiting.windows(&shares));
        let (rows, tokens) = (batch.n_windows(), batch.n_tokens());
        self.advance(&shares);
        self.metrics.packed(rows, tokens, budget);
        debug!(batch.windows = rows, batch.tokens = tokens, "packed a batch");
        let start = Instant::now();
        let logits = self.forward.forward(&batch);
        let elapsed = start.elapsed();
        self.metrics.forwarded(elapsed);
        // A small batch tells nothing of the pace when much waits.
        if tokens >= budget / SMALL_PARTS {
            self.capacity.pace.observe(tokens, elapsed);
        }
        self.deliver(&shares, logits);
    }

    fn priority(&self) -> Priority {
        if self.is_background.load(Ordering::Relaxed) {
            Priority::Background
        } else {
            Priority::Foreground
        }
    }

    /// Who computes in the background gives the cores back soon, and so does one key that has much
    /// to do beside others.
    fn batch_tokens(&self) -> usize {
        let batch_tokens = self.capacity.settings.batch_tokens;
        let parts = match self.priority() {
            Priority::Background => BACKGROUND_PARTS,
            Priority::Foreground
                if self.waiting.is_hogged(batch_tokens.saturating_mul(HOGGED_BATCHES)) =>
            {
                HOGGED_PARTS
            }
            Priority::Foreground => 1,
        };
        batch_tokens.div_ceil(parts)
    }

    /// Marks what is in the batch.
    fn advance(&mut self, shares: &[Share]) {
        for share in shares {
            let progress = self.waiting.job_mut(*share);
            if progress.is_fresh() {
                self.metrics.waited(progress.begin());
            }
            progress.advance(share.n_windows);
        }
    }

    /// Gives each job its rows, and answers those that are complete.
    fn deliver(&mut self, shares: &[Share], logits: Result<Logits>) {
        let logits = match logits {
            Ok(logits) => logits.0,
            Err(error) => {
                for progress in self.waiting.remove(shares, |_| true) {
                    progress.answer(Err(error.clone()));
                }
                return;
            }
        };
        let mut row = 0;
        for share in shares {
            let rows = logits.slice(s![row..row + share.n_windows, ..]);
            self.waiting.job_mut(*share).take(rows);
            row += share.n_windows;
        }
        for progress in self.waiting.remove(shares, Progress::is_complete) {
            let computed = progress.computed();
            progress.answer(Ok(computed));
        }
    }
}

/// A batch is small below such a part of the largest.
const SMALL_PARTS: usize = 2;

/// So many batches of one key are much.
const HOGGED_BATCHES: usize = 4;
/// A batch is that many times smaller while one key has so much to do.
const HOGGED_PARTS: usize = 2;

/// A batch of the background is that many times smaller.
const BACKGROUND_PARTS: usize = 4;
