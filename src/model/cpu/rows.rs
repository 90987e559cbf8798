//! Rows of tokens, divided into blocks that threads take.

use ndarray::ArrayView2;
use ndarray::ArrayViewMut2;
use ndarray::Axis;
use ndarray::s;

/// The same rows of three matrices.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    /// The place of the first of them in the whole.
    pub(super) first: usize,
    pub(super) hidden: ArrayViewMut2<'a, f32>,
    pub(super) context: ArrayView2<'a, f32>,
    pub(super) projected: ArrayViewMut2<'a, f32>,
}

/// How many threads work on what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Division {
    /// Rows of a block.
    pub(super) block_rows: usize,
    /// Parts into which the columns of each product are divided.
    pub(super) n_parts: usize,
}

impl<'a> Rows<'a> {
    /// All rows.
    pub(super) fn new(
        hidden: ArrayViewMut2<'a, f32>,
        context: ArrayView2<'a, f32>,
        projected: ArrayViewMut2<'a, f32>,
    ) -> Self {
        Self { first: 0, hidden, context, projected }
    }

    /// Calls `work` with each block, on the threads of the pool it is called in.
    pub(super) fn each_block(self, block_rows: usize, work: &(impl Fn(Rows<'_>) + Sync)) {
        let n_blocks = self.hidden.nrows().div_ceil(block_rows);
        if n_blocks <= 1 {
            return work(self);
        }
        let middle = n_blocks / 2 * block_rows;
        let (hidden, hidden_behind) = self.hidden.split_at(Axis(0), middle);
        let (context, context_behind) = self.context.split_at(Axis(0), middle);
        let (projected, projected_behind) = self.projected.split_at(Axis(0), middle);
        let rows = Rows { first: self.first, hidden, context, projected };
        let behind = Rows {
            first: self.first + middle,
            hidden: hidden_behind,
            context: context_behind,
            projected: projected_behind,
        };
        rayon::join(|| rows.each_block(block_rows, work), || behind.each_block(block_rows, work));
    }
}

impl Division {
    /// Divides rows among threads: each thread gets blocks of rows if there are enough of them to
    /// be worth the weights it reads for them; else all share one block and divide its columns.
    pub(super) fn of(n_rows: usize, n_threads: usize) -> Self {
        if n_rows < n_threads * FEWEST_ROWS {
            return Self { block_rows: n_rows.max(1), n_parts: n_threads };
        }
        let rounds = n_rows.div_ceil(n_threads * MOST_ROWS);
        let block_rows = n_rows.div_ceil(n_threads * rounds).next_multiple_of(TILE_ROWS);
        Self { block_rows, n_parts: 1 }
    }
}

/// A matrix in memory that is used again; what it held before is still there.
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

/// Matrices of which each row is a part of a row of one matrix.
pub(super) fn side_by_side<const N: usize>(whole: ArrayView2<'_, f32>) -> [ArrayView2<'_, f32>; N] {
    let n_columns = whole.ncols() / N;
    std::array::from_fn(|place| {
        whole.slice_move(s![.., place * n_columns..(place + 1) * n_columns])
    })
}

/// Below, a thread would read all weights for the sake of too few rows.
const FEWEST_ROWS: usize = 16;

/// With the widest intermediate result of these many rows a block stays in a cache of 1 MiB.
const MOST_ROWS: usize = 96;

/// Rows of the tallest tile, so that blocks end in whole ones.
const TILE_ROWS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_rows_are_shared_and_many_divided_evenly() {
        for (n_rows, n_threads, block_rows, n_parts) in [
            (0, 4, 1, 4),
            (1, 2, 1, 2),
            (31, 2, 31, 2),
            (32, 2, 16, 1),
            (100, 1, 56, 1), // two of 50, in whole tiles
            (128, 2, 64, 1),
            (2048, 2, 96, 1),
        ] {
            let division = Division::of(n_rows, n_threads);
            let expected = Division { block_rows, n_parts };
            assert_eq!(division, expected, "{n_rows} rows, {n_threads} threads");
        }
    }
}
