//! One of the models of a service: the engine that serves, and how it is swapped for another while
//! requests are in flight.

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::Weak;
use std::time::Instant;
use std::time::SystemTime;

use tokio::sync::Mutex;
use tokio::sync::watch;
use tracing::error;
use tracing::info;
use tracing::warn;

use crate::engine::instance::Engine;
use crate::engine::load_request::LoadRequest;
use crate::engine::loader::Loader;
use crate::engine::shadow::Shadow;
use crate::error::Error;
use crate::error::Result;
use crate::metrics::Metrics;
use crate::model::Source;

/// The engines of one model.
///
/// Until it is answered, a request holds the engine that served when the request arrived; an engine
/// ends, and its memory is freed, when the last reference is dropped.
#[derive(Debug)]
pub struct Slot {
    name: Option<String>,
    state: RwLock<State>,
    staging: Arc<Mutex<()>>, // locked while a model is loaded; shared by all slots
    crashed: watch::Sender<bool>, // shared by all slots
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct State {
    serving: Option<Serving>, // none until the first model is loaded
    previous: Option<PreviousModel>,
    staged: Option<Staged>,
    shadow: Option<Arc<Shadow>>,
}

/// The serving engine and its origin.
#[derive(Debug, Clone)]
pub struct Serving {
    /// The engine.
    pub engine: Arc<Engine>,
    /// Where it came from; `None` for an engine that was passed in directly.
    pub source: Option<Source>,
    /// When it started to serve.
    pub since: SystemTime,
}

/// A model that served before.
#[derive(Debug, Clone)]
pub struct PreviousModel {
    /// Its name and version.
    pub reference: String,
    /// Where it came from.
    pub source: Source,
    /// The SHA-256 of its weights.
    pub sha256: String,
    /// When it started to serve.
    pub since: SystemTime,
    /// When it was replaced.
    pub until: SystemTime,
}

/// A model that is being loaded, or the last one that failed.
#[derive(Debug, Clone)]
pub struct Staged {
    /// Where it comes from.
    pub source: Source,
    /// When it was requested.
    pub since: SystemTime,
    /// Why the model does not serve; `None` while it is being loaded.
    pub fault: Option<Error>,
}

/// The state of a slot, for operators.
#[derive(Debug, Clone)]
pub struct Overview {
    /// The serving model.
    pub serving: Option<Serving>,
    /// The model that served before.
    pub previous: Option<PreviousModel>,
    /// The model that is being loaded, or the last one that failed.
    pub staged: Option<Staged>,
    /// The shadow model.
    pub shadow: Option<Arc<Shadow>>,
}

impl Slot {
    /// Creates a slot without a model.
    pub(super) fn new(
        name: Option<String>,
        staging: Arc<Mutex<()>>,
        crashed: watch::Sender<bool>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { name, state: RwLock::default(), staging, crashed, metrics }
    }

    /// Returns the name set by the operator; without one, the slot is called by the model's own
    /// name.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns whether the slot has that name: the operator's, or the model's own, with or without
    /// its version.
    pub fn is_called(&self, name: &str) -> bool {
        let is_own = |serving: &Serving| {
            let card = serving.engine.card();
            card.name == name || card.reference() == name
        };
        self.name.as_deref() == Some(name)
            || self.read(|state| state.serving.as_ref().is_some_and(is_own))
    }

    /// Returns the serving engine. Fails with [`Error::Starting`] until the first model is loaded.
    pub fn serving(&self) -> Result<Arc<Engine>> {
        let engine = |state: &State| state.serving.as_ref().map(|now| Arc::clone(&now.engine));
        self.read(engine).ok_or(Error::Starting)
    }

    /// Counts a request and returns the shadow if the request is in its share.
    pub fn shadow(&self) -> Option<Arc<Shadow>> {
        self.read(|state| state.shadow.clone()).filter(|shadow| shadow.takes())
    }

