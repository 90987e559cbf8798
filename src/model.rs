//! A model, ready to run: batches in, logits out. The only home of candle.

mod artifact;
mod checkpoint;
mod config;
mod cpu;
mod device;
mod embedded;
mod family;
mod hub;
pub(crate) mod low_priority;
#[doc(hidden)] // public for benches/ops.rs
pub mod ops;
mod parameters;
mod raw;
mod replicas;
mod self_test;
mod sha256;
mod source;
mod tensor;
mod warm_up;
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
pub use self::warm_up::WarmUp;
use crate::batch::Batch;
use crate::encode::Encoder;
use crate::encode::WindowShape;
use crate::error::Error;
use crate::error::Result;
use crate::model::replicas::load_replicas;
use crate::model::warm_up::first_pass;
use crate::score::Activation;
use crate::score::Mapping;
use crate::score::Scorer;

/// Everything between a text and its scores, and what there is to say about it.
#[derive(Debug)]
pub struct Model {
    /// What it is and where it came from.
    pub card: ModelCard,
    /// Logits to scores of its labels.
    pub scorer: Scorer,
    /// What its scores are judged by: one at least, the first where none is asked for.
    pub mappings: Vec<Arc<Mapping>>,
    /// Text to windows.
    pub encoder: Encoder,
    /// Windows to logits: one at least, each with a place to run, and all with the same weights.
    pub replicas: Vec<Box<dyn Forward>>,
    /// How fast the first replica is; none of a model that was not loaded from files.
    pub warm_up: Option<WarmUp>,
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
    /// Threads of the forward passes on the CPU.
    pub threads: usize,
    /// Forward passes that share the weights, and divide the threads; at least 1, and 1 on a GPU.
    pub replicas: usize,
    /// Tokens that neighbouring windows of a text share.
    pub overlap: usize,
    /// Whether disguised texts are read plain too.
    pub normalise: bool,
}

impl Model {
    /// Checks everything an artifact holds, loads it and runs each replica once, the first twice.
    pub fn load(artifact: Artifact, settings: &LoadSettings) -> Result<Self> {
        settings.check()?;
        let shape = WindowShape {
            vocab_size: artifact.config.vocab_size,
            max_tokens: artifact.config.max_window_tokens(),
            overlap: settings.overlap,
            normalise: settings.normalise,
        };
        let tokenizer_file = artifact.files.display("tokenizer.json");
        let parse = || Encoder::parse(&tokenizer_file, &artifact.tokenizer, shape);
        let encoder = low_priority::run(parse)?;
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
            calibration: artifact.scorer.calibration.version.clone(),
        };
        let replicas = load_replicas(&artifact.config, artifact.weights, settings)?;
        let Artifact { scorer, mappings, self_test, .. } = artifact;
        let mut model = Self { card, scorer, mappings, encoder, replicas, warm_up: None };
        for replica in &model.replicas {
            model.check_first_pass(&**replica)?;
        }
        if let [replica, ..] = &*model.replicas {
            self_test.check(&model.encoder, &**replica, &model.scorer)?;
            let n_tokens = n_warm_up_tokens(settings);
            model.warm_up = Some(WarmUp::measure(&model.encoder, &**replica, n_tokens)?);
        }
        Ok(model)
    }

    /// Scores one short text, so that a model which cannot is not served.
    fn check_first_pass(&self, replica: &dyn Forward) -> Result<()> {
        let Logits(logits) = first_pass(&self.encoder, replica)?;
        if self.scorer.score(logits.view()).is_some() {
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

/// Tokens that tell how fast a model is: enough for all threads, and few, since a model that takes
/// the place of another is loaded while that one serves. On two cores it is 0.01 s of the embedded
/// model.
fn n_warm_up_tokens(settings: &LoadSettings) -> usize {
    match settings.placement {
        Placement::Cpu => (64 * settings.replica_threads()).clamp(128, 4096),
        Placement::Cuda(_) | Placement::Metal(_) => 4096,
    }
}
