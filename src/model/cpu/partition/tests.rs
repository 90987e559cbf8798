use super::*;

/// Hidden and intermediate sizes: BERT tiny, `MiniLM`, base and large.
const MODELS: [(usize, usize); 4] = [(128, 512), (384, 1536), (768, 3072), (1024, 4096)];

/// Returns the products of a layer with `n_rows` rows, for every kernel: panels of 16 or 32
/// columns, and int8 with a quarter of the work.
fn products(n_rows: usize) -> impl Iterator<Item = Product> {
    let shapes = MODELS.iter().flat_map(|&(hidden, inner)| {
        [(hidden, 3 * hidden), (hidden, hidden), (hidden, inner), (inner, hidden)]
    });
    let kernels = [(16, 1), (16, 4), (32, 1), (32, 4)];
    shapes.flat_map(move |(n_in, n_out)| {
        kernels.map(|(panel_columns, speed)| Product {
            n_rows,
            n_panels: n_out / panel_columns,
            panel_columns,
            panel_work: n_in * panel_columns / speed,
        })
    })
}

/// Returns token counts from 16 to 65,536: powers of two and numbers between them.
fn token_counts() -> impl Iterator<Item = usize> {
    (4..16).flat_map(|power| [1 << power, (1 << power) + 1, (1 << power) * 11 / 7]).chain([65_536])
}

#[test]
fn the_least_amount_grows_with_the_hands_that_a_part_goes_through() {
    for (n_threads, n_handovers) in [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (64, 6), (128, 7)] {
        let Team { min_part_work, .. } = Team::new(n_threads);
        assert_eq!(min_part_work, n_handovers * MIN_PART_WORK, "{n_threads} threads");
    }
}

#[test]
fn no_part_is_less_than_the_least_or_more_than_a_tile_above_the_mean() {
    for n_rows in token_counts() {
        for product in products(n_rows) {
            for n_threads in 1..=128 {
                let team = Team::new(n_threads);
                check(product, team, Partition::new(product, team));
            }
        }
    }
}

fn check(product: Product, team: Team, partition: Partition) {
    let Product { n_rows, n_panels, panel_work, .. } = product;
    let case = format!("{product:?} for {} threads in {partition:?}", team.n_threads);
    let (mut n_tiles, mut smallest, mut largest) = (0, usize::MAX, 0); // in rows x panels
    for rows in partition.rows(n_rows) {
        for panels in partition.panels(n_panels) {
            let size = rows.len() * panels.len();
            n_tiles += size;
            (smallest, largest) = (smallest.min(size), largest.max(size));
        }
    }
    let n_parts = partition.n_parts();
    assert_eq!(n_tiles, n_rows * n_panels, "all of {case}");
    assert!(n_parts == 1 || smallest * panel_work >= team.min_part_work, "the least of {case}");
    assert!(largest * n_parts <= n_tiles + TILE_ROWS * n_parts, "the most of {case}");
    // Enough threads are used: none works more than twice as long as with an even split, or as with
    // the minimum work.
    let n_rounds = n_parts.div_ceil(team.n_threads);
    let fair = (product.work() / team.n_threads).max(team.min_part_work);
    assert!(n_rounds * largest * panel_work <= 2 * fair, "the threads of {case}");
}

#[test]
fn one_row_is_divided_as_a_tile_is() {
    let team = Team::new(2);
    let product =
        |n_rows| Product { n_rows, n_panels: 24, panel_columns: 16, panel_work: 384 * 16 };
    let halves = Partition { n_row_parts: 1, n_panel_parts: 2 };
    for n_rows in [1, TILE_ROWS] {
        assert_eq!(Partition::new(product(n_rows), team), halves, "{n_rows} rows");
    }
}

#[test]
fn the_first_parts_cover_the_first_rows_and_panels() {
    let partition = Partition { n_row_parts: 3, n_panel_parts: 2 };
    assert_eq!(partition.rows(20).collect::<Vec<_>>(), [0..6, 6..13, 13..20]);
    assert_eq!(partition.panels(5).collect::<Vec<_>>(), [0..2, 2..5]);
}

#[test]
fn blocks_of_rows_are_whole_tiles_and_at_most_one_above_the_mean() {
    for n_rows in token_counts() {
        for n_threads in 1..=128 {
            let blocks = RowBlocks::new(n_rows, n_threads);
            let case = format!("{n_rows} rows for {n_threads} threads in {blocks:?}");
            let mut next = 0;
            for rows in blocks.rows(n_rows) {
                assert_eq!(rows.start, next, "{case}");
                assert!(rows.end == n_rows || rows.end.is_multiple_of(TILE_ROWS), "{case}");
                let above = rows.len() * blocks.n_blocks;
                assert!(above <= n_rows + TILE_ROWS * blocks.n_blocks, "{rows:?} of {case}");
                assert!(blocks.n_blocks == 1 || rows.len() > TILE_ROWS, "{rows:?} of {case}");
                next = rows.end;
            }
            assert_eq!(next, n_rows, "{case}");
        }
    }
}

#[test]
fn few_rows_are_shared_and_many_divided_into_blocks() {
    for (n_rows, n_threads, n_blocks, n_sharing) in [
        (0, 4, 1, 4),
        (1, 2, 1, 2),
        (31, 2, 1, 2),
        (32, 2, 2, 1),
        (1, 1, 1, 1),
        (100, 1, 2, 1),
        (128, 2, 2, 1),
        (2048, 2, 22, 1),
        (127, 8, 1, 8),
        (128, 8, 8, 1),
        (512, 32, 1, 32), // not 32 blocks of 16 rows that each read all weights
        (2048, 32, 32, 1),
    ] {
        let blocks = RowBlocks::new(n_rows, n_threads);
        let expected = RowBlocks { n_blocks, n_threads: n_sharing };
        assert_eq!(blocks, expected, "{n_rows} rows, {n_threads} threads");
    }
}
