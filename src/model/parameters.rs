//! The parameters of a classifier by function, independent of their names in a family.

use crate::error::Result;
use crate::model::config::Config;
use crate::model::family::LayerNames;
use crate::model::raw::Raw;
use crate::model::weights::Weights;

/// Takes the parameters of a classifier part by part, and checks their shapes.
pub(super) struct Loader<'a> {
    pub(super) config: &'a Config,
    pub(super) weights: &'a mut Weights,
}

/// A linear layer.
#[derive(Debug)]
pub struct Affine {
    /// (out, in).
    pub weight: Vec<f32>,
    /// One value per output.
    pub bias: Vec<f32>,
}

/// A layer normalisation.
#[derive(Debug)]
pub struct Norm {
    /// One value per column.
    pub weight: Vec<f32>,
    /// One value per column.
    pub bias: Vec<f32>,
}

/// Word and position embeddings; the embedding of the one token type in use is part of the latter.
pub(super) struct EmbeddingParameters {
    pub(super) words: Raw,          // (word, hidden)
    pub(super) positions: Vec<f32>, // (position, hidden), the embedding of token type 0 added
    pub(super) norm: Norm,
}

/// Self-attention and a feed-forward network, each followed by a norm.
pub(super) struct LayerParameters {
    pub(super) query_key_value: Affine, // one layer for all three, outputs side by side
    pub(super) attention_output: Affine,
    pub(super) attention_norm: Norm,
    pub(super) intermediate: Affine,
    pub(super) output: Affine,
    pub(super) output_norm: Norm,
}

/// The pooler and the classifier.
pub(super) struct HeadParameters {
    pub(super) dense: Affine,
    pub(super) classifier: Affine,
}

impl Loader<'_> {
    pub(super) fn embeddings(&mut self) -> Result<EmbeddingParameters> {
        let Config { vocab_size, n_positions, n_token_types, hidden_size, .. } = *self.config;
        let names = &self.config.family.embeddings;
        let words = format!("{}.weight", names.word);
        let words = self.weights.take_raw(&words, &[vocab_size, hidden_size])?;
        let mut positions = self.take(names.position, "weight", &[n_positions, hidden_size])?;
        let token_types = self.take(names.token_type, "weight", &[n_token_types, hidden_size])?;
        // An input is a single text, not a pair, so all of its tokens have type 0.
        let first_type = &token_types[..hidden_size];
        for position in positions.chunks_exact_mut(hidden_size) {
            for (value, addend) in position.iter_mut().zip(first_type) {
                *value += addend;
            }
        }
        Ok(EmbeddingParameters { words, positions, norm: self.norm(names.norm)? })
    }

    pub(super) fn layer(&mut self, layer: usize) -> Result<LayerParameters> {
        let Config { hidden_size: hidden, intermediate_size: inner, family, .. } = *self.config;
        let names: &LayerNames = &family.layer_names;
        let at = |name| family.in_layer(layer, name);
        let mut query_key_value = self.affine(&at(names.query), hidden, hidden)?;
        query_key_value.append(self.affine(&at(names.key), hidden, hidden)?);
        query_key_value.append(self.affine(&at(names.value), hidden, hidden)?);
        Ok(LayerParameters {
            query_key_value,
            attention_output: self.affine(&at(names.attention_output), hidden, hidden)?,
            attention_norm: self.norm(&at(names.attention_norm))?,
            intermediate: self.affine(&at(names.intermediate), hidden, inner)?,
            output: self.affine(&at(names.output), inner, hidden)?,
            output_norm: self.norm(&at(names.output_norm))?,
        })
    }

    pub(super) fn head(&mut self) -> Result<HeadParameters> {
        let Config { hidden_size: hidden, ref labels, family, .. } = *self.config;
        let dense = self.affine(family.head.dense, hidden, hidden)?;
        let classifier = self.affine(family.head.classifier, hidden, labels.len())?;
        Ok(HeadParameters { dense, classifier })
    }

    fn affine(&mut self, module: &str, n_in: usize, n_out: usize) -> Result<Affine> {
        let weight = self.take(module, "weight", &[n_out, n_in])?;
        let bias = self.take(module, "bias", &[n_out])?;
        Ok(Affine { weight, bias })
    }

    fn norm(&mut self, module: &str) -> Result<Norm> {
        let shape = [self.config.hidden_size];
        let weight = self.take(module, "weight", &shape)?;
        let bias = self.take(module, "bias", &shape)?;
        Ok(Norm { weight, bias })
    }

    fn take(&mut self, module: &str, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.weights.take(&format!("{module}.{name}"), shape)
    }
}

impl Affine {
    /// Splits the layer into one with the first `n_out` outputs and one with the others.
    pub(super) fn split_at(&self, n_out: usize) -> (Self, Self) {
        let n_in = self.weight.len() / self.bias.len();
        let (first_weight, weight) = self.weight.split_at(n_out * n_in);
        let (first_bias, bias) = self.bias.split_at(n_out);
        let first = Self { weight: first_weight.to_vec(), bias: first_bias.to_vec() };
        (first, Self { weight: weight.to_vec(), bias: bias.to_vec() })
    }

    /// Appends the outputs of another layer that has the same inputs.
    fn append(&mut self, mut other: Self) {
        self.weight.append(&mut other.weight);
        self.bias.append(&mut other.bias);
    }
}
