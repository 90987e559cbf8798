//! One of the models of a service: which engine serves, and how another takes its place while
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
/// Whoever answers a request holds the engine that served when it came, to the end; an engine that
/// nobody holds any more ends, and its memory is free.
#[derive(Debug)]
pub struct Slot {
    name: Option<String>,
    state: RwLock<State>,
    staging: Arc<Mutex<()>>, // held while a model is on its way; all slots have the same
    crashed: watch::Sender<bool>, // of all slots too
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct State {
    serving: Option<Serving>, // none until the first model is loaded
    previous: Option<PreviousModel>,
    staged: Option<Staged>,
    shadow: Option<Arc<Shadow>>,
}

/// What serves.
#[derive(Debug, Clone)]
pub struct Serving {
    /// The engine.
    pub engine: Arc<Engine>,
    /// Where it came from; none where the engine was made by hand.
    pub source: Option<Source>,
    /// From when on.
    pub since: SystemTime,
}

/// A model that served once.
#[derive(Debug, Clone)]
pub struct PreviousModel {
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
    /// What serves.
    pub serving: Option<Serving>,
    /// What served before.
    pub previous: Option<PreviousModel>,
    /// What is on its way or failed last.
    pub staged: Option<Staged>,
    /// What scores too, without being answered with.
    pub shadow: Option<Arc<Shadow>>,
}

impl Slot {
    /// A place without a model yet.
    pub(super) fn new(
        name: Option<String>,
        staging: Arc<Mutex<()>>,
        crashed: watch::Sender<bool>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { name, state: RwLock::default(), staging, crashed, metrics }
    }

    /// What requests call it, if the operator has said so; else it goes by the model's own name.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether requests mean it by that name: the operator's, or the model's own, also with its
    /// version.
    pub fn is_called(&self, name: &str) -> bool {
        let is_own = |serving: &Serving| {
            let card = serving.engine.card();
            card.name == name || card.reference() == name
        };
        self.name.as_deref() == Some(name)
            || self.read(|state| state.serving.as_ref().is_some_and(is_own))
    }

    /// The engine that serves now.
    pub fn serving(&self) -> Result<Arc<Engine>> {
        let engine = |state: &State| state.serving.as_ref().map(|now| Arc::clone(&now.engine));
        self.read(engine).ok_or(Error::Starting)
    }

    /// The shadow, if the request that comes now is in its share.
    pub fn shadow(&self) -> Option<Arc<Shadow>> {
        self.read(|state| state.shadow.clone()).filter(|shadow| shadow.takes())
    }

    /// What there is.
    pub fn overview(&self) -> Overview {
        self.read(|state| Overview {
            serving: state.serving.clone(),
            previous: state.previous.clone(),
            staged: state.staged.clone(),
            shadow: state.shadow.clone(),
        })
    }

