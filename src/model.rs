//! A model, ready to run: batches in, logits out. The only home of candle.

mod artifact;
mod config;
mod device;
mod embedded;
mod encoder;
mod family;
mod head;
mod hub;
mod ops;
mod source;
mod weights;

use std::sync::Arc;

use candle_core::Tensor;
use ndarray::Array2;
use ndarray::Axis;
use rayon::prelude::*;

pub use self::artifact::Artifact;
pub use self::artifact::OwnPolicy;
pub use self::device::Placement;
pub use self::hub::HubSettings;
pub use self::source::Source;
use crate::batch::Batch;
use crate::encode::Encoder;
use crate::encode::WindowShape;
use crate::error::Cause;
use crate::error::Error;
use crate::error::Result;
use crate::policy::Policy;
use crate::score::Scorer;
use crate::text::Limits;
use crate::text::Text;

/// Everything between a text and its scores, and what there is to say about it.
#[derive(Debug)]
pub struct Model {
    /// What it is and where it came from.
    pub card: ModelCard,
    /// What its scores are judged by.
    pub policy: Policy,
    /// Text to windows.
    pub encoder: Encoder,
    /// Windows to logits.
    pub forward: Box<dyn Forward>,
    /// Logits to scores.
    pub scorer: Scorer,
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
    /// Threads of the forward pass.
    pub threads: usize,
    /// Tokens that neighbouring windows of a text share.
    pub overlap: usize,
}

impl Model {
    /// Checks everything an artifact holds, loads it and runs it once.
    pub fn load(artifact: Artifact, settings: &LoadSettings) -> Result<Self> {
        let shape = WindowShape {
            vocab_size: artifact.config.vocab_size,
            max_tokens: artifact.config.max_window_tokens(),
            overlap: settings.overlap,
        };
        let tokenizer_file = artifact.files.display("tokenizer.json");
        let encoder = Encoder::parse(&tokenizer_file, &artifact.tokenizer, shape)?;
        let device = settings.placement.open()?;
        let card = ModelCard {
            name: artifact.name,
            source: artifact.files.to_string(),
            revision: artifact.revision,
            sha256: artifact.weights.sha256.clone(),
            architecture: artifact.config.family.architecture,
            stored_dtype: artifact.weights.stored_dtype(),
            dtype: "f32",
            device: settings.placement.to_string(),
            n_parameters: artifact.weights.n_parameters(),
            labels: artifact.config.labels.clone(),
            max_window_tokens: shape.max_tokens,
            has_policy: artifact.has_policy,
            calibration: artifact.scorer.calibration.version.clone(),
        };
        let forward = Transformer::load(&artifact.config, artifact.weights, device, settings)?;
        let model = Self {
            card,
            policy: artifact.policy,
            encoder,
            forward: Box::new(forward),
            scorer: artifact.scorer,
        };
        model.warm_up()?;
        Ok(model)
    }

    /// Scores one short text, so that a model which cannot is not served.
    fn warm_up(&self) -> Result<()> {
        let limits = Limits { max_texts: 1, max_chars: usize::MAX };
        let text = Text::new(0, "Good morning!".into(), &limits)?;
        let encoded = self.encoder.encode(0, &text)?;
        let Logits(logits) = self.forward.forward(&Batch::pack(&encoded.windows))?;
        match self.scorer.score(&logits.view()) {
            Some(_) => Ok(()),
            None => Err(Error::Artifact {
                file: self.card.source.clone(),
                expected: "weights that give finite scores".into(),
                found: "NaN or infinity in the first forward pass".into(),
            }),
        }
    }
}

impl ModelCard {
    /// `name@revision` of a hub model, else `name@hash of the weights`; twelve digits of either.
    pub fn reference(&self) -> String {
        let revision = self.revision.as_ref().unwrap_or(&self.sha256);
        format!("{}@{}", self.name, revision.get(..12).unwrap_or(revision))
    }
}

/// An encoder with its head, and the threads they run on.
#[derive(Debug)]
struct Transformer {
    encoder: encoder::TransformerEncoder,
    head: head::ClassificationHead,
    device: candle_core::Device,
    threads: rayon::ThreadPool,
}

impl Transformer {
    fn load(
        config: &config::Config,
        mut weights: weights::Weights,
        device: candle_core::Device,
        settings: &LoadSettings,
    ) -> Result<Self> {
        let encoder = encoder::TransformerEncoder::load(config, &mut weights, &device)?;
        let head = head::ClassificationHead::load(config, &mut weights, &device)?;
        weights.finish()?;
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(settings.threads)
            .thread_name(|thread| format!("forward-{thread}"))
            .build()
            .map_err(|fault| Error::Config { name: "threads", reason: fault.to_string() })?;
        Ok(Self { encoder, head, device, threads })
    }

    /// Runs a batch: on the CPU a part on each thread, so that no step of it leaves a core idle.
    fn run(&self, batch: &Batch) -> candle_core::Result<Logits> {
        let n_parts = if self.device.is_cpu() { self.threads.current_num_threads() } else { 1 };
        let parts = batch.split(n_parts);
        let logits: Vec<_> =
            parts.par_iter().map(|part| self.logits(part)).collect::<candle_core::Result<_>>()?;
        let rows: Vec<_> = logits.iter().map(|part| part.view()).collect();
        let logits = ndarray::concatenate(Axis(0), &rows).map_err(candle_core::Error::wrap)?;
        Ok(Logits(logits))
    }

    fn logits(&self, batch: &Batch) -> candle_core::Result<Array2<f32>> {
        let hidden = self.encoder.forward(batch)?; // (token, hidden)
        let starts = Tensor::new(&batch.offsets[..batch.n_windows()], &self.device)?;
        let first_tokens = hidden.index_select(&starts, 0)?; // (window, hidden)
        let logits = self.head.forward(&first_tokens)?; // (window, label)
        let shape = logits.dims2()?;
        let values = logits.flatten_all()?.to_vec1()?;
        Array2::from_shape_vec(shape, values).map_err(candle_core::Error::wrap)
    }
}

impl Forward for Transformer {
    fn forward(&self, batch: &Batch) -> Result<Logits> {
        // candle and gemm split their work over the pool they are called in.
        self.threads.install(|| self.run(batch)).map_err(|fault| Error::Forward {
            rows: batch.n_windows(),
            source: Arc::new(fault) as Cause,
        })
    }
}