    /// Returns the state of the slot.
    pub fn overview(&self) -> Overview {
        self.read(|state| Overview {
            serving: state.serving.clone(),
            previous: state.previous.clone(),
            staged: state.staged.clone(),
            shadow: state.shadow.clone(),
        })
    }

    /// Makes an engine the serving one, in place of any other.
    pub fn swap(self: &Arc<Self>, engine: Arc<Engine>, source: Option<Source>) {
        self.watch(&engine);
        let names = |engine: &Engine| (engine.card().reference(), engine.policy().reference());
        let (model, policy) = names(&engine);
        let serving = Serving { engine, source, since: SystemTime::now() };
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = state.serving.replace(serving) {
            let card = before.engine.card();
            let (model, policy) = names(&before.engine);
            self.metrics.clear_serving(&model, &policy);
            state.previous = before.source.clone().map(|source| PreviousModel {
                reference: card.reference(),
                source,
                sha256: card.sha256.clone(),
                since: before.since,
                until: SystemTime::now(),
            });
        }
        state.staged = None;
        // Set after the previous model's metric is cleared: both may have the same name.
        self.metrics.set_serving(&model, &policy);
    }

    /// Loads a model beside the serving one, then swaps them or makes it the shadow; if anything
    /// fails, the serving model stays. Fails with [`Error::Staging`] while another model is being
    /// loaded.
    pub async fn load(self: &Arc<Self>, loader: Loader, request: LoadRequest) -> Result<()> {
        let slot = Arc::clone(self);
        // A task of its own: the swap does not depend on the caller.
        let loading = tokio::spawn(async move {
            let _alone = slot.staging.try_lock().map_err(|_| Error::Staging)?;
            let (began, LoadRequest { source, shadow, .. }) = (Instant::now(), request.clone());
            let engine = slot.stage(loader, request, began).await?;
            match shadow {
                Some(fraction) => slot.start_shadow(engine, source, fraction),
                None => slot.take_over(engine, source, began),
            }
            Ok(())
        });
        loading.await.unwrap_or(Err(Error::Stopped))
    }

    /// Loads the model that served before. Fails if there is none or if its weights have changed.
    pub async fn roll_back(self: &Arc<Self>, loader: Loader) -> Result<()> {
        let previous = self.read(|state| state.previous.clone()).ok_or(Error::NothingBefore)?;
        let PreviousModel { source, sha256, .. } = previous;
        self.load(loader, LoadRequest { source, sha256: Some(sha256), shadow: None }).await
    }

    /// Makes the shadow the serving model. Fails if there is none or if its model has crashed.
    pub fn promote(self: &Arc<Self>) -> Result<()> {
        let shadow = self.write(State::take_shadow)?;
        self.take_over(Arc::clone(shadow.engine()), shadow.source().clone(), Instant::now());
        Ok(())
    }

    /// Removes the shadow. Fails with [`Error::NoShadow`].
    pub fn discard(&self) -> Result<()> {
        let shadow = self.write(|state| state.shadow.take()).ok_or(Error::NoShadow)?;
        info!(model = shadow.engine().card().reference(), "discarded the shadow model");
        Ok(())
    }

    /// Loads a model for this slot; records it as staged, and its error if it fails.
    pub(super) async fn stage(
        &self,
        loader: Loader,
        request: LoadRequest,
        began: Instant,
    ) -> Result<Arc<Engine>> {
        let source = request.source.clone();
        let staged = Staged { source, since: SystemTime::now(), fault: None };
        self.write(|state| state.staged = Some(staged.clone()));
        let (name, metrics) = (self.name.clone(), Arc::clone(&self.metrics));
        let loading = tokio::task::spawn_blocking(move || {
            loader.load_beside(name.as_deref(), &request, metrics)
        });
        let fault = match loading.await.unwrap_or(Err(Error::Stopped)) {
            Ok(engine) => return Ok(Arc::new(engine)),
            Err(fault) => fault,
        };
        self.metrics.record_swap("failed", began.elapsed());
        let (code, reason) = (fault.code(), fault.chain());
        warn!(code, reason, "the new model does not serve");
        let staged = Staged { fault: Some(fault.clone()), ..staged };
        self.write(|state| state.staged = Some(staged));
        Err(fault)
    }

