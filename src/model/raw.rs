//! Tensor values as stored in a file, little-endian.

use std::borrow::Cow;
use std::fmt;

use half::bf16;
use half::f16;
use half::slice::HalfFloatSliceExt;

/// The values of a tensor as stored; those of the embedded model are borrowed, not copied.
pub struct Raw {
    /// The values end to end, each of as many bytes as the format takes.
    pub bytes: Cow<'static, [u8]>,
    /// Format of each value.
    pub format: Format,
}

/// The format of a stored number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of single precision.
    Bf16,
}

impl Raw {
    /// Returns the number of values.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() / self.format.n_bytes()
    }

    /// Converts all values to f32.
    pub(super) fn to_f32(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.len()];
        self.read(0, &mut values);
        values
    }

    /// Reads `output.len()` values, starting at index `first`.
    pub(super) fn read(&self, first: usize, output: &mut [f32]) {
        let n_bytes = self.format.n_bytes();
        let bytes = &self.bytes[first * n_bytes..][..output.len() * n_bytes];
        match self.format {
            Format::F32 => {
                for (value, bytes) in output.iter_mut().zip(bytes.as_chunks().0) {
                    *value = f32::from_le_bytes(*bytes);
                }
            }
            Format::F16 => read_halves(bytes, f16::from_le_bytes, output),
            Format::Bf16 => read_halves(bytes, bf16::from_le_bytes, output),
        }
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut raw = formatter.debug_struct("Raw");
        raw.field("format", &self.format).field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Format {
    fn n_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }
}

/// Converts halves in chunks, because the SIMD conversion works on slices; the bytes need not be
/// aligned.
fn read_halves<T>(bytes: &[u8], from_bytes: impl Fn([u8; 2]) -> T, output: &mut [f32])
where
    T: Copy + Default,
    [T]: HalfFloatSliceExt,
{
    let mut halves = [T::default(); 64];
    let parts = bytes.as_chunks().0.chunks(halves.len());
    for (bytes, output) in parts.zip(output.chunks_mut(halves.len())) {
        for (half, bytes) in halves.iter_mut().zip(bytes) {
            *half = from_bytes(*bytes);
        }
        halves[..bytes.len()].convert_to_f32_slice(output);
    }
}
