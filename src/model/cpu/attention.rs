//! Attention over all windows, divided by windows and by heads.

use std::ops::Range;
use std::sync::Mutex;

use ndarray::ArrayView2;
use ndarray::ArrayViewMut2;
use ndarray::Axis;
use ndarray::s;

use crate::model::cpu::layer::Worker;
use crate::model::ops::Attention;

/// The windows of a batch, as attention sees them.
#[derive(Debug)]
pub(super) struct Windows<'a> {
    /// Where each window starts in the keys, and after the last where it ends.
    pub(super) offsets: &'a [u32],
    /// (token, hidden), or (window, hidden) if only the first token of each asks.
    pub(super) queries: ArrayView2<'a, f32>,
    pub(super) keys: ArrayView2<'a, f32>,   // (token, hidden)
    pub(super) values: ArrayView2<'a, f32>, // (token, hidden)
    pub(super) n_heads: usize,
    pub(super) workers: &'a [Mutex<Worker>],
}

impl Windows<'_> {
    /// Fills the output, (query, hidden), on the threads of the pool it is called in.
    pub(super) fn attend(&self, output: ArrayViewMut2<'_, f32>) {
        self.divide(0..self.offsets.len() - 1, 0..self.n_heads, output);
    }

    /// Divides the work until a part is small, first by windows, then by heads.
    fn divide(&self, windows: Range<usize>, heads: Range<usize>, output: ArrayViewMut2<'_, f32>) {
        let n_scores: usize = windows.clone().map(|window| self.n_scores(window)).sum();
        let is_small = n_scores * heads.len() <= FEWEST_SCORES;
        if !is_small && windows.len() > 1 {
            let middle = windows.start.midpoint(windows.end);
            let n_queries = self.queries_of(middle).start - self.queries_of(windows.start).start;
            let (output, output_behind) = output.split_at(Axis(0), n_queries);
            rayon::join(
                || self.divide(windows.start..middle, heads.clone(), output),
                || self.divide(middle..windows.end, heads.clone(), output_behind),
            );
        } else if !is_small && heads.len() > 1 {
            let middle = heads.start.midpoint(heads.end);
            let n_columns = (middle - heads.start) * self.head_size();
            let (output, output_behind) = output.split_at(Axis(1), n_columns);
            rayon::join(
                || self.divide(windows.clone(), heads.start..middle, output),
                || self.divide(windows.clone(), middle..heads.end, output_behind),
            );
        } else {
            self.work(windows, &heads, output);
        }
    }

    fn work(&self, windows: Range<usize>, heads: &Range<usize>, output: ArrayViewMut2<'_, f32>) {
        let mut worker = Worker::mine(self.workers);
        let mut output = output;
        for window in windows {
            let (queries, tokens) = (self.queries_of(window), self.tokens_of(window));
            let (own, behind) = output.split_at(Axis(0), queries.len());
            output = behind;
            Attention {
                queries: self.queries.slice_move(s![queries, ..]),
                keys: self.keys.slice_move(s![tokens.clone(), ..]),
                values: self.values.slice_move(s![tokens, ..]),
                head_size: self.head_size(),
            }
            .attend(heads.clone(), &mut worker.attention, own);
        }
    }

    fn head_size(&self) -> usize {
        self.keys.ncols() / self.n_heads
    }

    fn n_scores(&self, window: usize) -> usize {
        self.queries_of(window).len() * self.tokens_of(window).len()
    }

    fn tokens_of(&self, window: usize) -> Range<usize> {
        self.offsets[window] as usize..self.offsets[window + 1] as usize
    }

    fn queries_of(&self, window: usize) -> Range<usize> {
        if self.queries.nrows() == self.keys.nrows() {
            self.tokens_of(window)
        } else {
            window..window + 1
        }
    }
}

/// About 30 microseconds of work, many times what it costs to hand it to another thread.
const FEWEST_SCORES: usize = 50_000;
