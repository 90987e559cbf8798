//! A loaded model: maps batches to logits. The only module that depends on candle.

mod artifact;
mod checkpoint;
mod config;
mod cpu;
mod device;
mod embedded;
mod family;
mod hub;
mod load_priority;
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
pub use self::artifact::PolicyFile;
pub use self::config::ActivationSource;
pub use self::device::Dtype;
pub use self::device::Placement;
pub use self::hub::HubSettings;
pub use self::hub::Token;
pub(crate) use self::load_priority::LoadPriority;
pub use self::replicas::replica_threads;
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
    /// Loads an artifact and checks it: a first pass gives finite scores, and the self-test holds.
    /// Then measures the speed of the first replica.
    pub fn load(artifact: Artifact, settings: &LoadSettings) -> Result<Self> {
        Self::load_with(artifact, settings, LoadPriority::Normal)
    }

    /// Loads an artifact with a priority. On the CPU it holds for all but the measurement; what runs
    /// on a GPU always has the normal one.
    pub(crate) fn load_with(
        artifact: Artifact,
        settings: &LoadSettings,
        priority: LoadPriority,
    ) -> Result<Self> {
        settings.check()?;
        let shape = WindowShape {
            vocab_size: artifact.config.vocab_size,
            max_tokens: artifact.config.max_window_tokens(),
            overlap: settings.overlap,
            normalise: settings.normalise,
        };
        let tokenizer_file = artifact.files.display("tokenizer.json");
        let parse = || Tokenizer::parse(&tokenizer_file, &artifact.tokenizer, shape);
        let tokenizer = priority.run(parse)?;
        let card = ModelCard::new(&artifact, settings);
        let replicas = load_replicas(&artifact.config, artifact.weights, settings, priority)?;
        let Artifact { scorer, mappings, self_test, .. } = artifact;
        let check = |replica: &dyn Forward| {
            let Logits(logits) = first_pass(&tokenizer, replica)?;
            if scorer.score(logits.view()).is_none() {
                return Err(not_finite(&card.source));
            }
            self_test.check(&tokenizer, replica, &scorer)
        };
        match replicas.testing {
            Some(replica) => priority.run(move || check(&*replica))?,
            None => replicas.serving.iter().try_for_each(|replica| check(&**replica))?,
        }
        let n_tokens = n_warm_up_tokens(settings);
        let warm_up = match replicas.serving.first() {
            Some(replica) => Some(WarmUp::measure(&tokenizer, &**replica, n_tokens)?),
            None => None,
        };
        Ok(Self { card, scorer, mappings, tokenizer, replicas: replicas.serving, warm_up })
    }
}

fn not_finite(file: &str) -> Error {
    Error::Artifact {
        file: file.into(),
        expected: "weights that give finite scores".into(),
        found: "NaN or infinity in the first forward pass".into(),
    }
}

impl ModelCard {
    fn new(artifact: &Artifact, settings: &LoadSettings) -> Self {
        let Artifact { config, weights, .. } = artifact;
        Self {
            name: artifact.name.clone(),
            source: artifact.files.to_string(),
            revision: artifact.revision.clone(),
            sha256: weights.sha256.clone(),
            architecture: config.family.architecture,
            stored_dtype: weights.stored_dtype(),
            dtype: settings.dtype.name(),
            device: settings.placement.to_string(),
            n_parameters: weights.n_parameters(),
            labels: config.labels.clone(),
            activation: config.activation,
            activation_source: config.activation_source,
            max_window_tokens: config.max_window_tokens(),
            has_policy: artifact.has_policy,
            calibration: artifact.scorer.calibration.version.clone(),
        }
    }

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
/// 0.02 s with the embedded model.
fn n_warm_up_tokens(settings: &LoadSettings) -> usize {
    match settings.placement {
        Placement::Cpu => (64 * settings.replica_threads()).clamp(128, 4096),
        Placement::Cuda(_) | Placement::Metal(_) => 4096,
    }
}
