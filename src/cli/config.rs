//! Converts arguments into settings: reads files and checks that the values are consistent.

use std::sync::Arc;
use std::time::Duration;

use crate::cli::args::AccessArgs;
use crate::cli::args::AuditArgs;
use crate::cli::args::AuditFailure;
use crate::cli::args::ConnectionArgs;
use crate::cli::args::LimitArgs;
use crate::cli::args::ModelArgs;
use crate::cli::args::NamedSource;
use crate::cli::args::OpenArea;
use crate::cli::args::ServeArgs;
use crate::cli::args::SourceArgs;
use crate::cli::heads::heads;
use crate::engine::Engine;
use crate::engine::EngineGroup;
use crate::engine::EngineSettings;
use crate::engine::Loader;
use crate::engine::Memory;
use crate::error::Error;
use crate::error::Result;
use crate::http::Access;
use crate::http::Area;
use crate::http::Audit;
use crate::http::AuditSettings;
use crate::http::ConnectionSettings;
use crate::http::Drain;
use crate::http::HttpSettings;
use crate::http::Keyring;
use crate::http::Media;
use crate::http::OnFailure;
use crate::http::Traces;
use crate::metrics::Metrics;
use crate::model::HubSettings;
use crate::model::LoadSettings;
use crate::model::PolicyFile;
use crate::model::Source;
use crate::text::Limits;

/// Everything needed to start an engine.
#[derive(Debug)]
pub(super) struct EngineConfig {
    pub(super) models: Vec<NamedSource>, // at least one; unique names if several
    pub(super) loader: Loader,
}

/// Limits of the queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct QueueLimits {
    pub(super) n_tokens: usize,
    pub(super) time: Duration, // to compute what is queued
}

impl EngineConfig {
    pub(super) fn new(
        model: ModelArgs,
        limits: &LimitArgs,
        queue: QueueLimits,
        hub: HubSettings,
    ) -> Result<Self> {
        let threads = model.threads();
        let settings = EngineSettings {
            batch_tokens: model.batch_tokens(),
            queue_tokens: queue.n_tokens,
            queue_time: queue.time,
            max_request_tokens: limits.max_request_tokens.get(),
            tokenize_permits: threads,
            span_tokens: 0,
        };
        let group = EngineGroup::new(settings)?;
        let memory = Memory::below("/".into());
        let load = LoadSettings {
            placement: model.device,
            dtype: model.dtype,
            threads,
            replicas: model.replicas.into(),
            overlap: model.overlap,
            normalise: model.normalise,
        };
        load.check()?;
        let (models, policies) = (model.source.models(), model.source.policies());
        check_names(&models)?;
        let heads = heads(&models, &model.activations, &model.source.benign_labels)?;
        // A misspelt path is reported before anything is fetched.
        for path in &policies {
            PolicyFile::open(path)?;
        }
        Ok(Self { models, loader: Loader { policies, heads, hub, load, group, memory } })
    }

    /// Creates a configuration for texts from a file or the command line, one text per request.
    pub(super) fn for_lines(
        model: ModelArgs,
        limits: &LimitArgs,
        hub: HubSettings,
    ) -> Result<Self> {
        // Requests wait for space in the queue, which holds two of the largest; none is refused.
        let n_tokens = limits.max_request_tokens.get().saturating_mul(2);
        model.source.only()?;
        Self::new(model, limits, QueueLimits { n_tokens, time: Duration::MAX }, hub)
    }

    /// Creates a configuration for `n_requests` concurrent requests, all of which fit into the
    /// queue.
    pub(super) fn for_requests(
        model: ModelArgs,
        limits: &LimitArgs,
        n_requests: usize,
        hub: HubSettings,
    ) -> Result<Self> {
        let n_tokens = limits.max_request_tokens.get().saturating_mul(n_requests);
        let n_tokens = n_tokens.min(u32::MAX as usize);
        model.source.only()?;
        Self::new(model, limits, QueueLimits { n_tokens, time: Duration::MAX }, hub)
    }

    /// Allows requests to ask for spans, at the cost of up to `span_tokens` extra tokens each.
    #[must_use]
    pub(super) fn with_span_tokens(mut self, span_tokens: usize) -> Self {
        self.loader.group = self.loader.group.with_span_tokens(span_tokens);
        self
    }

