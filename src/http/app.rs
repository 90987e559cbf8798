//! What all handlers share.

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use crate::engine::Engine;
use crate::error::Error;
use crate::error::Result;
use crate::http::gate::Access;
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
}

#[derive(Debug)]
struct Shared {
    settings: HttpSettings,
    metrics: Arc<Metrics>,
    lifecycle: Lifecycle,
    engine: OnceLock<Engine>, // empty until the model is loaded
}

impl App {
    /// A service without a model: it answers that it is starting.
    pub fn new(settings: HttpSettings, metrics: Arc<Metrics>, lifecycle: Lifecycle) -> Self {
        Self(Arc::new(Shared { settings, metrics, lifecycle, engine: OnceLock::new() }))
    }

    /// Puts the engine in; a second one is dropped.
    pub fn install(&self, engine: Engine) {
        self.0.engine.get_or_init(|| engine);
    }

    /// The engine, once it is there.
    pub fn engine(&self) -> Result<&Engine> {
        self.0.engine.get().ok_or(Error::Starting)
    }

    pub(super) fn settings(&self) -> &HttpSettings {
        &self.0.settings
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Where the service stands in its life.
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.0.lifecycle
    }
}
