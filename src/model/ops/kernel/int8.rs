//! Exact products in int8: no sum saturates, with or without VNNI.

use crate::model::ops::kernel::RawTile;
use crate::model::ops::kernel::kernel;

/// A set of instructions for int8 products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model::ops) enum Int8Kernel {
    /// Four products per lane and step, 16 lanes.
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    /// Four products per lane and step, 8 lanes.
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    /// Four products per lane in three steps, 16 lanes.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// Four products per lane in three steps, 8 lanes.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Eight products in two steps.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// One product at a time.
    Portable,
}

/// Some rows times one panel of columns, in int8.
pub(in crate::model::ops) struct Int8Tile<'a> {
    /// Inputs from -128 to 127, each plus 128.
    pub(in crate::model::ops) rows: &'a [u8],
    /// Bytes per row, in whole groups.
    pub(in crate::model::ops) n_in: usize,
    /// Weights from -127 to 127: (group of inputs, column, input of the group).
    pub(in crate::model::ops) weights: &'a [i8],
    /// -128 times the sum of the weights, by column.
    pub(in crate::model::ops) offsets: &'a [i32],
    /// The output, (row, column), which is overwritten. In each row, as many sums are written as
    /// the panel has columns.
    pub(in crate::model::ops) sums: &'a mut [i32],
    /// Distance between the rows of `sums`.
    pub(in crate::model::ops) stride: usize,
}

impl Int8Kernel {
    /// Number of inputs that lie side by side in a panel, for one lane.
    pub(in crate::model::ops) const GROUP: usize = 4;

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
            (Self::Avx512Vnni, avx512() && is_x86_feature_detected!("avx512vnni")),
            #[cfg(target_arch = "x86_64")]
            (Self::AvxVnni, avx2() && is_x86_feature_detected!("avxvnni")),
            #[cfg(target_arch = "x86_64")]
            (Self::Avx512, avx512()),
            #[cfg(target_arch = "x86_64")]
            (Self::Avx2, avx2()),
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
            Self::Avx512Vnni | Self::Avx512 => 32,
            _ => 16,
        }
    }

    /// Computes the sums of a tile.
    ///
    /// # Panics
    ///
    /// Panics if the sizes of the parts of the tile do not match.
    pub(in crate::model::ops) fn multiply(self, tile: Int8Tile<'_>) {
        let width = self.panel_columns();
        assert!(tile.n_in > 0 && tile.n_in.is_multiple_of(Self::GROUP), "rows are whole groups");
        assert!(tile.rows.len().is_multiple_of(tile.n_in), "rows are of one length");
        assert_eq!(tile.weights.len(), tile.n_in * width, "a panel has weights for each input");
        assert_eq!(tile.offsets.len(), width, "a panel has an offset for each column");
        let n_rows = tile.rows.len() / tile.n_in;
        let n_sums = n_rows.saturating_sub(1) * tile.stride + width;
        assert!(n_rows == 0 || tile.sums.len() >= n_sums, "sums are (row, column)");
        let pieces = RawTile {
            n_rows,
            n_steps: tile.n_in / Self::GROUP,
            rows: tile.rows.as_ptr(),
            row_stride: tile.n_in,
            panel: tile.weights.as_ptr(),
            start: tile.offsets.as_ptr(),
            output: tile.sums.as_mut_ptr(),
            output_stride: tile.stride,
        };
        match self {
            // SAFETY: `available` has detected the features of the kernel, and the lengths were
            // checked above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => unsafe { avx512_vnni::multiply(pieces) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => unsafe { avx_vnni::multiply(pieces) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { avx512_int8::multiply(pieces) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2_int8::multiply(pieces) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Self::Neon => unsafe { neon_int8::multiply(pieces) },
            // SAFETY: as above, and the portable kernel needs no features.
            Self::Portable => unsafe { portable_int8::multiply(pieces) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn avx512() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")
}

#[cfg(target_arch = "x86_64")]
fn avx2() -> bool {
    is_x86_feature_detected!("avx2")
}

// Unsigned times signed: each input is 128 too large, which the offsets compensate.
#[cfg(target_arch = "x86_64")]
kernel! {
    avx512_vnni: u8, i8, i32,
    of std::arch::x86_64, features "avx512f,avx512bw,avx512vnni",
    rows 8, vectors 2, lanes 16, inputs 4,
    start |offsets| _mm512_loadu_si512(offsets.cast()),
    spread |inputs| _mm512_set1_epi32(inputs.cast::<i32>().read_unaligned()),
    load |weights| _mm512_loadu_si512(weights.cast()),
    add |sums, inputs, weights| _mm512_dpbusd_epi32(sums, inputs, weights),
    store |output, sums| _mm512_storeu_si512(output.cast(), sums),
}

#[cfg(target_arch = "x86_64")]
kernel! {
    avx_vnni: u8, i8, i32,
    of std::arch::x86_64, features "avx2,avxvnni",
    rows 6, vectors 2, lanes 8, inputs 4,
    start |offsets| _mm256_loadu_si256(offsets.cast()),
    spread |inputs| _mm256_set1_epi32(inputs.cast::<i32>().read_unaligned()),
    load |weights| _mm256_loadu_si256(weights.cast()),
    add |sums, inputs, weights| _mm256_dpbusd_avx_epi32(sums, inputs, weights),
    store |output, sums| _mm256_storeu_si256(output.cast(), sums),
}

// |input| times (weight with the sign of the input): the sum of two products is at most 2 x 128 x
// 127 = 32,512, which fits in 16 bits; with unsigned times signed it might not.
#[cfg(target_arch = "x86_64")]
kernel! {
    avx512_int8: u8, i8, i32,
    of std::arch::x86_64, features "avx512f,avx512bw",
    rows 6, vectors 2, lanes 16, inputs 4,
    start |_offsets| _mm512_setzero_si512(),
    spread |inputs| {
        let inputs = inputs.cast::<i32>().read_unaligned() ^ super::SIGNS;
        let inputs = _mm512_set1_epi32(inputs);
        (_mm512_abs_epi8(inputs), _mm512_movepi8_mask(inputs))
    },
    load |weights| _mm512_loadu_si512(weights.cast()),
    add |sums, (inputs, negative), weights| {
        let weights = _mm512_mask_sub_epi8(weights, negative, _mm512_setzero_si512(), weights);
        let pairs = _mm512_maddubs_epi16(inputs, weights);
        _mm512_add_epi32(sums, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)))
    },
    store |output, sums| _mm512_storeu_si512(output.cast(), sums),
}

