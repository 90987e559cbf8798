//! An encoder with its head, packed for the processor it runs on.

use crate::batch::Batch;
use crate::error::Result;
use crate::model::config::Config;
use crate::model::cpu::layer::Layer;
use crate::model::device::Dtype;
use crate::model::ops::Embeddings;
use crate::model::ops::LayerNorm;
use crate::model::ops::Linear;
use crate::model::parameters::Loader;
use crate::model::weights::Weights;

/// The weights of a model. They are immutable, so replicas share them.
#[derive(Debug)]
pub(in crate::model) struct PackedModel {
    pub(super) embeddings: Embeddings,
    pub(super) layers: Vec<Layer>, // at least one
    /// Query projection of the last layer, kept apart because only the queries of first tokens are
    /// needed there.
    pub(super) last_query: Linear,
    pub(super) dense: Linear,
    pub(super) classifier: Linear,
    pub(super) n_heads: usize,
    pub(super) hidden_size: usize,
    n_positions: usize,
}

impl PackedModel {
    /// Takes the tensors of the encoder and the head, and packs them for products in `dtype`.
    pub(in crate::model) fn load(
        config: &Config,
        weights: &mut Weights,
        dtype: Dtype,
    ) -> Result<Self> {
        let mut loader = Loader { config, weights };
        let embeddings = loader.embeddings()?;
        let norm = |norm| LayerNorm::new(norm, config.layer_norm_eps);
        let embeddings = Embeddings {
            words: embeddings.words,
            positions: embeddings.positions,
            norm: norm(embeddings.norm),
            first_position: config.family.first_position,
        };
        let mut layers = Vec::with_capacity(config.n_layers);
        for layer in 0..config.n_layers - 1 {
            let parameters = loader.layer(layer)?;
            let projection = Linear::pack(&parameters.query_key_value, dtype);
            layers.push(Layer::pack(projection, parameters, config, dtype));
        }
        let parameters = loader.layer(config.n_layers - 1)?;
        let (query, key_value) = parameters.query_key_value.split_at(config.hidden_size);
        layers.push(Layer::pack(Linear::pack(&key_value, dtype), parameters, config, dtype));
        let head = loader.head()?;
        Ok(Self {
            embeddings,
            layers,
            last_query: Linear::pack(&query, dtype),
            // With few rows and few outputs, lower precision would gain nothing.
            dense: Linear::pack(&head.dense, Dtype::F32),
            classifier: Linear::pack(&head.classifier, Dtype::F32),
            n_heads: config.n_heads,
            hidden_size: config.hidden_size,
            n_positions: config.max_window_tokens(),
        })
    }

    /// Returns an error if a token id is outside the vocabulary, or if a window is empty or too
    /// long.
    pub(super) fn check(&self, batch: &Batch) -> Result<(), String> {
        let n_words = self.embeddings.words.len() / self.hidden_size;
        if let Some(id) = batch.ids.iter().find(|&&id| id as usize >= n_words) {
            return Err(format!("token id {id} in a vocabulary of {n_words}"));
        }
        match batch.spans().find(|span| span.is_empty() || span.len() > self.n_positions) {
            Some(span) => {
                let most = self.n_positions;
                Err(format!("a window of {} tokens, not of 1 to {most}", span.len()))
            }
            None => Ok(()),
        }
    }
}
