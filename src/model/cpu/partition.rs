//! Partitions products among threads: into a grid of parts, each some rows times some panels of
//! columns.
//!
//! Pure arithmetic on the shape of a product and the number of threads. The partition never changes
//! a result: every sum runs over all inputs, in order.

use std::ops::Range;

/// The shape of a product of rows with a matrix in panels of columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Product {
    pub(super) n_rows: usize,
    pub(super) n_panels: usize,
    /// Columns per panel.
    pub(super) panel_columns: usize,
    /// Work of one row times one panel, in f32 multiplications.
    pub(super) panel_work: usize,
}

/// Threads that share a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Team {
    pub(super) n_threads: usize,
    /// Minimum work of a part, in f32 multiplications.
    pub(super) min_part_work: usize,
}

/// A grid: each part is a range of rows times a range of panels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Partition {
    pub(super) n_row_parts: usize,
    pub(super) n_panel_parts: usize,
}

/// The division of the rows of a batch for the operations between two attention steps.
///
/// With many rows per thread, each thread takes blocks of rows through all operations without
/// waiting for other threads. With few, each block would read all weights for too few rows, so all
/// threads share one block and divide each of its products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RowBlocks {
    pub(super) n_blocks: usize,
    /// Threads that share the operations of a block.
    pub(super) n_threads: usize,
}

impl Team {
    /// Creates a team of the threads of a pool, each of which should have a CPU of its own.
    ///
    /// Parts are handed over by recursive halving, so a part changes threads at most
    /// log2(number of threads) times, rounded up.
    pub(super) fn new(n_threads: usize) -> Self {
        let n_handovers = n_threads.max(2).next_power_of_two().ilog2() as usize;
        Self { n_threads, min_part_work: n_handovers * MIN_PART_WORK }
    }
}

impl Product {
    fn work(self) -> usize {
        self.n_rows * self.n_panels * self.panel_work
    }
}

impl Partition {
    /// Returns the grid that finishes first.
    ///
    /// Every part has at least the minimum work of the team (a product with less is one part), and
    /// none exceeds the mean by more than a tile, which is [`TILE_ROWS`] rows of a panel.
    pub(super) fn new(product: Product, team: Team) -> Self {
        let mut best = Self { n_row_parts: 1, n_panel_parts: 1 };
        if team.n_threads <= 1 {
            return best;
        }
        // Fewer rows than a tile take about as long as a tile: they read the same weights.
        let product = Product { n_rows: product.n_rows.max(TILE_ROWS), ..product };
        let max_parts = product.work() / team.min_part_work.max(1);
        let max_parts = max_parts.min(team.n_threads * MAX_ROUNDS);
        let max_row_parts = product.n_rows / TILE_ROWS;
        let mut least = best.cost(product, team);
        for n_panel_parts in 1..=product.n_panels.min(max_parts) {
            let max_row_parts = max_row_parts.min(max_parts / n_panel_parts).max(1);
            for n_rounds in 1..=MAX_ROUNDS {
                // For a given number of rounds, more parts are smaller parts: the first allowed
                // grid is best.
                let [fewer, most] =
                    [n_rounds - 1, n_rounds].map(|rounds| rounds * team.n_threads / n_panel_parts);
                let grids = (fewer + 1..=most.min(max_row_parts)).rev();
                let allowed = grids
                    .map(|n_row_parts| Self { n_row_parts, n_panel_parts })
                    .take_while(|partition| partition.cost(product, team) < least)
                    .find(|partition| partition.is_allowed(product, team));
                if let Some(partition) = allowed {
                    (best, least) = (partition, partition.cost(product, team));
                }
            }
        }
        best
    }

    pub(super) fn n_parts(self) -> usize {
        self.n_row_parts * self.n_panel_parts
    }

    /// Returns the rows of each part, in order.
    pub(super) fn rows(self, n_rows: usize) -> impl Iterator<Item = Range<usize>> + Clone {
        split_evenly(n_rows, self.n_row_parts)
    }

