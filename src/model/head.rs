//! The classification head: the first token of each window to a logit for each label.

use candle_core::Device;
use candle_core::Module;
use candle_core::Tensor;
use candle_nn::Linear;

use crate::error::Result;
use crate::model::config::Config;
use crate::model::encoder::Loader;
use crate::model::weights::Weights;

/// BERT's pooler and classifier.
#[derive(Debug)]
pub(super) struct ClassificationHead {
    dense: Linear,
    classifier: Linear,
}

impl ClassificationHead {
    pub(super) fn load(config: &Config, weights: &mut Weights, device: &Device) -> Result<Self> {
        let names = &config.family.head;
        let mut loader = Loader { config, weights, device };
        let dense = loader.linear(names.dense, config.hidden_size, config.hidden_size)?;
        let classifier =
            loader.linear(names.classifier, config.hidden_size, config.labels.len())?;
        Ok(Self { dense, classifier })
    }

    /// Logits, (window, label), from the hidden states of the first tokens, (window, hidden).
    pub(super) fn forward(&self, first_tokens: &Tensor) -> candle_core::Result<Tensor> {
        let pooled = self.dense.forward(first_tokens)?.tanh()?;
        self.classifier.forward(&pooled)
    }
}
