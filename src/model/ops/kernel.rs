//! The inner loops of all products, f32 and int8: the only `unsafe` code besides
//! `cli/allocator.rs`.
//!
//! Written by hand after measuring two alternatives on two cores with AVX-512 (GFLOP/s of the
//! products of a layer): the `gemm` crate 240, `rten-gemm` 455, these kernels 490; and in int8
//! 1,250 to 1,450 GOP/s, these kernels 1,900. Portable SIMD was as fast in a small program, but
//! half as fast in a large one, where the compiler did not keep the sums in registers. Besides,
//! `rten-gemm` saturates in int8 without VNNI; these kernels are exact everywhere.
#![expect(unsafe_code, reason = "a loop whose sums must stay in registers, on matrices in pieces")]

mod f32;
mod int8;

pub(super) use self::f32::F32Kernel;
pub(super) use self::f32::F32Tile;
pub(super) use self::int8::Int8Kernel;
pub(super) use self::int8::Int8Tile;

/// The pointers and sizes of a tile.
#[derive(Clone, Copy)]
struct RawTile<Input, Weight, Sum> {
    n_rows: usize,
    n_steps: usize,
    rows: *const Input, // (row, step, input of the step)
    row_stride: usize,
    panel: *const Weight, // (step, column, input of the step)
    start: *const Sum,    // (column)
    output: *mut Sum,     // (row, column)
    output_stride: usize,
}

/// Defines a kernel: a module whose `multiply` computes all rows, a tile of rows at a time, with
/// all sums of the tile in registers.
///
/// A vector holds the sums of `lanes` columns, a panel has `vectors` vectors, and a step takes
/// `inputs` inputs of each row. `start` loads the initial sums, `spread` broadcasts the inputs of a
/// step to a vector, `load` loads a vector of weights, `add` adds the products to the sums, and
/// `store` writes the sums.
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

            type RawTile = super::RawTile<$input, $weight, $sum>;

            /// # Safety
            ///
            /// The processor must support the features. The pointers must be valid for the given
            /// sizes: `n_rows` rows of `n_steps` x inputs, `n_steps` x columns x inputs weights,
            /// one start per column, and `n_rows` output rows of columns that nothing else
            /// accesses.
            $(#[target_feature(enable = $features)])?
            pub(super) unsafe fn multiply(pieces: RawTile) {
                let n_tiles = pieces.n_rows.div_ceil($most_rows);
                for tile in 0..n_tiles {
                    // Tiles have about the same height: a low one has too few sums to keep the
                    // processor busy.
                    let first = tile * pieces.n_rows / n_tiles;
                    let n_rows = (tile + 1) * pieces.n_rows / n_tiles - first;
                    // SAFETY: there are `n_rows` rows from `first` on.
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
            // If inlined side by side, the variants compete for registers.
            #[inline(never)]
            $(#[target_feature(enable = $features)])?
            unsafe fn rows<const ROWS: usize>(pieces: RawTile, first: usize) {
                let RawTile { n_steps, row_stride, output_stride, .. } = pieces;
                // SAFETY: every offset is that of a row, a step and a column whose existence the
                // caller guarantees.
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
