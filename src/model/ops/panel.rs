//! Matrices in panels of columns, as the kernels read them.

use std::ops::Range;

use ndarray::ArrayView2;
use ndarray::ArrayViewMut2;
use ndarray::Axis;
use ndarray::s;

use crate::model::ops::kernel::F32Kernel;
use crate::model::ops::kernel::F32Tile;

/// Rows times one panel, of which `output` has the first columns: all, or fewer in the last panel.
pub(super) fn multiply(kernel: F32Kernel, tile: F32Tile<'_>) {
    let F32Tile { rows, panel, start, mut output } = tile;
    let (width, n_columns) = (kernel.panel_columns(), output.ncols());
    if n_columns == width {
        return kernel.multiply(F32Tile { rows, panel, start, output });
    }
    // Whole panels into memory of our own, and of that the columns that are wanted.
    let mut whole = [0.0; BLOCK_ROWS * F32Kernel::MOST_COLUMNS];
    let blocks = output.axis_chunks_iter_mut(Axis(0), BLOCK_ROWS);
    for (rows, mut output) in rows.axis_chunks_iter(Axis(0), BLOCK_ROWS).zip(blocks) {
        let shape = (rows.nrows(), width);
        let whole = &mut whole[..rows.nrows() * width];
        let mut whole = ArrayViewMut2::from_shape(shape, whole).expect("the block fits");
        kernel.multiply(F32Tile { rows, panel, start, output: whole.view_mut() });
        output.assign(&whole.slice(s![.., ..n_columns]));
    }
}

/// Lays the columns of a matrix out in panels of `width`, the last padded with zeros; `value`
/// gives the number at (row, column).
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

/// The columns of a panel, of `n_columns` in all.
pub(super) fn columns(panel: usize, width: usize, n_columns: usize) -> Range<usize> {
    panel * width..((panel + 1) * width).min(n_columns)
}

/// A row, which lies in one piece.
pub(super) fn slice<'a>(rows: &ArrayView2<'a, f32>, row: usize) -> &'a [f32] {
    rows.index_axis_move(Axis(0), row).to_slice().expect("columns lie side by side")
}

/// A row to write, which lies in one piece.
pub(super) fn slice_mut<'a>(rows: &'a mut ArrayViewMut2<'_, f32>, row: usize) -> &'a mut [f32] {
    rows.row_mut(row).into_slice().expect("columns lie side by side")
}

/// Rows of a block that is computed at a time: whole tiles of any height.
const BLOCK_ROWS: usize = 24;

/// Panels whose outcome is taken further together.
pub(super) const GROUP_PANELS: usize = 4;
