//! The transformer encoder of the BERT family, over windows packed end to end.

use candle_core::Device;
use candle_core::IndexOp;
use candle_core::Module;
use candle_core::Tensor;
use candle_nn::LayerNorm;
use candle_nn::Linear;

use crate::batch::Batch;
use crate::error::Error;
use crate::error::Result;
use crate::model::config::Config;
use crate::model::config::HiddenAct;
use crate::model::family::LayerNames;
use crate::model::ops;
use crate::model::weights::Weights;

/// Embeddings and layers.
#[derive(Debug)]
pub(super) struct TransformerEncoder {
    embeddings: Embeddings,
    layers: Vec<Layer>,
}

impl TransformerEncoder {
    pub(super) fn load(config: &Config, weights: &mut Weights, device: &Device) -> Result<Self> {
        let mut loader = Loader { config, weights, device };
        let embeddings = Embeddings::load(&mut loader)?;
        let layers = (0..config.n_layers).map(|layer| Layer::load(&mut loader, layer));
        Ok(Self { embeddings, layers: layers.collect::<Result<_>>()? })
    }

    /// The last hidden states, (token, hidden).
    pub(super) fn forward(&self, batch: &Batch) -> candle_core::Result<Tensor> {
        let mut hidden = self.embeddings.forward(batch)?;
        for layer in &self.layers {
            hidden = layer.forward(&hidden, batch)?;
        }
        Ok(hidden)
    }
}

/// Words, positions and the one token type in use, summed and normalised.
#[derive(Debug)]
struct Embeddings {
    word: Tensor,     // (word, hidden)
    position: Tensor, // (position, hidden), the embedding of token type 0 added
    norm: LayerNorm,
    first_position: u32,
}

impl Embeddings {
    fn load(loader: &mut Loader<'_>) -> Result<Self> {
        let config = loader.config;
        let names = &config.family.embeddings;
        let table = |rows| [rows, config.hidden_size];
        let word = loader.take(names.word, "weight", &table(config.vocab_size))?;
        let position = loader.take(names.position, "weight", &table(config.n_positions))?;
        let token_type = loader.take(names.token_type, "weight", &table(config.n_token_types))?;
        // A text alone, not a pair, has token type 0 throughout.
        let position = token_type
            .i(0)
            .and_then(|first| position.broadcast_add(&first))
            .map_err(|fault| loader.fault(names.token_type, &fault))?;
        let norm = loader.layer_norm(names.norm)?;
        let first_position = u32::try_from(config.family.first_position)
            .expect("a constant of the family table, 0 or 2");
        Ok(Self { word, position, norm, first_position })
    }

    fn forward(&self, batch: &Batch) -> candle_core::Result<Tensor> {
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

/// Self-attention and a feed-forward network, each with a residual and a norm behind it.
#[derive(Debug)]
struct Layer {
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
    fn load(loader: &mut Loader<'_>, layer: usize) -> Result<Self> {
        let config = loader.config;
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let names: &LayerNames = &config.family.layer_names;
        let at = |name| config.family.in_layer(layer, name);
        let query = loader.linear(&at(names.query), hidden, hidden)?;
        let key = loader.linear(&at(names.key), hidden, hidden)?;
        let value = loader.linear(&at(names.value), hidden, hidden)?;
        Ok(Self {
            query_key_value: concat(&[query, key, value])
                .map_err(|fault| loader.fault(&at(names.query), &fault))?,
            attention_output: loader.linear(&at(names.attention_output), hidden, hidden)?,
            attention_norm: loader.layer_norm(&at(names.attention_norm))?,
            intermediate: loader.linear(&at(names.intermediate), hidden, inner)?,
            output: loader.linear(&at(names.output), inner, hidden)?,
            output_norm: loader.layer_norm(&at(names.output_norm))?,
            n_heads: config.n_heads,
            hidden_act: config.hidden_act,
        })
    }

    fn forward(&self, hidden: &Tensor, batch: &Batch) -> candle_core::Result<Tensor> {
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

/// One product that gives the results of several side by side.
fn concat(parts: &[Linear]) -> candle_core::Result<Linear> {
    let weights: Vec<_> = parts.iter().map(Linear::weight).collect();
    let biases: Vec<_> = parts.iter().filter_map(Linear::bias).collect();
    Ok(Linear::new(Tensor::cat(&weights, 0)?, Some(Tensor::cat(&biases, 0)?)))
}

/// Takes the weights of one module after the other.
pub(super) struct Loader<'a> {
    pub(super) config: &'a Config,
    pub(super) weights: &'a mut Weights,
    pub(super) device: &'a Device,
}

impl Loader<'_> {
    fn take(&mut self, module: &str, name: &str, shape: &[usize]) -> Result<Tensor> {
        self.weights.take(&format!("{module}.{name}"), shape, self.device)
    }

    /// A product with a bias, from `n_in` to `n_out` columns.
    pub(super) fn linear(&mut self, module: &str, n_in: usize, n_out: usize) -> Result<Linear> {
        let weight = self.take(module, "weight", &[n_out, n_in])?;
        let bias = self.take(module, "bias", &[n_out])?;
        Ok(Linear::new(weight, Some(bias)))
    }

    fn layer_norm(&mut self, module: &str) -> Result<LayerNorm> {
        let shape = [self.config.hidden_size];
        let weight = self.take(module, "weight", &shape)?;
        let bias = self.take(module, "bias", &shape)?;
        Ok(LayerNorm::new(weight, bias, self.config.layer_norm_eps))
    }

    fn fault(&self, module: &str, fault: &candle_core::Error) -> Error {
        let expected = format!("weights that fit on {:?}", self.device.location());
        Error::Artifact { file: module.into(), expected, found: fault.to_string() }
    }
}
