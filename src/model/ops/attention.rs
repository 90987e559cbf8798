//! Scaled dot-product attention, for one window at a time.
#![expect(clippy::inline_always, reason = "code that is not inlined loses the SIMD of its caller")]

use std::ops::Range;

use ndarray::ArrayView2;
use ndarray::ArrayViewMut2;
use ndarray::Axis;
use ndarray::s;
use rten_simd::Isa;
use rten_simd::SimdOp;
use rten_simd::ops::BitOps;
use rten_simd::ops::NumOps;

use crate::model::ops::exp::exp;
use crate::model::ops::kernel::F32Kernel;
use crate::model::ops::kernel::F32Tile;
use crate::model::ops::panel;

/// Queries, keys and values of one window: (token, head x column) each.
///
/// There may be fewer queries than keys: the last layer has queries for the first token only.
#[derive(Debug, Clone, Copy)]
pub struct Attention<'a> {
    pub queries: ArrayView2<'a, f32>,
    pub keys: ArrayView2<'a, f32>,
    pub values: ArrayView2<'a, f32>,
    pub head_size: usize,
}

/// Memory that is reused for each head.
#[derive(Debug)]
pub struct AttentionScratch {
    kernel: F32Kernel,
    keys: Vec<f32>, // panels of tokens, divided by sqrt(head size): (panel, column, token)
    values: Vec<f32>, // panels of columns: (panel, token, column)
    scores: Vec<f32>, // of a block: (query, token), rows padded to whole panels
}

impl Attention<'_> {
    /// Computes softmax(Q K^T / sqrt(head size)) V for some heads, (query, column of these heads).
    pub fn attend(
        &self,
        heads: Range<usize>,
        scratch: &mut AttentionScratch,
        mut output: ArrayViewMut2<'_, f32>,
    ) {
        for (place, head) in heads.enumerate() {
            let columns = s![.., head * self.head_size..(head + 1) * self.head_size];
            scratch.pack_keys(self.keys.slice(columns));
            scratch.pack_values(self.values.slice(columns));
            let queries = self.queries.slice(columns);
            for first in (0..queries.nrows()).step_by(BLOCK_QUERIES) {
                let block = first..(first + BLOCK_QUERIES).min(queries.nrows());
                let columns = place * self.head_size..(place + 1) * self.head_size;
                let output = output.slice_mut(s![block.clone(), columns]);
                scratch.attend(queries.slice(s![block, ..]), self.keys.nrows(), output);
            }
        }
    }
}

impl AttentionScratch {
    /// Packs the keys of a head, (token, column).
    fn pack_keys(&mut self, keys: ArrayView2<'_, f32>) {
        let width = self.kernel.panel_columns();
        let (n_tokens, head_size) = keys.dim();
        // Padding after the last token is not cleared: the scores computed from it are never read.
        self.keys.resize(n_tokens.next_multiple_of(width) * head_size, 0.0);
        let scale = (head_size as f32).sqrt().recip();
        for (place, panel) in self.keys.chunks_exact_mut(width * head_size).enumerate() {
            let tokens = panel::columns(place, width, n_tokens);
            let keys = keys.slice(s![tokens, ..]);
            for (place, keys) in keys.axis_chunks_iter(Axis(0), 4).enumerate() {
                // Four tokens at a time, with one store instead of four; if fewer are left, the
                // last repeats.
                let key = |token: usize| panel::slice(&keys, token.min(keys.nrows() - 1));
                let (first, second, third, fourth) = (key(0), key(1), key(2), key(3));
                for (column, row) in panel.chunks_exact_mut(width).enumerate() {
                    row[4 * place..4 * place + 4].copy_from_slice(&[
                        first[column] * scale,
                        second[column] * scale,
                        third[column] * scale,
                        fourth[column] * scale,
                    ]);
                }
            }
        }
    }

