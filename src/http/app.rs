//! What all handlers share.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::Models;
use crate::error::Result;
use crate::http::audit::Audit;
use crate::http::gate::Access;
use crate::http::traces::Traces;
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::text::Limits;

/// The state of the service; a clone is the same one.
#[derive(Debug, Clone)]
pub struct App(Arc<Shared>);

/// What a request may bring, how long it may take, and from whom it may come.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Texts and their length.
    pub limits: Limits,
    /// Bytes of a request's body.
    pub max_body_bytes: usize,
    /// From headers to answer; a request may ask for less.
    pub timeout: Duration,
    /// Images are left out instead of refused.
    pub ignore_images: bool,
    /// Who may ask; anybody without it.
    pub access: Option<Access>,
    /// Takes a line for every scored request.
    pub audit: Option<Audit>,
    /// Takes a span for every POST.
    pub traces: Option<Traces>,
}

#[derive(Debug)]
struct Shared {
    settings: HttpSettings,
    metrics: Arc<Metrics>,
    lifecycle: Lifecycle,
    models: Arc<Models>,
}

impl App {
    /// A service without a model: it answers that it is starting.
    pub fn new(settings: HttpSettings, metrics: Arc<Metrics>, lifecycle: Lifecycle) -> Self {
        Self::with_models(settings, metrics, lifecycle, Vec::new())
    }

    /// The same for several models, by their names.
    pub fn with_models(
        settings: HttpSettings,
        metrics: Arc<Metrics>,
        lifecycle: Lifecycle,
        names: Vec<String>,
    ) -> Self {
        let models = Arc::new(Models::new(names, &metrics));
        Self(Arc::new(Shared { settings, metrics, lifecycle, models }))
    }

    /// Has an engine serve from now on, in the place of any other.
    pub fn install(&self, engine: Engine) {
        self.0.models.default_slot().swap(Arc::new(engine), None);
    }

    /// The engine that serves now where no model is asked for; to be asked for once a request.
    pub fn engine(&self) -> Result<Arc<Engine>> {
        self.0.models.default_slot().serving()
    }

    /// Which engines serve, and how others take their places.
    pub fn models(&self) -> &Arc<Models> {
        &self.0.models
    }

    pub(super) fn settings(&self) -> &HttpSettings {
        &self.0.settings
    }

    /// The instruments of the process.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    /// Where the service stands in its life.
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.0.lifecycle
    }
}
