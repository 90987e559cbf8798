//! A loaded model: maps batches to logits. The only module that depends on candle.

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
use crate::error::Error;
use crate::error::Result;
use crate::model::replicas::load_replicas;
use crate::model::warm_up::first_pass;
use crate::score::Activation;
use crate::score::Mapping;
use crate::score::Scorer;
use crate::tokenize::Tokenizer;
use crate::tokenize::WindowShape;

/// A loaded model: tokenizer, forward passes, scorer and policies, with a description of the model.
#[derive(Debug)]
pub struct Model {
    /// Description of the model and its origin.
    pub card: ModelCard,
    /// Converts logits to label scores.
    pub scorer: Scorer,
    /// The policies that scores are judged by: at least one; the first is the default.
    pub mappings: Vec<Arc<Mapping>>,
    /// Converts a text to windows of token ids.
    pub tokenizer: Tokenizer,
    /// Forward passes from windows to logits: at least one, each run by a worker of its own, all
    /// with the same weights.
    pub replicas: Vec<Box<dyn Forward>>,
    /// Measured speed of the first replica; `None` for a model that was not loaded from files.
    pub warm_up: Option<WarmUp>,
}

/// The forward pass of a model.
pub trait Forward: std::fmt::Debug + Send {
    /// Computes one row of logits per window of the batch, in order.
    fn forward(&self, batch: &Batch) -> Result<Logits>;
}

/// Raw outputs of the head, (window, label).
#[derive(Debug, Clone, PartialEq)]
pub struct Logits(pub Array2<f32>);

/// Description of a model, for people, logs and `/v1/models`.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelCard {
    /// Name of the folder or the repository.
    pub name: String,
    /// Where the model was loaded from.
    pub source: String,
    /// The commit, for a model from a hub.
    pub revision: Option<String>,
    /// SHA-256 of the weights file, hexadecimal; of all shards in order of name if there are
    /// several.
    pub sha256: String,
    /// The model class named in `config.json`.
    pub architecture: &'static str,
    /// Number types of the stored weights, joined by `+`.
    pub stored_dtype: String,
    /// Number type that the matrix products are computed in.
    pub dtype: &'static str,
    /// Device that the model runs on.
    pub device: String,
    /// Number of parameters.
    pub n_parameters: usize,
    /// Labels of the classification head, in output order.
    pub labels: Vec<String>,
    /// Activation that converts the logits of the head to scores.
    pub activation: Activation,
    /// Where the activation was specified.
    pub activation_source: ActivationSource,
    /// Maximum window length in tokens, special tokens included.
    pub max_window_tokens: usize,
    /// Whether the policy comes from the model or the operator; otherwise it is derived from the
    /// labels.
    pub has_policy: bool,
    /// Version of the applied calibration; `None` if scores are as the model gave them.
    pub calibration: Option<String>,
}

/// Settings for loading a model.
#[derive(Debug, Clone)]
pub struct LoadSettings {
    /// Device to run the model on.
    pub placement: Placement,
    /// Number type of the matrix products; GPUs support f32 only.
    pub dtype: Dtype,
    /// Number of threads for forward passes on the CPU, over all replicas.
    pub threads: usize,
    /// Number of replicas, which share the weights and divide the threads; at least 1, and 1 on a
    /// GPU.
    pub replicas: usize,
    /// Number of tokens that adjacent windows of a text share.
    pub overlap: usize,
    /// Whether obfuscated texts are also scored in normalised form.
    pub normalise: bool,
}

impl Model {
    /// Loads an artifact and checks it: runs one pass on every replica, then the self-test and the
    /// warm-up measurement on the first.
    pub fn load(artifact: Artifact, settings: &LoadSettings) -> Result<Self> {
        settings.check()?;
        let shape = WindowShape {
            vocab_size: artifact.config.vocab_size,
            max_tokens: artifact.config.max_window_tokens(),
            overlap: settings.overlap,
            normalise: settings.normalise,
        };
        let tokenizer_file = artifact.files.display("tokenizer.json");
        let parse = || Tokenizer::parse(&tokenizer_file, &artifact.tokenizer, shape);
        let tokenizer = low_priority::run(parse)?;
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
        let mut model = Self { card, scorer, mappings, tokenizer, replicas, warm_up: None };
        for replica in &model.replicas {
            model.check_first_pass(&**replica)?;
        }
        if let [replica, ..] = &*model.replicas {
            self_test.check(&model.tokenizer, &**replica, &model.scorer)?;
            let n_tokens = n_warm_up_tokens(settings);
            model.warm_up = Some(WarmUp::measure(&model.tokenizer, &**replica, n_tokens)?);
        }
        Ok(model)
    }

    /// Scores one short text and fails if the scores are not finite, so that such a model is not
    /// served.
    fn check_first_pass(&self, replica: &dyn Forward) -> Result<()> {
        let Logits(logits) = first_pass(&self.tokenizer, replica)?;
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
    /// Returns `name@revision` for a hub model, otherwise `name@SHA-256 of the weights`, with the
    /// first twelve digits of either.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.name, self.version())
    }

    /// Returns the part of `reference()` after the `@`.
    pub fn version(&self) -> &str {
        let revision = self.revision.as_ref().unwrap_or(&self.sha256);
        revision.get(..12).unwrap_or(revision)
    }
}

/// Returns the number of tokens for the warm-up measurement: enough to use all threads, but few,
/// because on a swap the new model is loaded while the previous one serves. On two cores this takes
/// 0.01 s with the embedded model.
fn n_warm_up_tokens(settings: &LoadSettings) -> usize {
    match settings.placement {
        Placement::Cpu => (64 * settings.replica_threads()).clamp(128, 4096),
        Placement::Cuda(_) | Placement::Metal(_) => 4096,
    }
}
