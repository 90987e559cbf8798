//! The transformer encoder of the BERT family, over windows packed end to end.

use candle_core::Device;
use candle_core::Module;
use candle_core::Result;
use candle_core::Tensor;
use candle_nn::LayerNorm;
use candle_nn::Linear;

use crate::batch::Batch;
use crate::model::config::Config;
use crate::model::config::HiddenAct;
use crate::model::parameters::Affine;
use crate::model::parameters::EmbeddingParameters;
use crate::model::parameters::LayerParameters;
use crate::model::parameters::Norm;
use crate::model::tensor::ops;

/// The embeddings of words, positions and the one token type in use, summed and normalised.
#[derive(Debug)]
pub(super) struct Embeddings {
    word: Tensor,     // (word, hidden)
    position: Tensor, // (position, hidden), the embedding of token type 0 added
    norm: LayerNorm,
    first_position: u32,
}

impl Embeddings {
    pub(super) fn new(
        parameters: EmbeddingParameters,
        config: &Config,
        device: &Device,
    ) -> Result<Self> {
        let table = |values: Vec<f32>| {
            let n_rows = values.len() / config.hidden_size;
            Tensor::from_vec(values, (n_rows, config.hidden_size), device)
        };
        let first_position = u32::try_from(config.family.first_position)
            .expect("a constant of the family table, 0 or 2");
        Ok(Self {
            word: table(parameters.words.to_f32())?,
            position: table(parameters.positions)?,
            norm: layer_norm(parameters.norm, config, device)?,
            first_position,
        })
    }

    /// Computes the hidden states, (token, hidden).
    pub(super) fn forward(&self, batch: &Batch) -> Result<Tensor> {
        let device = self.word.device();
        let positions: Vec<u32> =
            batch.positions.iter().map(|position| position + self.first_position).collect();
        let ids = Tensor::new(batch.ids.as_slice(), device)?;
        let positions = Tensor::new(positions.as_slice(), device)?;
        let words = self.word.index_select(&ids, 0)?;
        let places = self.position.index_select(&positions, 0)?;
        self.norm.forward(&(words + places)?)
    }
}

/// Self-attention and a feed-forward network, each followed by a residual sum and a norm.
#[derive(Debug)]
pub(super) struct Layer {
    query_key_value: Linear, // one product for all three
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
    output_norm: LayerNorm,
    n_heads: usize,
    hidden_act: HiddenAct,
}

impl Layer {
    pub(super) fn new(
        parameters: LayerParameters,
        config: &Config,
        device: &Device,
    ) -> Result<Self> {
        Ok(Self {
            query_key_value: linear(parameters.query_key_value, device)?,
            attention_output: linear(parameters.attention_output, device)?,
            attention_norm: layer_norm(parameters.attention_norm, config, device)?,
            intermediate: linear(parameters.intermediate, device)?,
            output: linear(parameters.output, device)?,
            output_norm: layer_norm(parameters.output_norm, config, device)?,
            n_heads: config.n_heads,
            hidden_act: config.hidden_act,
        })
    }

    /// Computes the hidden states, (token, hidden), from those of the previous layer.
    pub(super) fn forward(&self, hidden: &Tensor, batch: &Batch) -> Result<Tensor> {
        let query_key_value = self.query_key_value.forward(hidden)?; // (token, 3 x hidden)
        let context = ops::attention(&query_key_value, batch, self.n_heads)?;
        let attended = self.attention_output.forward(&context)?;
        let attended = self.attention_norm.forward(&(attended + hidden)?)?;
        let inner = self.intermediate.forward(&attended)?; // (token, intermediate)
        let inner = ops::activate(&inner, self.hidden_act)?;
        let output = self.output.forward(&inner)?;
        self.output_norm.forward(&(output + attended)?)
    }
}

pub(super) fn linear(parameters: Affine, device: &Device) -> Result<Linear> {
    let Affine { weight, bias } = parameters;
    let (n_out, n_in) = (bias.len(), weight.len() / bias.len());
    let weight = Tensor::from_vec(weight, (n_out, n_in), device)?;
    Ok(Linear::new(weight, Some(Tensor::from_vec(bias, n_out, device)?)))
}

pub(super) fn layer_norm(parameters: Norm, config: &Config, device: &Device) -> Result<LayerNorm> {
    let vector = |values: Vec<f32>| Tensor::from_vec(values, config.hidden_size, device);
    let (weight, bias) = (vector(parameters.weight)?, vector(parameters.bias)?);
    Ok(LayerNorm::new(weight, bias, config.layer_norm_eps))
}
