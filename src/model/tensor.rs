//! The forward pass in candle's own operations: used on GPUs, and the reference implementation for
//! the CPU.

mod encoder;
mod ops;

use std::sync::Arc;

use candle_core::Device;
use candle_core::Module;
use candle_core::Tensor;
use candle_nn::Linear;
use ndarray::Array2;

use self::encoder::Embeddings;
use self::encoder::Layer;
use crate::batch::Batch;
use crate::error::Cause;
use crate::error::Error;
use crate::error::Result;
use crate::model::Forward;
use crate::model::Logits;
use crate::model::config::Config;
use crate::model::parameters::Loader;
use crate::model::weights::Weights;

/// An encoder with its head.
#[derive(Debug)]
pub(super) struct TensorTransformer {
    embeddings: Embeddings,
    layers: Vec<Layer>,
    dense: Linear,
    classifier: Linear,
    device: Device,
}

impl TensorTransformer {
    /// Takes the tensors of the encoder and the head from `weights` and loads them onto `device`.
    pub(super) fn load(config: &Config, weights: &mut Weights, device: Device) -> Result<Self> {
        let fault = |fault: candle_core::Error| {
            let expected = format!("weights that fit on {:?}", device.location());
            Error::Artifact { file: "the model".into(), expected, found: fault.to_string() }
        };
        let mut loader = Loader { config, weights };
        let embeddings = loader.embeddings()?;
        let embeddings = Embeddings::new(embeddings, config, &device).map_err(fault)?;
        let layers = (0..config.n_layers)
            .map(|layer| Layer::new(loader.layer(layer)?, config, &device).map_err(fault))
            .collect::<Result<_>>()?;
        let head = loader.head()?;
        let dense = encoder::linear(head.dense, &device).map_err(fault)?;
        let classifier = encoder::linear(head.classifier, &device).map_err(fault)?;
        Ok(Self { embeddings, layers, dense, classifier, device })
    }

    fn run(&self, batch: &Batch) -> candle_core::Result<Logits> {
        let mut hidden = self.embeddings.forward(batch)?; // (token, hidden)
        for layer in &self.layers {
            hidden = layer.forward(&hidden, batch)?;
        }
        let starts = Tensor::new(&batch.offsets[..batch.n_windows()], &self.device)?;
        let first_tokens = hidden.index_select(&starts, 0)?; // (window, hidden)
        let pooled = self.dense.forward(&first_tokens)?.tanh()?;
        let logits = self.classifier.forward(&pooled)?; // (window, label)
        let shape = logits.dims2()?;
        let values = logits.flatten_all()?.to_vec1()?;
        Array2::from_shape_vec(shape, values).map_err(candle_core::Error::wrap).map(Logits)
    }
}

impl Forward for TensorTransformer {
    fn forward(&self, batch: &Batch) -> Result<Logits> {
        self.run(batch).map_err(|fault| Error::Forward {
            rows: batch.n_windows(),
            source: Arc::new(fault) as Cause,
        })
    }
}