    /// Has an engine serve from now on, in the place of any other.
    pub fn swap(self: &Arc<Self>, engine: Arc<Engine>, source: Option<Source>) {
        self.watch(&engine);
        let names = |engine: &Engine| (engine.card().reference(), engine.policy().reference());
        let (model, policy) = names(&engine);
        let serving = Serving { engine, source, since: SystemTime::now() };
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = state.serving.replace(serving) {
            let card = before.engine.card();
            let (model, policy) = names(&before.engine);
            self.metrics.served(&model, &policy);
            state.previous = before.source.clone().map(|source| PreviousModel {
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

    /// Loads a model beside the one that serves, and exchanges them or puts it in the shadow; if
    /// anything fails, nothing has changed. One at a time: while another is on its way, it is
    /// refused.
    pub async fn load(self: &Arc<Self>, loader: Loader, request: LoadRequest) -> Result<()> {
        let slot = Arc::clone(self);
        // A task of its own: the swap does not hang on whoever asked for it.
        let loading = tokio::spawn(async move {
            let _alone = slot.staging.try_lock().map_err(|_| Error::Staging)?;
            let (began, LoadRequest { source, shadow, .. }) = (Instant::now(), request.clone());
            let engine = slot.stage(loader, request, began).await?;
            match shadow {
                Some(fraction) => slot.put_in_shadow(engine, source, fraction),
                None => slot.take_over(engine, source, began),
            }
            Ok(())
        });
        loading.await.unwrap_or(Err(Error::Stopped))
    }

    /// Loads the model that served before, if its weights are still the same.
    pub async fn roll_back(self: &Arc<Self>, loader: Loader) -> Result<()> {
        let previous = self.read(|state| state.previous.clone()).ok_or(Error::NothingBefore)?;
        let PreviousModel { source, sha256, .. } = previous;
        self.load(loader, LoadRequest { source, sha256: Some(sha256), shadow: None }).await
    }

    /// Has the shadow serve, unless its model has crashed.
    pub fn promote(self: &Arc<Self>) -> Result<()> {
        let shadow = self.write(State::take_shadow)?;
        self.take_over(Arc::clone(shadow.engine()), shadow.source().clone(), Instant::now());
        Ok(())
    }

    /// Ends the shadow.
    pub fn discard(&self) -> Result<()> {
        let shadow = self.write(|state| state.shadow.take()).ok_or(Error::NoShadow)?;
        info!(model = shadow.engine().card().reference(), "the shadow is gone");
        Ok(())
    }

    /// Loads a model that is to serve here, or tells why it cannot.
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
        self.metrics.swapped("failed", began.elapsed());
        let (code, reason) = (fault.code(), fault.chain());
        warn!(code, reason, "the new model does not serve");
        let staged = Staged { fault: Some(fault.clone()), ..staged };
        self.write(|state| state.staged = Some(staged));
        Err(fault)
    }

    /// Has a model that was staged serve.
    pub(super) fn take_over(self: &Arc<Self>, engine: Arc<Engine>, source: Source, began: Instant) {
        let model = engine.card().reference();
        self.swap(engine, Some(source));
        self.metrics.swapped("exchanged", began.elapsed());
        info!(model, "exchanged the model");
    }

    /// What is loaded again when the files are read again.
    pub(super) fn source(&self) -> Result<Source> {
        let source = self.read(|state| state.serving.clone()).and_then(|serving| serving.source);
        source.ok_or(Error::Starting)
    }

    fn put_in_shadow(self: &Arc<Self>, engine: Arc<Engine>, source: Source, fraction: f64) {
        let model = engine.card().reference();
        let shadow = Arc::new(Shadow::new(engine, source, fraction, Arc::clone(&self.metrics)));
        self.watch_shadow(&shadow);
        self.write(|state| {
            state.shadow = Some(shadow);
            state.staged = None;
        });
        info!(model, fraction, "scores in the shadow");
    }

    /// Tells if this engine panics while it serves. One that is on its way out takes the requests
    /// along that it still has, and nothing else.
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
                error!("a model that serves no more has panicked");
            }
        });
    }

    fn serves(&self, engine: &Weak<Engine>) -> bool {
        let is_same =
            |serving: &Serving| std::ptr::eq(Arc::as_ptr(&serving.engine), engine.as_ptr());
        self.read(|state| state.serving.as_ref().is_some_and(is_same))
    }

    /// Takes the shadow out if it panics.
    fn watch_shadow(self: &Arc<Self>, shadow: &Arc<Shadow>) {
        let (crashed, slot) = (shadow.engine().crashed(), Arc::downgrade(self));
        let shadow = Arc::downgrade(shadow);
        tokio::spawn(async move {
            if crashed.await
                && let Some(slot) = slot.upgrade()
            {
                slot.take_out(&shadow);
            }
        });
    }

    fn take_out(&self, crashed: &Weak<Shadow>) {
        let is_same =
            |shadow: &mut Arc<Shadow>| std::ptr::eq(Arc::as_ptr(shadow), crashed.as_ptr());
        let shadow = self.write(|state| {
            let shadow = state.shadow.take_if(is_same)?;
            let (source, since) = (shadow.source().clone(), shadow.since());
            state.staged = Some(Staged { source, since, fault: Some(Error::ShadowCrashed) });
            Some(shadow)
        });
        if let Some(shadow) = shadow {
            self.metrics.shadow_crashed();
            let model = shadow.engine().card().reference();
            error!(model, "the model in the shadow has panicked and is taken out");
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
    /// The shadow, to serve; it stays where it is if it cannot.
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
