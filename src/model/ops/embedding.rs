//! Converts token ids to hidden states: three embeddings, summed and normalised.

use ndarray::ArrayViewMut2;
use rten_simd::Isa;
use rten_simd::SimdOp;

use crate::model::ops::norm::LayerNorm;
use crate::model::ops::panel::slice_mut;
use crate::model::raw::Raw;

/// The embeddings of words, positions and the one token type in use.
#[derive(Debug)]
pub struct Embeddings {
    /// (word, hidden), in the stored format: the largest table, of which few rows are read.
    pub words: Raw,
    /// (position, hidden), the embedding of token type 0 added.
    pub positions: Vec<f32>,
    pub norm: LayerNorm,
    /// Row of `positions` that holds position 0 of a window.
    pub first_position: usize,
}

impl Embeddings {
    /// Computes the normalised embeddings, (token, hidden), of tokens at `positions` of their
    /// windows.
    pub fn embed(&self, ids: &[u32], positions: &[u32], output: ArrayViewMut2<'_, f32>) {
        Embed { embeddings: self, ids, positions, output }.dispatch();
    }
}

struct Embed<'a> {
    embeddings: &'a Embeddings,
    ids: &'a [u32],
    positions: &'a [u32],
    output: ArrayViewMut2<'a, f32>,
}

impl SimdOp for Embed<'_> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "not inlined, it loses the SIMD of its caller")]
    #[inline(always)]
    fn eval<I: Isa>(mut self, isa: I) {
        let Embeddings { words, positions, norm, first_position } = self.embeddings;
        for (row, (&id, &position)) in self.ids.iter().zip(self.positions).enumerate() {
            let output = slice_mut(&mut self.output, row);
            words.read(id as usize * output.len(), output);
            let position = position as usize + first_position;
            let places = &positions[position * output.len()..][..output.len()];
            for (value, place) in output.iter_mut().zip(places) {
                *value += place;
            }
            norm.normalize(isa, output);
        }
    }
}
