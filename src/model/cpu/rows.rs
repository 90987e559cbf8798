//! Rows of tokens, divided into blocks for threads.

use std::ops::Range;

use ndarray::ArrayView2;
use ndarray::ArrayViewMut2;
use ndarray::Axis;
use ndarray::s;

/// The same rows of three matrices.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    /// Index of the first row in the whole matrices.
    pub(super) first: usize,
    pub(super) hidden: ArrayViewMut2<'a, f32>,
    pub(super) context: ArrayView2<'a, f32>,
    pub(super) projected: ArrayViewMut2<'a, f32>,
}

impl<'a> Rows<'a> {
    /// Creates a view of all rows.
    pub(super) fn new(
        hidden: ArrayViewMut2<'a, f32>,
        context: ArrayView2<'a, f32>,
        projected: ArrayViewMut2<'a, f32>,
    ) -> Self {
        Self { first: 0, hidden, context, projected }
    }

    /// Splits the rows into consecutive blocks.
    pub(super) fn into_blocks(self, blocks: impl Iterator<Item = Range<usize>>) -> Vec<Self> {
        let mut behind = self;
        let mut pieces = Vec::new();
        for block in blocks {
            let piece;
            (piece, behind) = behind.split_at(block.len());
            pieces.push(piece);
        }
        pieces
    }

    fn split_at(self, row: usize) -> (Self, Self) {
        let (hidden, hidden_behind) = self.hidden.split_at(Axis(0), row);
        let (context, context_behind) = self.context.split_at(Axis(0), row);
        let (projected, projected_behind) = self.projected.split_at(Axis(0), row);
        let rows = Rows { first: self.first, hidden, context, projected };
        let behind = Rows {
            first: self.first + row,
            hidden: hidden_behind,
            context: context_behind,
            projected: projected_behind,
        };
        (rows, behind)
    }
}

/// Returns a matrix in reused memory, which grows if necessary; its previous contents remain.
pub(super) fn matrix(
    memory: &mut Vec<f32>,
    n_rows: usize,
    n_columns: usize,
) -> ArrayViewMut2<'_, f32> {
    let len = n_rows * n_columns;
    if memory.len() < len {
        memory.resize(len, 0.0);
    }
    ArrayViewMut2::from_shape((n_rows, n_columns), &mut memory[..len]).expect("it was made to fit")
}

/// Splits a matrix by columns into `N` matrices of equal width.
pub(super) fn side_by_side<const N: usize>(whole: ArrayView2<'_, f32>) -> [ArrayView2<'_, f32>; N] {
    let n_columns = whole.ncols() / N;
    std::array::from_fn(|place| {
        whole.slice_move(s![.., place * n_columns..(place + 1) * n_columns])
    })
}
