//! A model, ready to run: batches in, logits out. The only home of candle.

mod artifact;
mod canaries;
mod checkpoint;
mod config;
mod cpu;
mod device;
mod embedded;
mod family;
mod hub;
#[doc(hidden)] // public for benches/ops.rs
pub mod ops;
mod parameters;
mod raw;
mod sha256;
mod source;
mod tensor;
mod weights;

use std::sync::Arc;

use ndarray::Array2;

pub use self::artifact::Artifact;
pub use self::artifact::HeadSettings;
pub use self::artifact::Overrides;
pub use self::artifact::OwnPolicy;
pub use self::config::ActivationSource;
pub use self::device::Dtype;
pub use self::device::Placement;
pub use self::hub::HubSettings;
pub use self::hub::Token;
pub use self::source::Source;
use crate::batch::Batch;
use crate::encode::Encoder;
use crate::encode::WindowShape;
use crate::error::Error;
use crate::error::Result;
use crate::model::config::Config;
use crate::model::cpu::CpuTransformer;
use crate::model::cpu::PackedModel;
use crate::model::tensor::TensorTransformer;
use crate::model::weights::Weights;
use crate::score::Activation;
use crate::score::Ruleset;
use crate::text::Limits;
use crate::text::Text;

/// Everything between a text and its scores, and what there is to say about it.
#[derive(Debug)]
pub struct Model {
    /// What it is and where it came from.
    pub card: ModelCard,
    /// What its scores are judged by: one at least, the first where none is asked for.
    pub rulesets: Vec<Ruleset>,
    /// Text to windows.
    pub encoder: Encoder,
    /// Windows to logits.
    pub forward: Box<dyn Forward>,
}

/// The forward pass.
pub trait Forward: std::fmt::Debug + Send {
    /// One row of logits for each window of the batch, in order.
    fn forward(&self, batch: &Batch) -> Result<Logits>;
}

/// Raw outputs of the head, (window, label).
#[derive(Debug, Clone, PartialEq)]
pub struct Logits(pub Array2<f32>);

/// What a model is, for people, logs and `/v1/models`.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelCard {
    /// The folder's or the repository's name.
    pub name: String,
    /// Where it was loaded from.
    pub source: String,
    /// The commit, if it came from a hub.
    pub revision: Option<String>,
    /// Of the weights file; of all shards in order of name if there are several. Hexadecimal.
    pub sha256: String,
    /// The class in `config.json`.
    pub architecture: &'static str,
    /// What the weights are stored as.
    pub stored_dtype: String,
    /// What the arithmetic is done in.
    pub dtype: &'static str,
    /// Where the arithmetic is done.
    pub device: String,
    /// Numbers in the weights.
    pub n_parameters: usize,
    /// Labels of the head, in its order.
    pub labels: Vec<String>,
    /// How the logits of the head become scores.
    pub activation: Activation,
    /// What decided that.
    pub activation_source: ActivationSource,
    /// The longest window, special tokens included.
    pub max_window_tokens: usize,
    /// Whether the policy came with the model or the operator; if not it is made from the labels.
    pub has_policy: bool,
    /// Which calibration is applied; `None` if scores are as the model gave them.
    pub calibration: Option<String>,
}

/// How to load a model.
#[derive(Debug, Clone)]
pub struct LoadSettings {
    /// Where it runs.
    pub placement: Placement,
    /// What its products are computed in; GPUs know only f32.
    pub dtype: Dtype,
    /// Threads of the forward pass on the CPU.
    pub threads: usize,
    /// Tokens that neighbouring windows of a text share.
    pub overlap: usize,
    /// Whether disguised texts are read plain too.
    pub normalise: bool,
}

impl Model {
    /// Checks everything an artifact holds, loads it and runs it once.
    pub fn load(artifact: Artifact, settings: &LoadSettings) -> Result<Self> {
        let shape = WindowShape {
            vocab_size: artifact.config.vocab_size,
            max_tokens: artifact.config.max_window_tokens(),
            overlap: settings.overlap,
            normalise: settings.normalise,
        };
        let tokenizer_file = artifact.files.display("tokenizer.json");
        let encoder = Encoder::parse(&tokenizer_file, &artifact.tokenizer, shape)?;
        let card = ModelCard {
            name: artifact.name,
            source: artifact.files.to_string(),
            revision: artifact.revision,
            sha256: artifact.weights.sha256.clone(),
            architecture: artifact.config.family.architecture,
            stored_dtype: artifact.weights.stored_dtype(),
            dtype: settings.dtype.name(),
            device: settings.placement.to_string(),
            n_parameters: artifact.weights.n_parameters(),
            labels: artifact.config.labels.clone(),
            activation: artifact.config.activation,
            activation_source: artifact.config.activation_source,
            max_window_tokens: shape.max_tokens,
            has_policy: artifact.has_policy,
            calibration: artifact.calibration,
        };
        let forward = load_forward(&artifact.config, artifact.weights, settings)?;
        let model = Self { card, rulesets: artifact.rulesets, encoder, forward };
        model.warm_up()?;
        if let [ruleset, ..] = model.rulesets.as_slice() {
            artifact.canaries.check(&model.encoder, &*model.forward, ruleset)?;
        }
        Ok(model)
    }

    /// Scores one short text, so that a model which cannot is not served.
    fn warm_up(&self) -> Result<()> {
        let limits = Limits { max_texts: 1, max_chars: usize::MAX };
        let text = Text::new(0, "Good morning!".into(), &limits)?;
        let encoded = self.encoder.encode(0, &text)?;
        let Logits(logits) = self.forward.forward(&Batch::pack(&encoded.windows))?;
        let is_finite = |ruleset: &Ruleset| ruleset.scorer.score(&logits.view()).is_some();
        if self.rulesets.iter().all(is_finite) {
            Ok(())
        } else {
            Err(Error::Artifact {
                file: self.card.source.clone(),
                expected: "weights that give finite scores".into(),
                found: "NaN or infinity in the first forward pass".into(),
            })
        }
    }
}

impl ModelCard {
    /// `name@revision` of a hub model, else `name@hash of the weights`; twelve digits of either.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.name, self.version())
    }

    /// What stands behind the `@`.
    pub fn version(&self) -> &str {
        let revision = self.revision.as_ref().unwrap_or(&self.sha256);
        revision.get(..12).unwrap_or(revision)
    }
}

/// The forward pass for the processor it runs on.
fn load_forward(
    config: &Config,
    mut weights: Weights,
    settings: &LoadSettings,
) -> Result<Box<dyn Forward>> {
    let refuse = |name, reason| Err(Error::Config { name, reason });
    let forward: Box<dyn Forward> = match (settings.placement, settings.dtype) {
        (Placement::Cpu, dtype) => {
            let threads = rayon::ThreadPoolBuilder::new()
                .num_threads(settings.threads)
                .thread_name(|thread| format!("forward-{thread}"))
                .build();
            match threads {
                Ok(threads) => {
                    let model = PackedModel::load(config, &mut weights, dtype)?;
                    Box::new(CpuTransformer::new(Arc::new(model), threads))
                }
                Err(fault) => return refuse("threads", fault.to_string()),
            }
        }
        (gpu, Dtype::F32) => Box::new(TensorTransformer::load(config, &mut weights, gpu.open()?)?),
        (gpu, Dtype::Int8) => {
            return refuse("dtype", format!("int8 is for the CPU, not for {gpu}"));
        }
    };
    weights.finish(config.n_layers)?;
    Ok(forward)
}
