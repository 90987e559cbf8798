//! The models of a service, each in its slot.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Mutex;
use tokio::sync::watch;

use crate::engine::instance::Engine;
use crate::engine::load_request::LoadRequest;
use crate::engine::loader::Loader;
use crate::engine::slot::Slot;
use crate::error::Error;
use crate::error::Result;
use crate::error::shorten;
use crate::metrics::Metrics;

/// The slots of a service: at least one; the first is the default.
#[derive(Debug)]
pub struct Models {
    slots: Vec<Arc<Slot>>,
    staging: Arc<Mutex<()>>,
    crashed: watch::Sender<bool>,
}

impl Models {
    /// Creates empty slots with these names; without names, one slot that is called by the name of
    /// its model.
    pub fn new(names: Vec<String>, metrics: &Arc<Metrics>) -> Self {
        let (staging, crashed) = (Arc::new(Mutex::new(())), watch::Sender::new(false));
        let slot = |name| {
            let (staging, crashed) = (Arc::clone(&staging), crashed.clone());
            Arc::new(Slot::new(name, staging, crashed, Arc::clone(metrics)))
        };
        let mut slots: Vec<_> = names.into_iter().map(|name| slot(Some(name))).collect();
        if slots.is_empty() {
            slots.push(slot(None));
        }
        Self { slots, staging, crashed }
    }

    /// Returns all slots, the default first.
    pub fn slots(&self) -> &[Arc<Slot>] {
        &self.slots
    }

    /// Returns the slot for requests that name no model.
    pub fn default_slot(&self) -> &Arc<Slot> {
        &self.slots[0] // there is at least one
    }

    /// Returns the slot of that name, if there is one.
    pub fn find(&self, name: &str) -> Option<&Arc<Slot>> {
        self.slots.iter().find(|slot| slot.is_called(name))
    }

    /// Returns the slot of that name, or the default slot for `None`. Fails with
    /// [`Error::UnknownModel`].
    pub fn slot(&self, name: Option<&str>) -> Result<&Arc<Slot>> {
        let Some(name) = name else { return Ok(self.default_slot()) };
        self.find(name).ok_or_else(|| self.unknown(name))
    }

    /// Returns whether each slot has a model.
    pub fn are_loaded(&self) -> bool {
        self.slots.iter().all(|slot| slot.serving().is_ok())
    }

    /// Reloads all models from their sources, with the current policies: all of them or none. Waits
    /// for a load in progress.
    pub async fn reload(self: &Arc<Self>, loader: Loader) -> Result<()> {
        let models = Arc::clone(self);
        let reloading = tokio::spawn(async move { models.reload_all(loader).await });
        reloading.await.unwrap_or(Err(Error::Stopped))
    }

    /// Waits until a serving engine has panicked.
    pub async fn crashed(&self) {
        let mut crashed = self.crashed.subscribe();
        // The sender lives as long as `self`.
        let _ = crashed.wait_for(|&crashed| crashed).await;
    }

    /// Returns the error for a name that no model has.
    pub fn unknown(&self, name: &str) -> Error {
        let known = |slot: &Arc<Slot>| match (slot.name(), slot.serving()) {
            (Some(name), _) => Some(name.to_owned()),
            (None, Ok(engine)) => Some(engine.card().name.clone()),
            (None, Err(_)) => None,
        };
        let name = shorten(name);
        Error::UnknownModel { name, known: self.slots.iter().filter_map(known).collect() }
    }

    async fn reload_all(&self, loader: Loader) -> Result<()> {
        let _alone = self.staging.lock().await;
        let began = Instant::now();
        let mut staged: Vec<(&Arc<Slot>, Arc<Engine>, _)> = Vec::new();
        for slot in &self.slots {
            let source = slot.source()?;
            let request = LoadRequest { source: source.clone(), sha256: None, shadow: None };
            staged.push((slot, slot.stage(loader.clone(), request, began).await?, source));
        }
        for (slot, engine, source) in staged {
            slot.take_over(engine, source, began);
        }
        Ok(())
    }
}