    /// Returns the panels of each part, in order.
    pub(super) fn panels(self, n_panels: usize) -> impl Iterator<Item = Range<usize>> + Clone {
        split_evenly(n_panels, self.n_panel_parts)
    }

    /// Returns the time until the last thread finishes and, to break ties, the amount a part reads.
    fn cost(self, product: Product, team: Team) -> (usize, usize) {
        let n_rounds = self.n_parts().div_ceil(team.n_threads);
        let n_rows = product.n_rows.div_ceil(self.n_row_parts);
        let n_panels = product.n_panels.div_ceil(self.n_panel_parts);
        let work = n_rows * n_panels * product.panel_work;
        let handover = if self.n_parts() == 1 { 0 } else { HANDOVER_WORK };
        (n_rounds * (work + handover), n_rows + n_panels * product.panel_columns)
    }

    fn is_allowed(self, product: Product, team: Team) -> bool {
        let n_parts = self.n_parts();
        let smallest =
            (product.n_rows / self.n_row_parts) * (product.n_panels / self.n_panel_parts);
        let largest = product.n_rows.div_ceil(self.n_row_parts)
            * product.n_panels.div_ceil(self.n_panel_parts);
        smallest * product.panel_work >= team.min_part_work
            && largest * n_parts <= product.n_rows * product.n_panels + TILE_ROWS * n_parts
    }
}

impl RowBlocks {
    /// Divides rows into blocks of whole tiles, none more than a tile above the mean.
    pub(super) fn new(n_rows: usize, n_threads: usize) -> Self {
        let min_rows = MIN_BLOCK_ROWS.max(n_threads * BLOCK_ROWS_PER_THREAD);
        if n_threads > 1 && n_rows < n_threads * min_rows {
            return Self { n_blocks: 1, n_threads };
        }
        let n_rounds = n_rows.div_ceil(n_threads * MAX_BLOCK_ROWS);
        Self { n_blocks: (n_threads * n_rounds).max(1), n_threads: 1 }
    }

    /// Returns the rows of each block, in order.
    pub(super) fn rows(self, n_rows: usize) -> impl Iterator<Item = Range<usize>> {
        let row = move |tile: usize| (tile * TILE_ROWS).min(n_rows);
        let tiles = split_evenly(n_rows.div_ceil(TILE_ROWS), self.n_blocks);
        tiles.map(move |tiles| row(tiles.start)..row(tiles.end))
    }
}

/// Splits `0..total` into parts whose lengths differ by at most one.
fn split_evenly(total: usize, n_parts: usize) -> impl Iterator<Item = Range<usize>> + Clone {
    (0..n_parts).map(move |part| part * total / n_parts..(part + 1) * total / n_parts)
}

/// Minimum work of a part per handover: below this, a handover costs about as much as it saves.
const MIN_PART_WORK: usize = 250_000;

/// Cost of handing a part to another thread and waiting for it, in f32 multiplications.
const HANDOVER_WORK: usize = 120_000;

/// Maximum number of parts per thread: with 4 the last thread would finish 1 % sooner, but finding
/// the grid would take twice as long.
pub(super) const MAX_ROUNDS: usize = 2;

/// Rows of the tallest tile of any kernel; parts with fewer rows are computed less efficiently.
const TILE_ROWS: usize = 8;

/// Minimum number of rows of a block, with few threads.
const MIN_BLOCK_ROWS: usize = 16;

/// Minimum number of rows of a block per thread, with more threads: all threads together then read
/// as many weights per second from their shared cache as eight threads with 16 rows each.
const BLOCK_ROWS_PER_THREAD: usize = 2;

/// Maximum number of rows of a block: with the widest intermediate result of this many rows, a
/// block stays in a cache of 1 MiB.
pub(super) const MAX_BLOCK_ROWS: usize = 96;

#[cfg(test)]
mod tests;