    /// Packs the values of a head, (token, column).
    fn pack_values(&mut self, values: ArrayView2<'_, f32>) {
        let width = self.kernel.panel_columns();
        let (n_tokens, head_size) = values.dim();
        self.values.resize(head_size.next_multiple_of(width) * n_tokens, 0.0);
        for (place, panel) in self.values.chunks_exact_mut(width * n_tokens).enumerate() {
            let columns = panel::columns(place, width, head_size);
            for (token, row) in panel.chunks_exact_mut(width).enumerate() {
                let value = panel::slice(&values, token);
                // In chunks of a fixed length, which are copied without a function call.
                let (to, to_tail) = row[..columns.len()].as_chunks_mut::<16>();
                let (from, from_tail) = value[columns.clone()].as_chunks::<16>();
                for (to, from) in to.iter_mut().zip(from) {
                    *to = *from;
                }
                to_tail.copy_from_slice(from_tail);
            }
        }
    }

    /// Computes the context, (query, column), of a block of queries of a head, (query, column).
    fn attend(
        &mut self,
        queries: ArrayView2<'_, f32>,
        n_keys: usize,
        mut output: ArrayViewMut2<'_, f32>,
    ) {
        let Self { kernel, keys, values, scores } = self;
        let (width, head_size) = (kernel.panel_columns(), queries.ncols());
        let start = &ZEROS[..width];
        let shape = (queries.nrows(), n_keys.next_multiple_of(width));
        scores.resize(BLOCK_QUERIES * shape.1, 0.0);
        let scores = &mut scores[..shape.0 * shape.1];
        let mut scores = ArrayViewMut2::from_shape(shape, scores).expect("it was made to fit");
        for (place, panel) in keys.chunks_exact(width * head_size).enumerate() {
            let output = scores.slice_mut(s![.., place * width..(place + 1) * width]);
            kernel.multiply(F32Tile { rows: queries.view(), panel, start, output });
        }
        let mut sums = [0.0; BLOCK_QUERIES];
        Softmax { scores: scores.view_mut(), n_keys, sums: &mut sums }.dispatch();
        let scores = scores.slice_move(s![.., ..n_keys]);
        for (place, panel) in values.chunks_exact(width * n_keys).enumerate() {
            let output = output.slice_mut(s![.., panel::columns(place, width, head_size)]);
            panel::multiply(*kernel, F32Tile { rows: scores.view(), panel, start, output });
        }
        for (mut row, sum) in output.rows_mut().into_iter().zip(sums) {
            let scale = sum.recip();
            row.iter_mut().for_each(|value| *value *= scale);
        }
    }
}

impl Default for AttentionScratch {
    fn default() -> Self {
        let kernel = F32Kernel::detect();
        Self { kernel, keys: Vec::new(), values: Vec::new(), scores: Vec::new() }
    }
}

/// Computes exp(score - maximum of the row), not yet divided by the sum of the row.
struct Softmax<'a> {
    scores: ArrayViewMut2<'a, f32>, // (query, token), padded to whole panels
    n_keys: usize,
    sums: &'a mut [f32], // one per row
}

impl SimdOp for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(mut self, isa: I) {
        let ops = isa.f32();
        for row in 0..self.scores.nrows() {
            let scores = panel::slice_mut(&mut self.scores, row);
            scores[self.n_keys..].fill(f32::NEG_INFINITY); // the exp is almost 0
            let mut most = ops.splat(f32::NEG_INFINITY);
            for chunk in scores.chunks_exact(ops.len()) {
                most = ops.max(most, ops.load(chunk));
            }
            let most = ops.fold_splat(most, f32::NEG_INFINITY, f32::max);
            // The maximum may miss a NaN, but the exp of NaN is NaN, and so is the sum.
            let mut sums = ops.zero();
            for chunk in scores.chunks_exact_mut(ops.len()) {
                let weight = exp(isa, ops.sub(ops.load(chunk), most));
                sums = ops.add(sums, weight);
                ops.store(weight, chunk);
            }
            self.sums[row] = ops.sum(sums);
        }
    }
}

/// Queries whose scores are in memory together, 48 KiB with 512 tokens; a multiple of every tile
/// height.
const BLOCK_QUERIES: usize = 24;

/// Initial sums of a panel.
const ZEROS: [f32; F32Kernel::MAX_COLUMNS] = [0.0; F32Kernel::MAX_COLUMNS];