#[cfg(target_arch = "x86_64")]
kernel! {
    avx2_int8: u8, i8, i32,
    of std::arch::x86_64, features "avx2",
    rows 4, vectors 2, lanes 8, inputs 4,
    start |_offsets| _mm256_setzero_si256(),
    spread |inputs| {
        let inputs = inputs.cast::<i32>().read_unaligned() ^ super::SIGNS;
        let inputs = _mm256_set1_epi32(inputs);
        (_mm256_abs_epi8(inputs), inputs)
    },
    load |weights| _mm256_loadu_si256(weights.cast()),
    add |sums, (magnitudes, inputs), weights| {
        let pairs = _mm256_maddubs_epi16(magnitudes, _mm256_sign_epi8(weights, inputs));
        _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
    },
    store |output, sums| _mm256_storeu_si256(output.cast(), sums),
}

// Products are computed in 16 bits, where they are at most 128 x 127, and adjacent ones are added
// in 32 bits. Each column has two partial sums until the end.
#[cfg(target_arch = "aarch64")]
kernel! {
    neon_int8: u8, i8, i32,
    of std::arch::aarch64, features "neon",
    rows 2, vectors 4, lanes 4, inputs 4,
    start |_offsets| (vdupq_n_s32(0), vdupq_n_s32(0)),
    spread |inputs| {
        let inputs = inputs.cast::<i32>().read_unaligned() ^ super::SIGNS;
        vreinterpretq_s8_s32(vdupq_n_s32(inputs))
    },
    load |weights| vld1q_s8(weights),
    add |(low, high), inputs, weights| (
        vpadalq_s16(low, vmull_s8(vget_low_s8(inputs), vget_low_s8(weights))),
        vpadalq_s16(high, vmull_high_s8(inputs, weights)),
    ),
    store |output, (low, high)| vst1q_s32(output, vpaddq_s32(low, high)),
}

