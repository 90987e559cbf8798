//! Rows of activations in int8, with a scale and a zero point per row.
//!
//! A quantised value is round(x / scale) + zero point, from 0 to 255, so an asymmetric range of
//! activations wastes no bits.
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

/// Memory for rows of activations in int8; it grows to the size of the largest.
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

/// Memory for rows that are not quantised yet.
#[derive(Debug)]
pub struct QuantizedViewMut<'a> {
    values: &'a mut [u8],
    scales: &'a mut [RowScale],
    n_in: usize,
}

/// Quantisation parameters of a row: x = scale (q - 128 + shift).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct RowScale {
    pub(super) scale: f32,
    pub(super) shift: i32, // 128 - zero point, from -127 to 128
}

impl QuantizedRows {
    /// Returns memory for `n_rows` rows of `n_columns` columns; its previous contents are lost.
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

    /// Returns `n_rows` rows of `n_columns` columns, which were quantised part by part.
    pub fn rows(&self, n_rows: usize, n_columns: usize) -> QuantizedView<'_> {
        let n_in = n_columns.next_multiple_of(GROUP);
        let (values, scales) = (&self.values[..n_rows * n_in], &self.scales[..n_rows]);
        QuantizedView { values, scales, n_in }
    }
}

impl<'a> QuantizedViewMut<'a> {
    /// Splits off the first `row` rows.
    pub fn split_at(self, row: usize) -> (Self, Self) {
        let Self { values, scales, n_in } = self;
        let (values, values_behind) = values.split_at_mut(row * n_in);
        let (scales, scales_behind) = scales.split_at_mut(row);
        (Self { values, scales, n_in }, Self { values: values_behind, scales: scales_behind, n_in })
    }

    /// Quantises `rows`, (row, column), into this memory.
    pub fn quantize(self, rows: ArrayView2<'_, f32>) -> QuantizedView<'a> {
        let Self { values, scales, n_in } = self;
        let memory = values.chunks_exact_mut(n_in.max(1)).zip(scales.iter_mut());
        for (row, (quantized, scale)) in memory.enumerate() {
            let row = slice(&rows, row);
            *scale = RowScale::from_row(row);
            // The contents of the padding do not matter: its weights are 0.
            Quantize { row, scale: *scale, quantized }.dispatch();
        }
        QuantizedView { values, scales, n_in }
    }
}

impl QuantizedView<'_> {
    /// Returns a range of the rows.
    #[must_use]
    pub fn rows(self, rows: Range<usize>) -> Self {
        Self {
            values: &self.values[rows.start * self.n_in..rows.end * self.n_in],
            scales: &self.scales[rows],
            n_in: self.n_in,
        }
    }
}

/// Computes round(x / scale) + zero point.
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
        // A row of zeros becomes the zero point throughout; a row with NaN makes every result NaN.
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
    /// Maps the range of a row, extended to include 0, to all values from 0 to 255.
    ///
    /// The scale is not finite if a number of the row is not.
    fn from_row(row: &[f32]) -> Self {
        let (least, most) = MinMax(row).dispatch();
        let scale = (most - least) / 255.0;
        #[expect(clippy::cast_possible_truncation, reason = "0 to 255; 0 of NaN, as 0 / 0 is")]
        let zero = (-least / scale).round_ties_even() as i32;
        Self { scale, shift: 128 - zero }
    }
}

/// Computes the minimum and maximum of a row and 0; both are NaN if a number is not finite.
pub(super) struct MinMax<'a>(pub(super) &'a [f32]);

impl SimdOp for MinMax<'_> {
    type Output = (f32, f32);

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) -> (f32, f32) {
        let ops = isa.f32();
        let [mut least, mut most, mut poison] = [ops.zero(); 3];
        let mut take = |numbers: I::F32| {
            least = ops.min(least, numbers);
            most = ops.max(most, numbers);
            // 0 x is NaN exactly if x is not finite; the minimum and maximum of some processors
            // hide NaN.
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

/// Number of inputs that the processor multiplies and adds in one lane.
const GROUP: usize = Int8Kernel::GROUP;
