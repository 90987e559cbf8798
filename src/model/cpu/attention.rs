//! Attention over all windows, parallel over windows, heads and queries.

use std::ops::Range;

use ndarray::ArrayView2;
use ndarray::ArrayViewMut2;
use ndarray::Axis;
use ndarray::s;

use crate::model::cpu::partition::MAX_ROUNDS;
use crate::model::cpu::scratch::Pool;
use crate::model::cpu::scratch::Scratch;
use crate::model::ops::Attention;

/// The attention inputs of all windows of a batch.
#[derive(Debug)]
pub(super) struct Windows<'a> {
    /// Start of each window in the keys, then the end of the last: windows + 1 values.
    pub(super) offsets: &'a [u32],
    /// (token, hidden), or (window, hidden) if only the first token of each window is a query.
    pub(super) queries: ArrayView2<'a, f32>,
    pub(super) keys: ArrayView2<'a, f32>,   // (token, hidden)
    pub(super) values: ArrayView2<'a, f32>, // (token, hidden)
    pub(super) n_heads: usize,
    pub(super) n_threads: usize,
    /// One stack per thread.
    pub(super) scratch: &'a Pool<Scratch>,
}

/// A part of the work: some heads of some windows, or some queries of one window and head.
#[derive(Debug, Clone)]
struct Part {
    windows: Range<usize>,
    heads: Range<usize>,
    queries: Range<usize>, // rows of the query matrix
}

impl Windows<'_> {
    /// Computes attention into `output`, (query, hidden), on the threads of the current pool.
    pub(super) fn attend(&self, output: ArrayViewMut2<'_, f32>) {
        let (windows, queries) = (0..self.offsets.len() - 1, 0..output.nrows());
        let part = Part { windows, heads: 0..self.n_heads, queries };
        self.divide(part, output, self.n_threads * MAX_ROUNDS);
    }

    /// Divides the work until a part is small: by windows, then by heads. Queries are divided only
    /// while `max_parts` allows more parts, because each of these packs all keys and values.
    fn divide(&self, part: Part, output: ArrayViewMut2<'_, f32>, max_parts: usize) {
        let is_small = self.n_scores(&part) <= MIN_SCORES;
        let Part { windows, heads, queries } = part.clone();
        let (first, second, axis) = if !is_small && windows.len() > 1 {
            let [windows, others] = split(windows);
            let [queries, behind] = [&windows, &others].map(|windows| self.queries_of(windows));
            let first = Part { windows, queries, ..part.clone() };
            (first, Part { windows: others, queries: behind, ..part }, Axis(0))
        } else if !is_small && heads.len() > 1 {
            let [heads, others] = split(heads);
            (Part { heads, ..part.clone() }, Part { heads: others, ..part }, Axis(1))
        } else if !is_small && max_parts > 1 && queries.len() >= 2 * MIN_QUERIES {
            let [queries, others] = split(queries);
            (Part { queries, ..part.clone() }, Part { queries: others, ..part }, Axis(0))
        } else {
            return self.scratch.with_thread_local(|scratch| self.work(&part, output, scratch));
        };
        let n_columns = first.heads.len() * self.head_size();
        let middle = if axis == Axis(0) { first.queries.len() } else { n_columns };
        let (output, behind) = output.split_at(axis, middle);
        rayon::join(
            || self.divide(first, output, max_parts / 2),
            || self.divide(second, behind, max_parts / 2),
        );
    }

    fn work(&self, part: &Part, output: ArrayViewMut2<'_, f32>, scratch: &mut Scratch) {
        let mut output = output;
        for window in part.windows.clone() {
            let tokens = self.tokens_of(window);
            let queries = self.queries_of(&(window..window + 1));
            let queries = queries.start.max(part.queries.start)..queries.end.min(part.queries.end);
            let (own, behind) = output.split_at(Axis(0), queries.len());
            output = behind;
            Attention {
                queries: self.queries.slice_move(s![queries, ..]),
                keys: self.keys.slice_move(s![tokens.clone(), ..]),
                values: self.values.slice_move(s![tokens, ..]),
                head_size: self.head_size(),
            }
            .attend(part.heads.clone(), &mut scratch.attention, own);
        }
    }

    fn head_size(&self) -> usize {
        self.keys.ncols() / self.n_heads
    }

    /// Returns the number of attention scores to compute: one per head, query and key.
    fn n_scores(&self, part: &Part) -> usize {
        let of_head: usize = match part.windows.len() {
            1 => part.queries.len() * self.tokens_of(part.windows.start).len(),
            _ => part.windows.clone().map(|window| self.n_window_scores(window)).sum(),
        };
        of_head * part.heads.len()
    }

    fn n_window_scores(&self, window: usize) -> usize {
        self.queries_of(&(window..window + 1)).len() * self.tokens_of(window).len()
    }

    fn tokens_of(&self, window: usize) -> Range<usize> {
        self.offsets[window] as usize..self.offsets[window + 1] as usize
    }

    /// Returns the rows of the queries of some windows.
    fn queries_of(&self, windows: &Range<usize>) -> Range<usize> {
        if self.queries.nrows() == self.keys.nrows() {
            self.offsets[windows.start] as usize..self.offsets[windows.end] as usize
        } else {
            windows.clone()
        }
    }
}

fn split(range: Range<usize>) -> [Range<usize>; 2] {
    let middle = range.start.midpoint(range.end);
    [range.start..middle, middle..range.end]
}

/// About 30 microseconds of work, many times the cost of handing it to another thread.
const MIN_SCORES: usize = 50_000;

/// With this many queries, attention takes about four times as long as packing keys and values.
const MIN_QUERIES: usize = 96;