kernel! {
    portable_int8: u8, i8, i32,
    rows 1, vectors 16, lanes 1, inputs 4,
    start |_offsets| 0,
    spread |inputs| inputs.cast::<[u8; 4]>().read().map(|input| i32::from(input) - 128),
    load |weights| weights.cast::<[i8; 4]>().read().map(i32::from),
    add |sum, inputs, weights| {
        sum + std::iter::zip(inputs, weights).map(|(input, weight)| input * weight).sum::<i32>()
    },
    store |output, sum| *output = sum,
}

/// Converts bytes that are 128 too large to signed bytes, by exclusive or.
#[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), expect(dead_code))]
const SIGNS: i32 = i32::from_ne_bytes([0x80; 4]);

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "aarch64")]
    #[test]
    fn neon_is_among_the_int8_kernels_that_are_tested() {
        let kernels: Vec<_> = Int8Kernel::available().collect();
        assert_eq!(kernels, [Int8Kernel::Neon, Int8Kernel::Portable]);
    }

    #[test]
    fn every_int8_kernel_agrees_with_the_definition_to_the_last_bit() {
        // Mixed numbers, extremes of one sign, extremes of both signs: the cases most likely to
        // saturate.
        let inputs: [fn(usize) -> u8; 4] = [
            |place| u8::try_from(place * 37 % 256).unwrap(),
            |_| 255,
            |_| 1,
            |place| if place.is_multiple_of(3) { 0 } else { 255 },
        ];
        let weights: [fn(usize) -> i8; 3] = [
            |place| i8::try_from(place * 91 % 255).unwrap_or(-127),
            |_| 127,
            |place| if place.is_multiple_of(5) { 127 } else { -127 },
        ];
        for kernel in Int8Kernel::available() {
            for (n_rows, n_in) in [(0, 4), (1, 4), (2, 36), (3, 384), (9, 512), (23, 1536)] {
                for (input, weight) in inputs
                    .iter()
                    .flat_map(|input| weights.iter().map(move |weight| (input, weight)))
                {
                    let rows: Vec<_> = (0..n_rows * n_in).map(input).collect();
                    let width = kernel.panel_columns();
                    let weights: Vec<_> = (0..n_in * width).map(weight).collect();
                    let found = multiply(kernel, &rows, n_in, &weights);
                    let expected = plain(&rows, n_in, &weights, width);
                    assert_eq!(found, expected, "{kernel:?}, {n_rows} rows of {n_in}");
                }
            }
        }
    }

    fn multiply(kernel: Int8Kernel, rows: &[u8], n_in: usize, weights: &[i8]) -> Vec<i32> {
        let width = kernel.panel_columns();
        let mut offsets = vec![0; width];
        for group in weights.chunks_exact(4 * width) {
            for (offset, weights) in offsets.iter_mut().zip(group.chunks_exact(4)) {
                *offset -= weights.iter().map(|&weight| 128 * i32::from(weight)).sum::<i32>();
            }
        }
        let mut sums = vec![i32::MAX; rows.len() / n_in * width];
        let stride = width;
        kernel.multiply(Int8Tile {
            rows,
            n_in,
            weights,
            offsets: &offsets,
            sums: &mut sums,
            stride,
        });
        sums
    }

    /// Reference implementation: computes each number from the definition.
    fn plain(rows: &[u8], n_in: usize, weights: &[i8], width: usize) -> Vec<i32> {
        let product = |row: &[u8], column: usize| -> i32 {
            let weight = |place: usize| weights[(place / 4 * width + column) * 4 + place % 4];
            let terms = row.iter().enumerate();
            terms.map(|(place, &q)| (i32::from(q) - 128) * i32::from(weight(place))).sum()
        };
        let rows = rows.chunks_exact(n_in);
        rows.flat_map(|row| (0..width).map(move |column| product(row, column))).collect()
    }
}
