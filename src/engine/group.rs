//! The engines of one process: what they share.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use tokio::sync::watch;

use crate::engine::dispatcher::AddedModel;
use crate::engine::dispatcher::Dispatcher;
use crate::engine::dispatcher::Life;
use crate::engine::dispatcher::Queued;
use crate::engine::place;
use crate::engine::replica::Replica;
use crate::engine::scheduler::ModelId;
use crate::engine::scheduler::PlaceId;
use crate::engine::scheduler::SchedulerSettings;
use crate::engine::settings::EngineSettings;
use crate::engine::tokenization::Tokenization;
use crate::error::Result;

/// Engines that share bounds on what waits, the places that compute, and the threads that tokenise;
/// a clone is the same group. The threads of its places end with it.
#[derive(Debug, Clone)]
pub struct EngineGroup {
    pub(super) settings: EngineSettings,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    dispatcher: Arc<Dispatcher>, // the threads of the places have it too
    tokenization: Tokenization,
    n_places: Mutex<usize>, // held while threads are started
}

/// A model of a group; it is removed when this is dropped.
#[derive(Debug)]
pub(super) struct ModelHandle {
    pub(super) id: ModelId,
    pub(super) life: watch::Receiver<Life>,
    pub(super) queued: watch::Receiver<Queued>,
    shared: Arc<Shared>,
}

impl EngineGroup {
    /// Holds the settings against each other.
    pub fn new(settings: EngineSettings) -> Result<Self> {
        settings.check()?;
        let scheduler = SchedulerSettings {
            batch_tokens: settings.batch_tokens,
            queue_tokens: settings.queue_tokens,
            max_request_tokens: settings.max_request_tokens,
            queue_time: settings.queue_time,
        };
        let shared = Shared {
            dispatcher: Arc::new(Dispatcher::new(scheduler)),
            tokenization: Tokenization::new(settings.encode_threads),
            n_places: Mutex::new(0),
        };
        Ok(Self { settings, shared: Arc::new(shared) })
    }

    /// The same, where the spans of a request may cost so much.
    #[must_use]
    pub fn with_span_tokens(mut self, span_tokens: usize) -> Self {
        self.settings.span_tokens = span_tokens;
        self
    }

    /// Adds a model, with a replica at each of the first places; of one replica, the tokens per
    /// second, if they are known.
    pub(super) fn add_model(
        &self,
        replicas: Vec<Replica>,
        tokens_per_second: Option<f64>,
    ) -> Result<ModelHandle> {
        self.shared.start_places(replicas.len())?;
        let replicas = replicas.into_iter().map(Arc::new).collect();
        let AddedModel { id, life, queued } =
            self.shared.dispatcher.add_model(replicas, tokens_per_second);
        Ok(ModelHandle { id, life, queued, shared: Arc::clone(&self.shared) })
    }

    /// The way into the queue.
    pub(super) fn dispatcher(&self) -> &Dispatcher {
        &self.shared.dispatcher
    }

    /// The permits to tokenise.
    pub(super) fn tokenization(&self) -> &Tokenization {
        &self.shared.tokenization
    }
}

impl Shared {
    fn start_places(&self, n_places: usize) -> Result<()> {
        let mut started = self.n_places.lock().unwrap_or_else(PoisonError::into_inner);
        while *started < n_places {
            let place = PlaceId(*started);
            self.dispatcher.add_place(place);
            place::spawn(&self.dispatcher, place)?;
            *started += 1;
        }
        Ok(())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.dispatcher.shut_down();
    }
}

impl Drop for ModelHandle {
    fn drop(&mut self) {
        self.shared.dispatcher.remove_model(self.id);
    }
}
