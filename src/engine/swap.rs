//! Which engine serves, and how another takes its place while requests are in flight.

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::time::SystemTime;

use tokio::sync::Mutex;
use tokio::sync::watch;
use tracing::info;
use tracing::warn;

use crate::engine::Engine;
use crate::engine::Loader;
use crate::error::Error;
use crate::error::Result;
use crate::metrics::Metrics;
use crate::model::Source;

/// The engines of one service.
///
/// Whoever answers a request holds the engine that served when it came, to the end; an engine that
/// nobody holds any more ends, and its memory is free.
#[derive(Debug)]
pub struct Models {
    state: RwLock<State>,
    staging: Mutex<()>, // held while a model is on its way
    crashed: watch::Sender<bool>,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct State {
    serving: Option<Serving>, // none until the first model is loaded
    previous: Option<Past>,
    staged: Option<Staged>,
}

#[derive(Debug, Clone)]
struct Serving {
    engine: Arc<Engine>,
    source: Option<Source>, // none where the engine was made by hand
    since: SystemTime,
}

/// A model that served once.
#[derive(Debug, Clone)]
pub struct Past {
    /// Its name and version.
    pub reference: String,
    /// Where it came from.
    pub source: Source,
    /// Of its weights.
    pub sha256: String,
    /// From when on it served.
    pub since: SystemTime,
    /// When another took its place.
    pub until: SystemTime,
}

/// A model on its way, or the last one that did not get there.
#[derive(Debug, Clone)]
pub struct Staged {
    /// Where it comes from.
    pub source: Source,
    /// When it was asked for.
    pub since: SystemTime,
    /// Why it does not serve; none while it is on its way.
    pub fault: Option<Error>,
}

/// What there is, for operators.
#[derive(Debug, Clone)]
pub struct Overview {
    /// What serves: the engine, where it came from, since when.
    pub serving: Option<(Arc<Engine>, Option<Source>, SystemTime)>,
    /// What served before.
    pub previous: Option<Past>,
    /// What is on its way or failed last.
    pub staged: Option<Staged>,
}

impl Models {
    /// A service without a model.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        let crashed = watch::Sender::new(false);
        Self { state: RwLock::default(), staging: Mutex::new(()), crashed, metrics }
    }

    /// The engine that serves now.
    pub fn serving(&self) -> Result<Arc<Engine>> {
        let serving = self.read(|state| state.serving.clone());
        serving.map(|serving| serving.engine).ok_or(Error::Starting)
    }

    /// What there is.
    pub fn overview(&self) -> Overview {
        self.read(|state| Overview {
            serving: state
                .serving
                .clone()
                .map(|serving| (serving.engine, serving.source, serving.since)),
            previous: state.previous.clone(),
            staged: state.staged.clone(),
        })
    }

    /// Has an engine serve from now on, in the place of any other.
    pub fn exchange(&self, engine: Engine, source: Option<Source>) {
        let engine = Arc::new(engine);
        self.watch(&engine);
        let names = |engine: &Engine| (engine.card().reference(), engine.policy().reference());
        let (model, policy) = names(&engine);
        let serving = Serving { engine, source, since: SystemTime::now() };
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = state.serving.replace(serving) {
            let card = before.engine.card();
            let (model, policy) = names(&before.engine);
            self.metrics.served(&model, &policy);
            state.previous = before.source.clone().map(|source| Past {
                reference: card.reference(),
                source,
                sha256: card.sha256.clone(),
                since: before.since,
                until: SystemTime::now(),
            });
        }
        state.staged = None;
        // After the other: they may be of one name.
        self.metrics.serving(&model, &policy);
    }

    /// Loads a model beside the one that serves and exchanges them; if anything fails, nothing has
    /// changed. One at a time: while another is on its way, it is refused.
    pub async fn load(
        self: &Arc<Self>,
        loader: Loader,
        source: Source,
        sha256: Option<String>,
    ) -> Result<Arc<Engine>> {
        let models = Arc::clone(self);
        // A task of its own: the exchange does not hang on whoever asked for it.
        let loading = tokio::spawn(async move { models.stage(loader, source, sha256).await });
        loading.await.unwrap_or(Err(Error::Stopped))
    }

    /// Loads the model that served before, if its weights are still the same.
    pub async fn roll_back(self: &Arc<Self>, loader: Loader) -> Result<Arc<Engine>> {
        let previous = self.read(|state| state.previous.clone()).ok_or(Error::NothingBefore)?;
        self.load(loader, previous.source, Some(previous.sha256)).await
    }

    /// Loads the same source again, with its policies as they are now.
    pub async fn reload(self: &Arc<Self>, loader: Loader) -> Result<Arc<Engine>> {
        let source = self.read(|state| state.serving.clone()).and_then(|serving| serving.source);
        self.load(loader, source.ok_or(Error::Starting)?, None).await
    }

    /// Waits until the engine that serves has panicked.
    pub async fn crashed(&self) {
        let mut crashed = self.crashed.subscribe();
        // The sender lives as long as we do.
        let _ = crashed.wait_for(|&crashed| crashed).await;
    }

    async fn stage(
        &self,
        loader: Loader,
        source: Source,
        sha256: Option<String>,
    ) -> Result<Arc<Engine>> {
        let _alone = self.staging.try_lock().map_err(|_| Error::Staging)?;
        let started = SystemTime::now();
        let staged = Staged { source: source.clone(), since: started, fault: None };
        self.write(|state| state.staged = Some(staged.clone()));
        let (from, metrics) = (source.clone(), Arc::clone(&self.metrics));
        let loading = tokio::task::spawn_blocking(move || {
            loader.load_beside(&from, sha256.as_deref(), metrics)
        });
        match loading.await.unwrap_or(Err(Error::Stopped)) {
            Ok(engine) => {
                self.exchange(engine, Some(source));
                self.metrics.swapped("exchanged", started.elapsed().unwrap_or_default());
                let engine = self.serving()?;
                info!(model = engine.card().reference(), "exchanged the model");
                Ok(engine)
            }
            Err(fault) => {
                self.metrics.swapped("failed", started.elapsed().unwrap_or_default());
                let (code, reason) = (fault.code(), fault.chain());
                warn!(code, reason, "the new model does not serve");
                let staged = Staged { fault: Some(fault.clone()), ..staged };
                self.write(|state| state.staged = Some(staged));
                Err(fault)
            }
        }
    }

    /// Tells if this engine panics, as long as it serves.
    fn watch(&self, engine: &Arc<Engine>) {
        let (ended, crashed) = (engine.crashed(), self.crashed.clone());
        tokio::spawn(async move {
            if ended.await {
                crashed.send_replace(true);
            }
        });
    }

    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
    }
}
