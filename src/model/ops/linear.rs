//! A linear layer: weights in f32 or int8, and the bias.

use std::ops::Range;

use ndarray::ArrayView2;
use ndarray::ArrayViewMut2;
use ndarray::s;

use crate::model::device::Dtype;
use crate::model::ops::activation::Activation;
use crate::model::ops::product::Packed;
use crate::model::ops::quantized::PackedInt8;
use crate::model::ops::quantized_rows::QuantizedRows;
use crate::model::ops::quantized_rows::QuantizedView;
use crate::model::parameters::Affine;

/// Weights, packed once for the processor they run on.
#[derive(Debug)]
pub enum Linear {
    F32(Packed),
    Int8(PackedInt8),
}

/// Rows in the number type that the weights need.
#[derive(Debug, Clone, Copy)]
pub enum LinearInput<'a> {
    F32(ArrayView2<'a, f32>),
    Int8(QuantizedView<'a>),
}

impl LinearInput<'_> {
    /// Returns a range of the rows.
    #[must_use]
    pub fn rows(self, rows: Range<usize>) -> Self {
        match self {
            Self::F32(all) => Self::F32(all.slice_move(s![rows, ..])),
            Self::Int8(all) => Self::Int8(all.rows(rows)),
        }
    }
}

impl Linear {
    /// Packs weights for products in `dtype`.
    pub fn pack(parameters: &Affine, dtype: Dtype) -> Self {
        let Affine { weight, bias } = parameters;
        match dtype {
            Dtype::F32 => Self::F32(Packed::new(weight, bias)),
            Dtype::Int8 => Self::Int8(PackedInt8::new(weight, bias)),
        }
    }

    pub fn n_out(&self) -> usize {
        match self {
            Self::F32(packed) => packed.n_out,
            Self::Int8(packed) => packed.n_out,
        }
    }

    /// Returns the number of columns that are computed together.
    pub fn panel_columns(&self) -> usize {
        match self {
            Self::F32(packed) => packed.panel_columns(),
            Self::Int8(packed) => packed.panel_columns(),
        }
    }

    /// Returns the work of one row times one panel, in f32 multiplications: a core does about four
    /// times as many in int8 (`benches/ops.rs`).
    pub fn panel_work(&self) -> usize {
        match self {
            Self::F32(packed) => packed.panel_len(),
            Self::Int8(packed) => packed.panel_len().div_ceil(4),
        }
    }

    /// Prepares rows for [`Linear::multiply`]: quantises them if the weights are int8.
    pub fn input<'a>(
        &self,
        rows: ArrayView2<'a, f32>,
        buffer: &'a mut QuantizedRows,
    ) -> LinearInput<'a> {
        match self {
            Self::F32(_) => LinearInput::F32(rows),
            Self::Int8(_) => {
                let (n_rows, n_columns) = rows.dim();
                LinearInput::Int8(buffer.rows_mut(n_rows, n_columns).quantize(rows))
            }
        }
    }

    /// Computes `activation(input x weights + bias)` for the columns of some panels, (row, column).
    pub fn multiply(
        &self,
        input: LinearInput<'_>,
        panels: Range<usize>,
        activation: Activation,
        output: ArrayViewMut2<'_, f32>,
    ) {
        match (self, input) {
            (Self::F32(packed), LinearInput::F32(rows)) => {
                packed.multiply(rows, panels, activation, output);
            }
            (Self::Int8(packed), LinearInput::Int8(rows)) => {
                packed.multiply(rows, panels, activation, output);
            }
            _ => unreachable!("the input was made by the same layer"),
        }
    }
}
