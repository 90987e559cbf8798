//! Products in f32.

use ndarray::ArrayView2;
use ndarray::ArrayViewMut2;

use crate::model::ops::kernel::RawTile;
use crate::model::ops::kernel::kernel;

/// A set of instructions for f32 products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model::ops) enum F32Kernel {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Portable,
}

/// Some rows times one panel of columns, in f32.
pub(in crate::model::ops) struct F32Tile<'a> {
    /// (row, in).
    pub(in crate::model::ops) rows: ArrayView2<'a, f32>,
    /// (in, column).
    pub(in crate::model::ops) panel: &'a [f32],
    /// Initial sums, by column.
    pub(in crate::model::ops) start: &'a [f32],
    /// The output, (row, column), which is overwritten.
    pub(in crate::model::ops) output: ArrayViewMut2<'a, f32>,
}

impl F32Kernel {
    /// Columns of the widest panel of any kernel.
    pub(in crate::model::ops) const MAX_COLUMNS: usize = 32;

    /// Returns the fastest kernel that this processor supports.
    pub(in crate::model::ops) fn detect() -> Self {
        let mut kernels = Self::available();
        kernels.next().expect("the portable kernel is always there")
    }

    /// Returns all kernels that this processor supports, the fastest first.
    pub(in crate::model::ops) fn available() -> impl Iterator<Item = Self> {
        [
            #[cfg(target_arch = "x86_64")]
            (Self::Avx512, is_x86_feature_detected!("avx512f")),
            #[cfg(target_arch = "x86_64")]
            (Self::Avx2, is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")),
            #[cfg(target_arch = "aarch64")]
            (Self::Neon, std::arch::is_aarch64_feature_detected!("neon")),
            (Self::Portable, true),
        ]
        .into_iter()
        .filter_map(|(kernel, is_there)| is_there.then_some(kernel))
    }

    /// Returns the number of columns of a panel.
    pub(in crate::model::ops) fn panel_columns(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => 32,
            _ => 16,
        }
    }

    /// Computes start + rows x panel into the output.
    ///
    /// # Panics
    ///
    /// Panics if the sizes of the parts of the tile do not match.
    pub(in crate::model::ops) fn multiply(self, tile: F32Tile<'_>) {
        let (n_rows, n_in) = tile.rows.dim();
        let width = self.panel_columns();
        assert_eq!(tile.panel.len(), n_in * width, "a panel has weights for each input");
        assert_eq!(tile.start.len(), width, "sums start from something in each column");
        assert_eq!(tile.output.dim(), (n_rows, width), "sums are (row, column)");
        let pieces = RawTile {
            n_rows,
            n_steps: n_in,
            rows: tile.rows.as_ptr(),
            row_stride: stride(tile.rows.strides(), n_rows, n_in),
            panel: tile.panel.as_ptr(),
            start: tile.start.as_ptr(),
            output_stride: stride(tile.output.strides(), n_rows, width),
            output: { tile.output }.as_mut_ptr(),
        };
        match self {
            // SAFETY: `available` has detected the features of the kernel, the lengths were checked
            // above, and the views guarantee that the rows may be read and written.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { avx512_f32::multiply(pieces) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2_f32::multiply(pieces) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Self::Neon => unsafe { neon_f32::multiply(pieces) },
            // SAFETY: as above, and the portable kernel needs no features.
            Self::Portable => unsafe { portable_f32::multiply(pieces) },
        }
    }
}

/// Returns the distance between the rows of a matrix whose columns lie side by side.
fn stride(strides: &[isize], n_rows: usize, n_columns: usize) -> usize {
    // The strides of an empty matrix are meaningless.
    if n_rows == 0 || n_columns == 0 {
        return 0;
    }
    assert!(n_columns == 1 || strides[1] == 1, "columns lie side by side");
    usize::try_from(strides[0]).expect("rows are in order")
}

