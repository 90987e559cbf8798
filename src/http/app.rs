//! The state shared by all handlers.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::Models;
use crate::engine::Slot;
use crate::error::Result;
use crate::http::auth::Access;
use crate::http::telemetry::audit::Audit;
use crate::http::telemetry::traces::Traces;
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::text::Limits;

/// The state of the service. Clones share the same state.
#[derive(Debug, Clone)]
pub struct App(Arc<Shared>);

/// Request limits, and the settings for authentication, auditing and tracing.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Maximum number and length of texts.
    pub limits: Limits,
    /// Maximum size of a request body in bytes, after decompression.
    pub max_body_bytes: usize,
    /// Maximum time from the headers of a request to its response; a request may set a shorter one.
    pub timeout: Duration,
    /// How images, audio and video are handled.
    pub media: Media,
    /// The accepted API keys; `None` disables authentication.
    pub access: Option<Access>,
    /// The audit log, which records every scored request.
    pub audit: Option<Audit>,
    /// The trace exporter, which receives a span for every sampled POST request.
    pub traces: Option<Traces>,
}

/// How content other than text is handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// Requests with such content are rejected.
    Refused,
    /// Such content is ignored.
    Ignored,
}

#[derive(Debug)]
struct Shared {
    settings: HttpSettings,
    metrics: Arc<Metrics>,
    lifecycle: Lifecycle,
    models: Arc<Models>,
}

impl App {
    /// Creates a service without a model, which reports that it is starting.
    pub fn new(settings: HttpSettings, metrics: Arc<Metrics>, lifecycle: Lifecycle) -> Self {
        Self::with_models(settings, metrics, lifecycle, Vec::new())
    }

    /// Creates a service for the named models, or for one unnamed model if `names` is empty.
    pub fn with_models(
        settings: HttpSettings,
        metrics: Arc<Metrics>,
        lifecycle: Lifecycle,
        names: Vec<String>,
    ) -> Self {
        let models = Arc::new(Models::new(names, &metrics));
        Self(Arc::new(Shared { settings, metrics, lifecycle, models }))
    }

    /// Installs an engine as the default model, replacing the current one.
    pub fn install(&self, engine: Engine) {
        self.0.models.default_slot().swap(Arc::new(engine), None);
    }

    /// Returns the engine of the default model. Call this once per request: a model swap may
    /// replace the engine.
    pub fn engine(&self) -> Result<Arc<Engine>> {
        self.0.models.default_slot().serving()
    }

    /// Returns the models of the service.
    pub fn models(&self) -> &Arc<Models> {
        &self.0.models
    }

    /// Returns the slot of the model that a request names, or of the default model if it names
    /// none.
    pub(super) fn slot(&self, name: Option<&str>) -> Result<&Arc<Slot>> {
        match name.and_then(|name| self.find_slot(name)) {
            Some(slot) => Ok(slot),
            None => self.0.models.slot(name),
        }
    }

    /// Returns the slot of the model with that name, if there is one. Multi-vendor clients prefix
    /// the name with a vendor, as in `openai/NAME`.
    pub(super) fn find_slot(&self, name: &str) -> Option<&Arc<Slot>> {
        let models = &self.0.models;
        models.find(name).or_else(|| models.find(name.split_once('/')?.1))
    }

    pub(super) fn settings(&self) -> &HttpSettings {
        &self.0.settings
    }

    /// Returns the metrics of the process.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    /// Returns the lifecycle of the service.
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.0.lifecycle
    }
}
