//! Layer normalisation, fused with the preceding residual sum.
#![expect(clippy::inline_always, reason = "code that is not inlined loses the SIMD of its caller")]

use ndarray::ArrayView2;
use ndarray::ArrayViewMut2;
use rten_simd::Isa;
use rten_simd::SimdOp;
use rten_simd::ops::BitOps;
use rten_simd::ops::NumOps;

use crate::model::ops::panel::slice;
use crate::model::ops::panel::slice_mut;
use crate::model::parameters::Norm;

/// Layer normalisation of each row: (x - mean) / sqrt(variance + eps) x weight + bias.
#[derive(Debug)]
pub struct LayerNorm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    eps: f32,
}

impl LayerNorm {
    pub fn new(parameters: Norm, eps: f64) -> Self {
        let Norm { weight, bias } = parameters;
        #[expect(clippy::cast_possible_truncation, reason = "what is computed with is f32")]
        Self { weight, bias, eps: eps as f32 }
    }

    /// Normalises `rows + residual` in place of `rows`; both are (row, column).
    pub fn add_and_normalize(&self, rows: ArrayViewMut2<'_, f32>, residual: ArrayView2<'_, f32>) {
        AddAndNormalize { norm: self, rows, residual }.dispatch();
    }

    /// Normalises one row.
    #[inline(always)]
    pub(super) fn normalize<I: Isa>(&self, isa: I, row: &mut [f32]) {
        let ops = isa.f32();
        let n_columns = row.len() as f32;
        let mean = sum(isa, row) / n_columns;
        let mut sums = ops.zero();
        let splat = ops.splat(mean);
        let mut chunks = row.chunks_exact_mut(ops.len());
        for chunk in &mut chunks {
            let difference = ops.sub(ops.load(chunk), splat);
            ops.store(difference, chunk);
            sums = ops.mul_add(difference, difference, sums);
        }
        let mut square = ops.sum(sums);
        for value in chunks.into_remainder() {
            *value -= mean;
            square += *value * *value;
        }
        let scale = (square / n_columns + self.eps).sqrt().recip();
        self.scale(isa, row, scale);
    }

    /// Computes `row x scale x weight + bias` in place.
    #[inline(always)]
    fn scale<I: Isa>(&self, isa: I, row: &mut [f32], scale: f32) {
        let ops = isa.f32();
        let splat = ops.splat(scale);
        let (weight, weight_tail) =
            (self.weight.chunks_exact(ops.len()), self.weight.chunks_exact(ops.len()).remainder());
        let (bias, bias_tail) =
            (self.bias.chunks_exact(ops.len()), self.bias.chunks_exact(ops.len()).remainder());
        let mut chunks = row.chunks_exact_mut(ops.len());
        for ((chunk, weight), bias) in (&mut chunks).zip(weight).zip(bias) {
            let scaled = ops.mul(ops.load(chunk), splat);
            ops.store(ops.mul_add(scaled, ops.load(weight), ops.load(bias)), chunk);
        }
        let tail = chunks.into_remainder().iter_mut();
        for ((value, weight), bias) in tail.zip(weight_tail).zip(bias_tail) {
            *value = *value * scale * weight + bias;
        }
    }
}

#[inline(always)]
fn sum<I: Isa>(isa: I, row: &[f32]) -> f32 {
    let ops = isa.f32();
    let chunks = row.chunks_exact(ops.len());
    let tail: f32 = chunks.remainder().iter().sum();
    let mut sums = ops.zero();
    for chunk in chunks {
        sums = ops.add(sums, ops.load(chunk));
    }
    tail + ops.sum(sums)
}

struct AddAndNormalize<'a> {
    norm: &'a LayerNorm,
    rows: ArrayViewMut2<'a, f32>,
    residual: ArrayView2<'a, f32>,
}

impl SimdOp for AddAndNormalize<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(mut self, isa: I) {
        for row in 0..self.rows.nrows() {
            let values = slice_mut(&mut self.rows, row);
            for (value, addend) in values.iter_mut().zip(slice(&self.residual, row)) {
                *value += addend;
            }
            self.norm.normalize(isa, values);
        }
    }
}