#[cfg(target_arch = "x86_64")]
kernel! {
    avx512_f32: f32, f32, f32,
    of std::arch::x86_64, features "avx512f",
    rows 8, vectors 2, lanes 16, inputs 1,
    start |start| _mm512_loadu_ps(start),
    spread |inputs| _mm512_set1_ps(*inputs),
    load |weights| _mm512_loadu_ps(weights),
    add |sums, inputs, weights| _mm512_fmadd_ps(inputs, weights, sums),
    store |output, sums| _mm512_storeu_ps(output, sums),
}

#[cfg(target_arch = "x86_64")]
kernel! {
    avx2_f32: f32, f32, f32,
    of std::arch::x86_64, features "avx2,fma",
    rows 6, vectors 2, lanes 8, inputs 1,
    start |start| _mm256_loadu_ps(start),
    spread |inputs| _mm256_set1_ps(*inputs),
    load |weights| _mm256_loadu_ps(weights),
    add |sums, inputs, weights| _mm256_fmadd_ps(inputs, weights, sums),
    store |output, sums| _mm256_storeu_ps(output, sums),
}

#[cfg(target_arch = "aarch64")]
kernel! {
    neon_f32: f32, f32, f32,
    of std::arch::aarch64, features "neon",
    rows 6, vectors 4, lanes 4, inputs 1,
    start |start| vld1q_f32(start),
    spread |inputs| vdupq_n_f32(*inputs),
    load |weights| vld1q_f32(weights),
    add |sums, inputs, weights| vfmaq_f32(sums, inputs, weights),
    store |output, sums| vst1q_f32(output, sums),
}

kernel! {
    portable_f32: f32, f32, f32,
    rows 1, vectors 16, lanes 1, inputs 1,
    start |start| *start,
    spread |inputs| *inputs,
    load |weights| *weights,
    add |sum, input, weight| sum + input * weight,
    store |output, sum| *output = sum,
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use ndarray::s;

    use super::*;

    #[cfg(target_arch = "aarch64")]
    #[test]
    fn neon_is_among_the_f32_kernels_that_are_tested() {
        let kernels: Vec<_> = F32Kernel::available().collect();
        assert_eq!(kernels, [F32Kernel::Neon, F32Kernel::Portable]);
    }

    #[test]
    fn every_f32_kernel_agrees_with_the_definition() {
        let number = |place: usize| (place * 37 % 101) as f32 / 50.0 - 1.0;
        for kernel in F32Kernel::available() {
            let width = kernel.panel_columns();
            for (n_rows, n_in) in [(0, 1), (1, 1), (2, 0), (3, 33), (5, 384), (23, 512)] {
                // The rows are parts of longer rows, like those of attention heads.
                let rows = Array2::from_shape_fn((n_rows, n_in + 7), |(row, column)| {
                    number(row * 1000 + column)
                });
                let rows = rows.slice(s![.., 3..n_in + 3]);
                let panel: Vec<_> = (0..n_in * width).map(|place| number(place + 5)).collect();
                let start: Vec<_> = (0..width).map(number).collect();
                let mut output = Array2::from_elem((n_rows, width + 9), f32::NAN);
                let own = output.slice_mut(s![.., 2..width + 2]);
                kernel.multiply(F32Tile { rows, panel: &panel, start: &start, output: own });
                for ((row, column), &found) in output.indexed_iter() {
                    if !(2..width + 2).contains(&column) {
                        assert!(found.is_nan(), "{kernel:?} wrote beside its output");
                        continue;
                    }
                    let terms = (0..n_in).map(|place| {
                        f64::from(rows[(row, place)]) * f64::from(panel[place * width + column - 2])
                    });
                    let expected = f64::from(start[column - 2]) + terms.sum::<f64>();
                    // Up to 512 products of at most 1, rounded to 24 bits as they are summed.
                    let difference = (f64::from(found) - expected).abs();
                    assert!(difference < 1e-4, "{kernel:?}, {n_rows} x {n_in}: {difference}");
                }
            }
        }
    }
}
