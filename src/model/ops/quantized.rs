//! Products in int8: weights with a scale per output, rows with a scale and a zero point per row.
//!
//! A quantised weight is round(w / scale), from -127 to 127. Sums of products are exact in i32 on
//! every processor, so scores differ between processors only by the f32 arithmetic around the
//! products.
#![expect(clippy::inline_always, reason = "code that is not inlined loses the SIMD of its caller")]

use std::ops::Range;

use ndarray::ArrayViewMut2;
use ndarray::Axis;
use ndarray::s;
use rten_simd::Isa;
use rten_simd::Simd;
use rten_simd::SimdOp;
use rten_simd::ops::BitOps;
use rten_simd::ops::NumOps;
use rten_simd::ops::ToFloat;

use crate::model::ops::activation::Activation;
use crate::model::ops::kernel::Int8Kernel;
use crate::model::ops::kernel::Int8Tile;
use crate::model::ops::panel;
use crate::model::ops::panel::slice_mut;
use crate::model::ops::quantized_rows::MinMax;
use crate::model::ops::quantized_rows::QuantizedView;
use crate::model::ops::quantized_rows::RowScale;

/// Int8 weights in panels of columns, with the values that convert sums to f32.
#[derive(Debug)]
pub struct PackedInt8 {
    pub(super) n_out: usize,
    kernel: Int8Kernel,
    n_in: usize,     // padded to whole groups
    panels: Vec<i8>, // (panel, group of inputs, column, input of the group)
    // By column, padded to whole panels:
    totals: Vec<i32>,  // the sum of the weights
    offsets: Vec<i32>, // -128 times the total
    scales: Vec<f32>,
    bias: Vec<f32>,
}

impl PackedInt8 {
    /// Quantises and packs weights of shape (out, in).
    pub(super) fn new(weight: &[f32], bias: &[f32]) -> Self {
        Self::with_kernel(Int8Kernel::detect(), weight, bias)
    }

    fn with_kernel(kernel: Int8Kernel, weight: &[f32], bias: &[f32]) -> Self {
        let (n_out, width) = (bias.len(), kernel.panel_columns());
        let n_columns = n_out.next_multiple_of(width);
        let row_len = weight.len() / n_out.max(1);
        let n_in = row_len.next_multiple_of(GROUP);
        let mut packed = Self {
            n_out,
            kernel,
            n_in,
            panels: vec![0; n_columns * n_in],
            totals: vec![0; n_columns],
            offsets: vec![0; n_columns],
            scales: vec![0.0; n_columns],
            bias: bias.to_vec(),
        };
        packed.bias.resize(n_columns, 0.0);
        for (column, row) in weight.chunks_exact(row_len.max(1)).enumerate() {
            packed.fill(column, row);
        }
        packed
    }

    fn fill(&mut self, column: usize, row: &[f32]) {
        let width = self.kernel.panel_columns();
        let panel = &mut self.panels[column / width * width * self.n_in..][..width * self.n_in];
        let (least, most) = MinMax(row).dispatch();
        let scale = most.max(-least) / 127.0;
        let mut total = 0;
        for (place, value) in row.iter().enumerate() {
            #[expect(clippy::cast_possible_truncation, reason = "from -127 to 127, NaN becomes 0")]
            let quantized = (value / scale).round_ties_even() as i8;
            panel[(place / GROUP * width + column % width) * GROUP + place % GROUP] = quantized;
            total += i32::from(quantized);
        }
        self.totals[column] = total;
        self.offsets[column] = -128 * total;
        self.scales[column] = scale;
    }

    pub(super) fn panel_columns(&self) -> usize {
        self.kernel.panel_columns()
    }

    /// Returns the number of weights in a panel.
    pub(super) fn panel_len(&self) -> usize {
        self.panel_columns() * self.n_in
    }

    /// Computes `activation(input x weights + bias)` for the columns of some panels.
    pub(super) fn multiply(
        &self,
        input: QuantizedView<'_>,
        panels: Range<usize>,
        activation: Activation,
        mut output: ArrayViewMut2<'_, f32>,
    ) {
        let (width, n_columns) = (self.panel_columns(), output.ncols());
        let stride = panel::GROUP_PANELS * width;
        let mut sums = [0; BLOCK_ROWS * panel::GROUP_PANELS * Int8Kernel::MAX_COLUMNS];
        for first in panels.clone().step_by(panel::GROUP_PANELS) {
            let group = first..(first + panel::GROUP_PANELS).min(panels.end);
            let place = (first - panels.start) * width;
            let mut output =
                output.slice_mut(s![.., place..(place + group.len() * width).min(n_columns)]);
            let columns = group.start * width..group.end * width;
            let columns = Columns {
                totals: &self.totals[columns.clone()],
                scales: &self.scales[columns.clone()],
                bias: &self.bias[columns],
            };
            let blocks = output.axis_chunks_iter_mut(Axis(0), BLOCK_ROWS);
            let rows = input.values.chunks(BLOCK_ROWS * self.n_in);
            for ((rows, scales), output) in rows.zip(input.scales.chunks(BLOCK_ROWS)).zip(blocks) {
                for (place, panel) in group.clone().enumerate() {
                    let weights = &self.panels[panel * self.panel_len()..][..self.panel_len()];
                    let offsets = &self.offsets[panel * width..][..width];
                    let (n_in, sums) = (self.n_in, &mut sums[place * width..]);
                    self.kernel.multiply(Int8Tile { rows, n_in, weights, offsets, sums, stride });
                }
                Dequantize { sums: &sums, stride, rows: scales, columns, output }.dispatch();
            }
            activation.apply(output);
        }
    }
}

/// The values that convert the sums of panels to f32, by column.
#[derive(Clone, Copy)]
struct Columns<'a> {
    totals: &'a [i32],
    scales: &'a [f32],
    bias: &'a [f32],
}

/// Converts sums to f32 and adds the bias.
struct Dequantize<'a> {
    sums: &'a [i32], // (row, column), rows `stride` apart
    stride: usize,
    rows: &'a [RowScale],
    columns: Columns<'a>,
    output: ArrayViewMut2<'a, f32>, // (row, column), the last panel may be partial
}

impl SimdOp for Dequantize<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let Self { sums, stride, rows, columns: Columns { totals, scales, bias }, mut output } =
            self;
        let (ops, integers) = (isa.f32(), isa.i32());
        for (row, scale) in rows.iter().enumerate() {
            let sums = &sums[row * stride..][..bias.len()];
            let (row_scale, shift) = (ops.splat(scale.scale), integers.splat(scale.shift));
            let output = slice_mut(&mut output, row);
            for (place, output) in output.chunks_mut(ops.len()).enumerate() {
                let first = place * ops.len();
                let shift = integers.mul(shift, integers.load(&totals[first..]));
                let sum = integers.add(integers.load(&sums[first..]), shift);
                let scale = ops.mul(row_scale, ops.load(&scales[first..]));
                let value = ops.mul_add(integers.to_float(sum), scale, ops.load(&bias[first..]));
                if output.len() == ops.len() {
                    ops.store(value, output);
                } else {
                    output.copy_from_slice(&value.to_array().as_ref()[..output.len()]);
                }
            }
        }
    }
}

/// Rows whose sums are in memory together, 12 KiB; a multiple of every tile height.
const BLOCK_ROWS: usize = 24;

/// Number of inputs that the processor multiplies and adds in one lane.
const GROUP: usize = Int8Kernel::GROUP;
