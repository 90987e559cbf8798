//! Matrices in panels of columns, the layout that the kernels read.

use std::ops::Range;

use ndarray::ArrayView2;
use ndarray::ArrayViewMut2;
use ndarray::Axis;
use ndarray::s;

use crate::model::ops::kernel::F32Kernel;
use crate::model::ops::kernel::F32Tile;

/// Multiplies rows by one panel; `output` has the first columns of the panel: all, or fewer in the
/// last panel.
pub(super) fn multiply(kernel: F32Kernel, tile: F32Tile<'_>) {
    let F32Tile { rows, panel, start, mut output } = tile;
    let (width, n_columns) = (kernel.panel_columns(), output.ncols());
    if n_columns == width {
        return kernel.multiply(F32Tile { rows, panel, start, output });
    }
    // Computes the whole panel in a local buffer and copies the wanted columns.
    let mut whole = [0.0; BLOCK_ROWS * F32Kernel::MAX_COLUMNS];
    let blocks = output.axis_chunks_iter_mut(Axis(0), BLOCK_ROWS);
    for (rows, mut output) in rows.axis_chunks_iter(Axis(0), BLOCK_ROWS).zip(blocks) {
        let shape = (rows.nrows(), width);
        let whole = &mut whole[..rows.nrows() * width];
        let mut whole = ArrayViewMut2::from_shape(shape, whole).expect("the block fits");
        kernel.multiply(F32Tile { rows, panel, start, output: whole.view_mut() });
        output.assign(&whole.slice(s![.., ..n_columns]));
    }
}

/// Packs a matrix into panels of `width` columns, the last padded with zeros; `value` returns the
/// number at (row, column).
pub(super) fn pack(
    width: usize,
    [n_rows, n_columns]: [usize; 2],
    value: impl Fn(usize, usize) -> f32,
) -> Vec<f32> {
    let mut panels = Vec::with_capacity(n_columns.next_multiple_of(width) * n_rows);
    for first in (0..n_columns).step_by(width) {
        for row in 0..n_rows {
            let columns = first..first + width;
            panels.extend(columns.map(
                |column| {
                    if column < n_columns { value(row, column) } else { 0.0 }
                },
            ));
        }
    }
    panels
}

/// Returns the columns of a panel, of `n_columns` in total.
pub(super) fn columns(panel: usize, width: usize, n_columns: usize) -> Range<usize> {
    panel * width..((panel + 1) * width).min(n_columns)
}

/// Returns a row, which must be contiguous.
pub(super) fn slice<'a>(rows: &ArrayView2<'a, f32>, row: usize) -> &'a [f32] {
    rows.index_axis_move(Axis(0), row).to_slice().expect("columns lie side by side")
}

/// Returns a row to write, which must be contiguous.
pub(super) fn slice_mut<'a>(rows: &'a mut ArrayViewMut2<'_, f32>, row: usize) -> &'a mut [f32] {
    rows.row_mut(row).into_slice().expect("columns lie side by side")
}

/// Rows that are computed at a time; a multiple of every tile height.
const BLOCK_ROWS: usize = 24;

/// Number of panels whose results are post-processed together.
pub(super) const GROUP_PANELS: usize = 4;
