//! A request on its way through the batches.

use std::time::Duration;
use std::time::Instant;

use ndarray::Array2;
use ndarray::ArrayView2;
use ndarray::Axis;

use crate::encode::Window;
use crate::engine::queue::Computed;
use crate::engine::queue::Job;
use crate::error::Result;
use crate::model::Logits;

/// A job and how far it has come.
pub(super) struct Progress {
    pub(super) job: Job,
    /// When its turn is among the jobs of one line.
    pub(super) due: Instant,
    began: Instant, // its first batch, once there is one
    n_packed: usize,
    done: Vec<Array2<f32>>, // logits so far, a part a batch
}

impl Progress {
    /// A short request overtakes a long one that came a little earlier; nobody is overtaken for
    /// ever, since what comes later is due later.
    pub(super) fn new(job: Job) -> Self {
        let n_tokens: usize = job.windows.iter().map(|window| window.ids.len()).sum();
        let delay = DELAY_PER_TOKEN.saturating_mul(u32::try_from(n_tokens).unwrap_or(u32::MAX));
        let due = job.admitted + delay;
        Self { began: job.admitted, job, due, n_packed: 0, done: Vec::new() }
    }

    /// The windows that no batch has had yet.
    pub(super) fn pending(&self) -> &[Window] {
        &self.job.windows[self.n_packed..]
    }

    /// Whether none of its windows was packed yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.n_packed == 0
    }

    /// Takes down that its first batch begins, and says how long it waited for that.
    pub(super) fn begin(&mut self) -> Duration {
        self.began = Instant::now();
        self.began - self.job.admitted
    }

    /// Marks so many windows as packed and gives back their room.
    pub(super) fn advance(&mut self, n_windows: usize) {
        let n_tokens = self.pending()[..n_windows].iter().map(|window| window.ids.len()).sum();
        self.job.room.give_back(n_tokens);
        self.n_packed += n_windows;
    }

    /// Takes the rows of windows that were packed.
    pub(super) fn take(&mut self, rows: ArrayView2<'_, f32>) {
        self.done.push(rows.to_owned());
    }

    /// Whether there is a row for every window.
    pub(super) fn is_complete(&self) -> bool {
        self.done.iter().map(Array2::nrows).sum::<usize>() == self.job.windows.len()
    }

    /// All rows, in order of the windows, and when they were computed.
    pub(super) fn computed(&self) -> Computed {
        let parts: Vec<ArrayView2<'_, f32>> = self.done.iter().map(|part| part.view()).collect();
        let rows = ndarray::concatenate(Axis(0), &parts);
        let logits = Logits(rows.expect("parts are rows of one head, and a job has at least one"));
        let (admitted, began) = (self.job.admitted, self.began);
        Computed { logits, admitted, began, ended: Instant::now() }
    }

    /// Ends it; a client that has just gone takes nothing.
    pub(super) fn answer(self, computed: Result<Computed>) {
        let _ = self.job.reply.send(computed);
    }
}

/// What a token costs on one CPU core: a request waits for shorter ones as long as it takes itself.
const DELAY_PER_TOKEN: Duration = Duration::from_micros(100);
