//! What the arguments mean: files read, numbers held against each other.

use std::sync::Arc;
use std::time::Duration;

use tracing::info;
use tracing::warn;

use crate::cli::args::LimitArgs;
use crate::cli::args::ModelArgs;
use crate::cli::args::ServeArgs;
use crate::cli::args::SourceArgs;
use crate::cli::file_error;
use crate::engine::Engine;
use crate::engine::EngineSettings;
use crate::error::Result;
use crate::http::Drain;
use crate::http::HttpSettings;
use crate::metrics::Metrics;
use crate::model::Artifact;
use crate::model::HubSettings;
use crate::model::LoadSettings;
use crate::model::Model;
use crate::model::ModelCard;
use crate::model::OwnPolicy;
use crate::model::Source;
use crate::policy::Policy;
use crate::text::Limits;

/// Everything it takes to start an engine.
#[derive(Debug)]
pub(super) struct EngineConfig {
    source: Source,
    own_policy: Option<OwnPolicy>,
    hub: HubSettings,
    load: LoadSettings,
    settings: EngineSettings,
}

impl EngineConfig {
    pub(super) fn new(
        model: ModelArgs,
        limits: &LimitArgs,
        queue_tokens: usize,
        hub: HubSettings,
    ) -> Result<Self> {
        let threads = model.threads();
        let own_policy = read_policy(&model.source)?;
        let settings = EngineSettings {
            batch_tokens: model.batch_tokens(),
            queue_tokens,
            max_request_tokens: limits.max_request_tokens.get(),
            encode_threads: threads,
        };
        settings.check()?;
        let load = LoadSettings {
            placement: model.device,
            dtype: model.dtype,
            threads,
            overlap: model.overlap,
        };
        Ok(Self { source: model.source.model, own_policy, hub, load, settings })
    }

    /// The same for files and texts as typed, a line at a time.
    pub(super) fn for_lines(
        model: ModelArgs,
        limits: &LimitArgs,
        hub: HubSettings,
    ) -> Result<Self> {
        // The queue never refuses here; it holds two of the largest requests.
        let queue_tokens = limits.max_request_tokens.get().saturating_mul(2);
        Self::new(model, limits, queue_tokens, hub)
    }

    /// Fetches, checks and loads the model and puts it to work; takes a second or more.
    pub(super) fn start(self, metrics: Arc<Metrics>) -> Result<Engine> {
        let artifact = Artifact::open(&self.source, self.own_policy, self.hub)?;
        let model = Model::load(artifact, &self.load)?;
        announce(&model.card, &model.policy, self.load.threads);
        Engine::start(model, self.settings, metrics)
    }
}

impl Limits {
    /// Of lines, of which there may be any number.
    pub(super) fn of_lines(args: &LimitArgs) -> Self {
        Self { max_texts: usize::MAX, max_chars: args.max_chars.get() }
    }
}

impl HttpSettings {
    pub(super) fn of(args: &ServeArgs) -> Self {
        Self {
            limits: Limits {
                max_texts: args.max_texts.get(),
                max_chars: args.limits.max_chars.get(),
            },
            max_body_bytes: args.max_body_bytes.get(),
            timeout: Duration::from_millis(args.timeout_ms),
        }
    }
}

impl Drain {
    pub(super) fn of(args: &ServeArgs) -> Self {
        Self {
            delay: Duration::from_millis(args.drain_delay_ms),
            grace: Duration::from_millis(args.grace_ms),
        }
    }
}

/// The operator's own policy, if there is one.
pub(super) fn read_policy(args: &SourceArgs) -> Result<Option<OwnPolicy>> {
    let Some(path) = &args.policy else { return Ok(None) };
    let toml = std::fs::read(path).map_err(|fault| file_error(path, "reading", fault))?;
    let file = path.display().to_string();
    let policy = Policy::parse(&file, &toml)?;
    Ok(Some(OwnPolicy { file, policy }))
}

fn announce(card: &ModelCard, policy: &Policy, threads: usize) {
    info!(
        model = card.reference(),
        source = card.source,
        revision = card.revision,
        sha256 = card.sha256,
        architecture = card.architecture,
        parameters = card.n_parameters,
        stored_dtype = card.stored_dtype,
        dtype = card.dtype,
        device = card.device,
        threads,
        policy = policy.reference(),
        calibration = card.calibration,
        "loaded the model"
    );
    if !card.has_policy {
        warn!("no policy.toml: every label of the model is a category, with a threshold of 0.5");
    }
    if card.calibration.is_none() {
        warn!("no calibration.json: scores are as the model gives them, not calibrated");
    }
}
