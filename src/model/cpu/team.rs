//! Operations that the threads of a team share.

use std::ops::Range;

use ndarray::ArrayView2;
use ndarray::ArrayViewMut2;
use ndarray::Axis;
use ndarray::s;
use rayon::iter::IndexedParallelIterator;
use rayon::iter::IntoParallelIterator;
use rayon::iter::ParallelIterator;

use crate::model::cpu::partition::MAX_BLOCK_ROWS;
use crate::model::cpu::partition::Partition;
use crate::model::cpu::partition::Product;
use crate::model::cpu::partition::Team;
use crate::model::ops::Activation;
use crate::model::ops::Embeddings;
use crate::model::ops::LayerNorm;
use crate::model::ops::Linear;
use crate::model::ops::LinearInput;
use crate::model::ops::QuantizedRows;

/// `output = activation(rows x weights + bias)`.
#[derive(Debug)]
pub(super) struct Gemm<'a> {
    pub(super) linear: &'a Linear,
    pub(super) rows: ArrayView2<'a, f32>, // (row, in)
    pub(super) activation: Activation,
    pub(super) output: ArrayViewMut2<'a, f32>, // (row, out)
}

/// A part of a product: some rows times some panels.
struct Part<'a> {
    input: LinearInput<'a>,
    panels: Range<usize>,
    output: ArrayViewMut2<'a, f32>,
}

impl Team {
    /// Computes a product; `buffer` holds the quantised rows if the weights are int8.
    pub(super) fn multiply(self, gemm: Gemm<'_>, buffer: &mut QuantizedRows) {
        let Gemm { linear, rows, activation, output } = gemm;
        let n_panels = linear.n_out().div_ceil(linear.panel_columns());
        let product = Product {
            n_rows: rows.nrows(),
            n_panels,
            panel_columns: linear.panel_columns(),
            panel_work: linear.panel_work(),
        };
        let input = self.input(linear, rows, buffer);
        let partition = Partition::new(product, self);
        if partition.n_parts() == 1 {
            return Part { input, panels: 0..n_panels, output }.multiply(linear, activation);
        }
        let (rows, panels) = (partition.rows(product.n_rows), partition.panels(n_panels));
        let columns = panels.clone().map(|panels| panels.len() * linear.panel_columns());
        let mut parts = Vec::with_capacity(partition.n_parts());
        for (rows, output) in rows.clone().zip(cut(output, Axis(0), rows.map(|rows| rows.len()))) {
            let input = input.rows(rows);
            for (panels, output) in panels.clone().zip(cut(output, Axis(1), columns.clone())) {
                parts.push(Part { input, panels, output });
            }
        }
        each(parts, |part| part.multiply(linear, activation));
    }

    /// Adds `residual` to `rows` and normalises the sums in place of `rows`.
    pub(super) fn add_and_normalize(
        self,
        norm: &LayerNorm,
        rows: ArrayViewMut2<'_, f32>,
        residual: ArrayView2<'_, f32>,
    ) {
        let partition = self.partition_rows(rows.dim());
        if partition.n_parts() == 1 {
            return norm.add_and_normalize(rows, residual);
        }
        let ranges = partition.rows(rows.nrows());
        let rows = cut(rows, Axis(0), ranges.clone().map(|rows| rows.len()));
        let residuals = ranges.map(|rows| residual.slice_move(s![rows, ..]));
        each(rows.zip(residuals).collect(), |(rows, residual)| {
            norm.add_and_normalize(rows, residual);
        });
    }

    /// Computes the normalised embeddings of token ids at positions into `output`.
    pub(super) fn embed(
        self,
        embeddings: &Embeddings,
        [ids, positions]: [&[u32]; 2],
        output: ArrayViewMut2<'_, f32>,
    ) {
        let partition = self.partition_rows(output.dim());
        if partition.n_parts() == 1 {
            return embeddings.embed(ids, positions, output);
        }
        let ranges = partition.rows(output.nrows());
        let outputs = cut(output, Axis(0), ranges.clone().map(|rows| rows.len()));
        each(ranges.zip(outputs).collect(), |(rows, output)| {
            embeddings.embed(&ids[rows.clone()], &positions[rows], output);
        });
    }

    /// Converts rows to the number type that the weights need.
    fn input<'a>(
        self,
        linear: &Linear,
        rows: ArrayView2<'a, f32>,
        buffer: &'a mut QuantizedRows,
    ) -> LinearInput<'a> {
        if matches!(linear, Linear::F32(_)) {
            return linear.input(rows, buffer);
        }
        let partition = self.partition_rows(rows.dim());
        if partition.n_parts() == 1 {
            return linear.input(rows, buffer);
        }
        let (n_rows, n_columns) = rows.dim();
        let mut behind = buffer.rows_mut(n_rows, n_columns);
        let mut parts = Vec::with_capacity(partition.n_parts());
        for range in partition.rows(n_rows) {
            let part;
            (part, behind) = behind.split_at(range.len());
            parts.push((rows.slice_move(s![range, ..]), part));
        }
        each(parts, |(rows, quantized)| _ = quantized.quantize(rows));
        LinearInput::Int8(buffer.rows(n_rows, n_columns))
    }

    /// Partitions the rows of a matrix for an operation on each element or each row alone.
    fn partition_rows(self, (n_rows, n_columns): (usize, usize)) -> Partition {
        let panel_work = n_columns * ELEMENT_WORK;
        Partition::new(Product { n_rows, n_panels: 1, panel_columns: n_columns, panel_work }, self)
    }
}

/// Calls `work` with each part, on the threads of the current pool.
pub(super) fn each<T: Send>(parts: Vec<T>, work: impl Fn(T) + Sync + Send) {
    if parts.len() <= 1 {
        parts.into_iter().for_each(work);
    } else {
        parts.into_par_iter().with_max_len(1).for_each(work);
    }
}

/// Splits a matrix along an axis into pieces of the given lengths; the last may be shorter.
fn cut(
    matrix: ArrayViewMut2<'_, f32>,
    axis: Axis,
    lens: impl Iterator<Item = usize>,
) -> impl Iterator<Item = ArrayViewMut2<'_, f32>> {
    let mut rest = Some(matrix);
    lens.map_while(move |len| {
        let matrix = rest.take()?;
        let len = len.min(matrix.len_of(axis));
        let (piece, behind) = matrix.split_at(axis, len);
        rest = Some(behind);
        Some(piece)
    })
}

impl Part<'_> {
    /// Multiplies in blocks of rows, so that a block stays in cache while it meets all panels.
    fn multiply(self, linear: &Linear, activation: Activation) {
        let Self { input, panels, mut output } = self;
        let n_rows = output.nrows();
        if n_rows <= MAX_BLOCK_ROWS {
            return linear.multiply(input, panels, activation, output);
        }
        let blocks = output.axis_chunks_iter_mut(Axis(0), MAX_BLOCK_ROWS);
        for (first, output) in (0..n_rows).step_by(MAX_BLOCK_ROWS).zip(blocks) {
            let rows = first..first + output.nrows();
            linear.multiply(input.rows(rows), panels.clone(), activation, output);
        }
    }
}

/// Work of normalising or quantising one number, in f32 multiplications: 0.4 and 0.2 nanoseconds,
/// where a multiplication takes 0.008 (`benches/ops.rs`).
const ELEMENT_WORK: usize = 32;
