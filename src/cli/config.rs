//! What the arguments mean: files read, numbers held against each other.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tracing::info;
use tracing::warn;

use crate::cli::args::AccessArgs;
use crate::cli::args::LimitArgs;
use crate::cli::args::ModelArgs;
use crate::cli::args::OpenArea;
use crate::cli::args::ServeArgs;
use crate::cli::args::SourceArgs;
use crate::cli::file_error;
use crate::engine::Engine;
use crate::engine::EngineSettings;
use crate::error::Error;
use crate::error::Result;
use crate::http::Access;
use crate::http::Area;
use crate::http::Drain;
use crate::http::HttpSettings;
use crate::http::Keyring;
use crate::metrics::Metrics;
use crate::model::Artifact;
use crate::model::HubSettings;
use crate::model::LoadSettings;
use crate::model::Model;
use crate::model::OwnPolicy;
use crate::model::Source;
use crate::policy::Policy;
use crate::text::Limits;

/// Everything it takes to start an engine.
#[derive(Debug)]
pub(super) struct EngineConfig {
    source: Source,
    policies: Vec<OwnPolicy>,
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
        let policies = read_policies(&model.source)?;
        let settings = EngineSettings {
            batch_tokens: model.batch_tokens(),
            queue_tokens,
            max_request_tokens: limits.max_request_tokens.get(),
            encode_threads: threads,
            span_tokens: 0,
        };
        settings.check()?;
        let load = LoadSettings {
            placement: model.device,
            dtype: model.dtype,
            threads,
            overlap: model.overlap,
            normalise: model.normalise,
        };
        Ok(Self { source: model.source.model, policies, hub, load, settings })
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

    /// The same for so many requests at once, none of which is refused for want of room.
    pub(super) fn for_requests(
        model: ModelArgs,
        limits: &LimitArgs,
        n_requests: usize,
        hub: HubSettings,
    ) -> Result<Self> {
        let queue_tokens = limits.max_request_tokens.get().saturating_mul(n_requests);
        Self::new(model, limits, queue_tokens.min(u32::MAX as usize), hub)
    }

    /// Lets requests ask for spans, at such a cost.
    #[must_use]
    pub(super) fn with_span_tokens(mut self, span_tokens: usize) -> Self {
        self.settings.span_tokens = span_tokens;
        self
    }

    /// Fetches, checks and loads the model and puts it to work; takes a second or more.
    pub(super) fn start(self, metrics: Arc<Metrics>) -> Result<Engine> {
        let artifact = Artifact::open(&self.source, self.policies, self.hub)?;
        let model = Model::load(artifact, &self.load)?;
        announce(&model, self.load.threads);
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
    pub(super) fn of(args: &ServeArgs, access: Option<Access>) -> Self {
        Self {
            limits: Limits {
                max_texts: args.max_texts.get(),
                max_chars: args.limits.max_chars.get(),
            },
            max_body_bytes: args.max_body_bytes.get(),
            timeout: Duration::from_millis(args.timeout_ms),
            ignore_images: args.ignore_images,
            access,
        }
    }
}

impl Access {
    pub(super) fn of(args: &AccessArgs, keyring: Keyring) -> Result<Self> {
        if args.open.contains(&OpenArea::None) && args.open.len() > 1 {
            let reason = "none beside others".into();
            return Err(Error::Config { name: "open", reason });
        }
        let area = |area: &OpenArea| match area {
            OpenArea::Health => Some(Area::Health),
            OpenArea::Metrics => Some(Area::Metrics),
            OpenArea::Docs => Some(Area::Docs),
            OpenArea::None => None,
        };
        Ok(Self { keyring, open: args.open.iter().filter_map(area).collect() })
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

/// The operator's own policies.
pub(super) fn read_policies(args: &SourceArgs) -> Result<Vec<OwnPolicy>> {
    let read = |path: &PathBuf| {
        let toml = std::fs::read(path).map_err(|fault| file_error(path, "reading", fault))?;
        let file = path.display().to_string();
        let policy = Policy::parse(&file, &toml)?;
        Ok(OwnPolicy { file, policy })
    };
    args.policy.iter().map(read).collect()
}

fn announce(Model { card, rulesets, .. }: &Model, threads: usize) {
    let policies: Vec<_> = rulesets.iter().map(|ruleset| ruleset.policy.reference()).collect();
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
        policies = policies.join(", "),
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
