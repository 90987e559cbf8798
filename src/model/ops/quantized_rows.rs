//! Rows of activations in int8, with a scale and a zero for each.
//!
//! A number is round(x / scale) + zero, from 0 to 255, which spends no bits on the side where an
//! activation has nothing.
#![expect(clippy::inline_always, reason = "code that is not inlined loses the SIMD of its caller")]

use std::ops::Range;

use ndarray::ArrayView2;
use rten_simd::Isa;
use rten_simd::Simd;
use rten_simd::SimdOp;
use rten_simd::ops::BitOps;
use rten_simd::ops::FloatOps;
use rten_simd::ops::NarrowSaturate;
use rten_simd::ops::NumOps;

use crate::model::ops::kernel::Int8Kernel;
use crate::model::ops::panel::slice;

/// Memory for rows of activations in int8; it grows with the largest.
#[derive(Debug, Default)]
pub struct QuantizedRows {
    values: Vec<u8>, // rows padded to whole groups
    scales: Vec<RowScale>,
}

/// Rows of activations in int8.
#[derive(Debug, Clone, Copy)]
pub struct QuantizedView<'a> {
    pub(super) values: &'a [u8], // rows padded to whole groups
    pub(super) scales: &'a [RowScale],
    n_in: usize, // padded
}

/// Rows that are not quantised yet.
#[derive(Debug)]
pub struct QuantizedViewMut<'a> {
    values: &'a mut [u8],
    scales: &'a mut [RowScale],
    n_in: usize,
}

/// What the numbers of a row stand for: x = scale (q - 128 + shift).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct RowScale {
    pub(super) scale: f32,
    pub(super) shift: i32, // 128 - zero, from -127 to 128
}

impl QuantizedRows {
    /// Memory for so many rows, of so many columns; what it held before is lost.
    pub fn rows_mut(&mut self, n_rows: usize, n_columns: usize) -> QuantizedViewMut<'_> {
        let n_in = n_columns.next_multiple_of(GROUP);
        if self.values.len() < n_rows * n_in {
            self.values.resize(n_rows * n_in, 0);
        }
        if self.scales.len() < n_rows {
            self.scales.resize(n_rows, RowScale::default());
        }
        let (values, scales) = (&mut self.values[..n_rows * n_in], &mut self.scales[..n_rows]);
        QuantizedViewMut { values, scales, n_in }
    }

    /// So many rows, of so many columns, that were quantised part by part.
    pub fn rows(&self, n_rows: usize, n_columns: usize) -> QuantizedView<'_> {
        let n_in = n_columns.next_multiple_of(GROUP);
        let (values, scales) = (&self.values[..n_rows * n_in], &self.scales[..n_rows]);
        QuantizedView { values, scales, n_in }
    }
}

impl<'a> QuantizedViewMut<'a> {
    /// The first rows and the others.
    pub fn split_at(self, row: usize) -> (Self, Self) {
        let Self { values, scales, n_in } = self;
        let (values, values_behind) = values.split_at_mut(row * n_in);
        let (scales, scales_behind) = scales.split_at_mut(row);
        (Self { values, scales, n_in }, Self { values: values_behind, scales: scales_behind, n_in })
    }

    /// Quantises rows, (row, column), into these.
    pub fn quantize(self, rows: ArrayView2<'_, f32>) -> QuantizedView<'a> {
        let Self { values, scales, n_in } = self;
        let memory = values.chunks_exact_mut(n_in.max(1)).zip(scales.iter_mut());
        for (row, (quantized, scale)) in memory.enumerate() {
            let row = slice(&rows, row);
            *scale = RowScale::of(row);
            // What is in the padding does not matter: its weights are 0.
            Quantize { row, scale: *scale, quantized }.dispatch();
        }
        QuantizedView { values, scales, n_in }
    }
}

impl QuantizedView<'_> {
    /// Some of the rows.
    #[must_use]
    pub fn rows(self, rows: Range<usize>) -> Self {
        Self {
            values: &self.values[rows.start * self.n_in..rows.end * self.n_in],
            scales: &self.scales[rows],
            n_in: self.n_in,
        }
    }
}

/// round(x / scale) + zero.
struct Quantize<'a> {
    row: &'a [f32],
    scale: RowScale,
    quantized: &'a mut [u8],
}

impl SimdOp for Quantize<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let RowScale { scale, shift } = self.scale;
        // Of a row of zeros every number is zero; of one with NaN every result will be NaN.
        let inverse = if scale > 0.0 { scale.recip() } else { 0.0 };
        let zero = 128 - shift;
        let (ops, integers, shorts) = (isa.f32(), isa.i32(), isa.i16());
        let (inverses, zeros) = (ops.splat(inverse), integers.splat(zero));
        let mut inputs = self.row.chunks_exact(4 * ops.len());
        let mut outputs = self.quantized.chunks_exact_mut(4 * ops.len());
        for (input, output) in (&mut inputs).zip(&mut outputs) {
            let mut parts = [zeros; 4];
            for part in 0..4 {
                let scaled = ops.mul(ops.load(&input[part * ops.len()..]), inverses);
                parts[part] = integers.add(ops.to_int_round(scaled), zeros);
            }
            let low = integers.narrow_saturate(parts[0], parts[1]);
            let high = integers.narrow_saturate(parts[2], parts[3]);
            isa.u8().store(shorts.narrow_saturate(low, high), output);
        }
        let done = self.row.len() - inputs.remainder().len();
        for (input, output) in self.row[done..].iter().zip(&mut self.quantized[done..]) {
            #[expect(clippy::cast_possible_truncation, reason = "both saturate")]
            let rounded = (input * inverse).round_ties_even() as i32;
            #[expect(clippy::cast_sign_loss, reason = "clamped")]
            let clamped = rounded.saturating_add(zero).clamp(0, 255) as u8;
            *output = clamped;
        }
    }
}

impl RowScale {
    /// Spreads the range of a row, 0 included, over all numbers.
    ///
    /// The scale is infinite or NaN if a number of the row is.
    fn of(row: &[f32]) -> Self {
        let (least, most) = Span(row).dispatch();
        let scale = (most - least) / 255.0;
        #[expect(clippy::cast_possible_truncation, reason = "0 to 255; 0 of NaN, as 0 / 0 is")]
        let zero = (-least / scale).round_ties_even() as i32;
        Self { scale, shift: 128 - zero }
    }
}

/// The least and the largest number of a row, 0 included; NaN if one is not finite.
pub(super) struct Span<'a>(pub(super) &'a [f32]);

impl SimdOp for Span<'_> {
    type Output = (f32, f32);

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) -> (f32, f32) {
        let ops = isa.f32();
        let [mut least, mut most, mut poison] = [ops.zero(); 3];
        let mut take = |numbers: I::F32| {
            least = ops.min(least, numbers);
            most = ops.max(most, numbers);
            // 0 x is NaN exactly if x is not finite; of minimum and maximum some hide NaN.
            poison = ops.mul_add(numbers, ops.zero(), poison);
        };
        let chunks = self.0.chunks_exact(ops.len());
        take(ops.load_pad(chunks.remainder()).0);
        chunks.for_each(
            #[inline(always)]
            |chunk| take(ops.load(chunk)),
        );
        let poison: f32 = ops.sum(poison);
        let least = least.to_array().into_iter().fold(0.0, f32::min);
        let most = most.to_array().into_iter().fold(0.0, f32::max);
        (least + poison, most + poison)
    }
}

/// Inputs that the processor multiplies and adds in one lane.
const GROUP: usize = Int8Kernel::GROUP;