    /// Makes a staged model the serving one.
    pub(super) fn take_over(self: &Arc<Self>, engine: Arc<Engine>, source: Source, began: Instant) {
        let model = engine.card().reference();
        self.swap(engine, Some(source));
        self.metrics.record_swap("swapped", began.elapsed());
        info!(model, "swapped the model");
    }

    /// Returns the source of the serving model, for reloading.
    pub(super) fn source(&self) -> Result<Source> {
        let source = self.read(|state| state.serving.clone()).and_then(|serving| serving.source);
        source.ok_or(Error::Starting)
    }

    fn start_shadow(self: &Arc<Self>, engine: Arc<Engine>, source: Source, fraction: f64) {
        let model = engine.card().reference();
        let shadow = Arc::new(Shadow::new(engine, source, fraction, Arc::clone(&self.metrics)));
        self.watch_shadow(&shadow);
        self.write(|state| {
            state.shadow = Some(shadow);
            state.staged = None;
        });
        info!(model, fraction, "started a shadow model");
    }

    /// Reports a panic of this engine while it serves. A panic after a swap only fails the requests
    /// that the old engine still has.
    fn watch(self: &Arc<Self>, engine: &Arc<Engine>) {
        let (crashed, slot, engine) =
            (engine.crashed(), Arc::downgrade(self), Arc::downgrade(engine));
        tokio::spawn(async move {
            if !crashed.await {
                return;
            }
            let slot = slot.upgrade();
            if let Some(slot) = slot.filter(|slot| slot.serves(&engine)) {
                slot.crashed.send_replace(true);
            } else {
                error!("a replaced model has panicked");
            }
        });
    }

    fn serves(&self, engine: &Weak<Engine>) -> bool {
        let is_same =
            |serving: &Serving| std::ptr::eq(Arc::as_ptr(&serving.engine), engine.as_ptr());
        self.read(|state| state.serving.as_ref().is_some_and(is_same))
    }

    /// Removes the shadow if it panics.
    fn watch_shadow(self: &Arc<Self>, shadow: &Arc<Shadow>) {
        let (crashed, slot) = (shadow.engine().crashed(), Arc::downgrade(self));
        let shadow = Arc::downgrade(shadow);
        tokio::spawn(async move {
            if crashed.await
                && let Some(slot) = slot.upgrade()
            {
                slot.remove_crashed_shadow(&shadow);
            }
        });
    }

    fn remove_crashed_shadow(&self, crashed: &Weak<Shadow>) {
        let is_same =
            |shadow: &mut Arc<Shadow>| std::ptr::eq(Arc::as_ptr(shadow), crashed.as_ptr());
        let shadow = self.write(|state| {
            let shadow = state.shadow.take_if(is_same)?;
            let (source, since) = (shadow.source().clone(), shadow.since());
            state.staged = Some(Staged { source, since, fault: Some(Error::ShadowCrashed) });
            Some(shadow)
        });
        if let Some(shadow) = shadow {
            self.metrics.count_shadow_crash();
            let model = shadow.engine().card().reference();
            error!(model, "the shadow model panicked and was removed");
        }
    }

    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    /// Removes and returns the shadow to be promoted; a crashed shadow is left in its slot.
    fn take_shadow(&mut self) -> Result<Arc<Shadow>> {
        if let Some(shadow) = self.shadow.take_if(|shadow| !shadow.engine().has_crashed()) {
            return Ok(shadow);
        }
        let fault = self.staged.as_ref().and_then(|staged| staged.fault.as_ref());
        let has_crashed = self.shadow.is_some() || matches!(fault, Some(Error::ShadowCrashed));
        Err(if has_crashed { Error::ShadowCrashed } else { Error::NoShadow })
    }
}

#[cfg(test)]
mod tests;
