//! What all handlers share.

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use crate::engine::Deadline;
use crate::engine::Engine;
use crate::engine::Patience;
use crate::error::Error;
use crate::error::Result;
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::score::Report;
use crate::score::Terms;
use crate::text::Limits;
use crate::text::Text;

/// The state of the service; a clone is the same one.
#[derive(Debug, Clone)]
pub struct App(Arc<Shared>);

/// What a request may bring and how long it may take.
#[derive(Debug, Clone, Copy)]
pub struct HttpSettings {
    /// Texts and their length.
    pub limits: Limits,
    /// Bytes of a request's body.
    pub max_body_bytes: usize,
    /// From headers to answer; a request may ask for less.
    pub timeout: Duration,
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

    /// Scores and judges the texts of one request: all of them or none.
    pub(super) async fn assess(
        &self,
        raws: Vec<String>,
        terms: &Terms,
        deadline: Deadline,
    ) -> Result<Vec<Report>> {
        let engine = self.engine()?;
        let texts = Text::all(raws, &self.0.settings.limits)?;
        let scored = engine.score(texts, Patience::Until(deadline)).await?;
        let policy = engine.policy();
        let report = |text: crate::engine::Scored| {
            let verdict = terms.judge(&text.scores);
            for judgement in verdict.categories.iter().filter(|judgement| judgement.violated) {
                self.0.metrics.flagged(&policy.categories[judgement.category].id);
            }
            Report::new(&verdict, policy, text.n_tokens, text.n_windows)
        };
        Ok(scored.into_iter().map(report).collect())
    }
}