    /// Returns the model names that requests may use; empty if the only model has no name.
    pub(super) fn names(&self) -> Vec<String> {
        self.models.iter().filter_map(|model| model.name.clone()).collect()
    }

    /// Fetches, checks and loads the first model and starts its engine; this may take minutes.
    pub(super) fn start(&self, metrics: Arc<Metrics>) -> Result<Engine> {
        let model = &self.models[0];
        self.loader.load(model.name.as_deref(), &model.source, metrics)
    }

    /// Starts the engines of all models, in order.
    pub(super) fn start_all(&self, metrics: &Arc<Metrics>) -> Result<Vec<Engine>> {
        let start = |model: &NamedSource| {
            self.loader.load(model.name.as_deref(), &model.source, Arc::clone(metrics))
        };
        self.models.iter().map(start).collect()
    }
}

impl SourceArgs {
    /// Returns the only model; fails if there are several.
    pub(super) fn only(&self) -> Result<Source> {
        match self.models().as_slice() {
            [only] => Ok(only.source.clone()),
            _ => refuse_models("only serve takes several"),
        }
    }
}

/// Checks that there is a model, and that several models have distinct names.
fn check_names(models: &[NamedSource]) -> Result<()> {
    let names: Vec<_> = models.iter().map(|model| model.name.as_deref()).collect();
    let is_duplicate = |index: usize| names[..index].contains(&names[index]);
    match names.as_slice() {
        [] => refuse_models("none"),
        [_] => Ok(()),
        names if names.contains(&None) => {
            refuse_models("of several models, each needs a name: NAME=SOURCE")
        }
        names if (0..names.len()).any(is_duplicate) => {
            refuse_models("two models have the same name")
        }
        _ => Ok(()),
    }
}

fn refuse_models<T>(reason: &str) -> Result<T> {
    Err(Error::Config { name: "model", reason: reason.into() })
}

impl Limits {
    /// Creates the limits for input lines, whose number is unlimited.
    pub(super) fn for_lines(args: &LimitArgs) -> Self {
        Self { max_texts: usize::MAX, max_chars: args.max_chars.get() }
    }
}

/// Returns how to handle images, audio and video, from the flag `--ignore-images`.
pub(super) fn media(ignore_images: bool) -> Media {
    if ignore_images { Media::Ignored } else { Media::Refused }
}

impl HttpSettings {
    pub(super) fn from_args(
        args: &ServeArgs,
        access: Option<Access>,
        audit: Option<Audit>,
        traces: Option<Traces>,
    ) -> Self {
        Self {
            limits: Limits {
                max_texts: args.max_texts.get(),
                max_chars: args.limits.max_chars.get(),
            },
            max_body_bytes: args.max_body_bytes.get(),
            timeout: Duration::from_millis(args.request_timeout_ms),
            media: media(args.ignore_images),
            access,
            audit,
            traces,
        }
    }
}

impl ConnectionSettings {
    pub(super) fn from_args(args: &ConnectionArgs) -> Self {
        Self {
            max_connections: args.max_connections.get(),
            max_header_bytes: args.max_header_bytes.get(),
            header_timeout: Duration::from_millis(args.header_timeout_ms),
            idle_timeout: Duration::from_millis(args.idle_timeout_ms),
            write_timeout: Duration::from_millis(args.write_timeout_ms),
        }
    }
}

impl Access {
    pub(super) fn from_args(args: &AccessArgs, keyring: Keyring) -> Result<Self> {
        if args.open.contains(&OpenArea::None) && args.open.len() > 1 {
            let reason = "none cannot be combined with other values".into();
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

impl AuditSettings {
    /// Returns `None` if no audit file is given.
    pub(super) fn from_args(args: &AuditArgs) -> Option<Self> {
        Some(Self {
            path: args.file.clone()?,
            max_bytes: args.max_bytes.get(),
            keep: args.keep.into(),
            on_failure: match args.on_failure {
                AuditFailure::Refuse => OnFailure::Refuse,
                AuditFailure::Drop => OnFailure::Drop,
            },
        })
    }
}

impl Drain {
    pub(super) fn from_args(args: &ServeArgs) -> Self {
        Self {
            delay: Duration::from_millis(args.drain_delay_ms),
            grace: Duration::from_millis(args.shutdown_timeout_ms),
        }
    }
}
