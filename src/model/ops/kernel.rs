//! The inner loops of all products, f32 and int8: the only `unsafe` code of the crate.
//!
//! Written by hand after two other ways were measured on two cores with AVX-512 (GFLOP/s of the
//! products of a layer): the `gemm` crate 240, `rten-gemm` 455, these 490; and 1,250 to 1,450 GOP/s
//! in int8 where these reach 1,900. Portable SIMD reached as much in a small program, but in a large
//! one the compiler ran out of patience with its registers and gave half. Besides, `rten-gemm`
//! saturates in int8 without VNNI; these are exact everywhere.
#![expect(unsafe_code, reason = "a loop whose sums must stay in registers, on matrices in pieces")]

mod f32;
mod int8;

pub(super) use self::f32::F32Kernel;
pub(super) use self::f32::F32Tile;
pub(super) use self::int8::Int8Kernel;
pub(super) use self::int8::Int8Tile;

/// A tile as a kernel sees it.
#[derive(Clone, Copy)]
struct Pieces<Input, Weight, Sum> {
    n_rows: usize,
    n_steps: usize,
    rows: *const Input, // (row, step, input of the step)
    row_stride: usize,
    panel: *const Weight, // (step, column, input of the step)
    start: *const Sum,    // (column)
    output: *mut Sum,     // (row, column)
    output_stride: usize,
}

/// A kernel: a module whose `multiply` goes over all rows, some at a time, with all their sums in
/// registers.
///
/// A vector holds the sums of `lanes` columns, `vectors` of them make a panel, and a step takes
/// `inputs` of each row. `start` makes the first sums, `spread` makes a vector of the inputs of a
/// step, `load` one of weights, `add` makes the next sums of the last, and `store` writes them.
macro_rules! kernel {
    (
        $name:ident: $input:ty, $weight:ty, $sum:ty,
        $(of $intrinsics:path, features $features:literal,)?
        rows $most_rows:literal, vectors $vectors:literal, lanes $lanes:literal, inputs $inputs:literal,
        start |$offsets:ident| $start:expr,
        spread |$group:ident| $spread:expr,
        load |$weights:ident| $load:expr,
        add |$before:pat_param, $spread_inputs:pat, $vector:ident| $add:expr,
        store |$place:ident, $total:pat_param| $store:expr,
    ) => {
        mod $name {
            $(use $intrinsics::*;)?

            type Pieces = super::Pieces<$input, $weight, $sum>;

            /// # Safety
            ///
            /// The features must be there. Behind the pointers there must be as much as the
            /// numbers say: `n_rows` rows of `n_steps` x inputs, `n_steps` x columns x inputs
            /// weights, one start a column, `n_rows` rows of columns that nobody else uses.
            $(#[target_feature(enable = $features)])?
            pub(super) unsafe fn multiply(pieces: Pieces) {
                let n_tiles = pieces.n_rows.div_ceil($most_rows);
                for tile in 0..n_tiles {
                    // Of about the same height: a low one has too few sums to keep busy with.
                    let first = tile * pieces.n_rows / n_tiles;
                    let n_rows = (tile + 1) * pieces.n_rows / n_tiles - first;
                    // SAFETY: there are as many rows from `first` on.
                    unsafe {
                        match n_rows {
                            8.. => rows::<8>(pieces, first),
                            7 => rows::<7>(pieces, first),
                            6 => rows::<6>(pieces, first),
                            5 => rows::<5>(pieces, first),
                            4 => rows::<4>(pieces, first),
                            3 => rows::<3>(pieces, first),
                            2 => rows::<2>(pieces, first),
                            _ => rows::<1>(pieces, first),
                        }
                    }
                }
            }

            const WIDTH: usize = $vectors * $lanes;

            /// # Safety
            ///
            /// As for `multiply`; and there must be `ROWS` rows from `first` on.
            // Inlined side by side, the variants take the registers from each other.
            #[inline(never)]
            $(#[target_feature(enable = $features)])?
            unsafe fn rows<const ROWS: usize>(pieces: Pieces, first: usize) {
                let Pieces { n_steps, row_stride, output_stride, .. } = pieces;
                // SAFETY: every offset is one of a row, a step and a column that the caller says
                // are there.
                unsafe {
                    let rows = pieces.rows.add(first * row_stride);
                    let start = |vector: usize| pieces.start.add(vector * $lanes);
                    let $offsets = start(0);
                    let mut sums = [[$start; $vectors]; ROWS];
                    for vector in 1..$vectors {
                        let $offsets = start(vector);
                        let start = $start;
                        for row in 0..ROWS {
                            sums[row][vector] = start;
                        }
                    }
                    for step in 0..n_steps {
                        let $weights = pieces.panel.add(step * WIDTH * $inputs);
                        let mut weights = [$load; $vectors];
                        for vector in 1..$vectors {
                            let $weights = $weights.add(vector * $lanes * $inputs);
                            weights[vector] = $load;
                        }
                        for row in 0..ROWS {
                            let $group = rows.add(row * row_stride + step * $inputs);
                            let $spread_inputs = $spread;
                            for vector in 0..$vectors {
                                let ($before, $vector) = (sums[row][vector], weights[vector]);
                                sums[row][vector] = $add;
                            }
                        }
                    }
                    let output = pieces.output.add(first * output_stride);
                    for row in 0..ROWS {
                        for vector in 0..$vectors {
                            let $place = output.add(row * output_stride + vector * $lanes);
                            let $total = sums[row][vector];
                            $store;
                        }
                    }
                }
            }
        }
    };
}

use kernel;
