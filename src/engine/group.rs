//! The resources shared by the engines of one process.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use tokio::sync::watch;

use crate::engine::dispatcher::AddedModel;
use crate::engine::dispatcher::Dispatcher;
use crate::engine::dispatcher::ModelState;
use crate::engine::dispatcher::Queued;
use crate::engine::replica::Replica;
use crate::engine::scheduler::ModelId;
use crate::engine::scheduler::SchedulerSettings;
use crate::engine::scheduler::WorkerId;
use crate::engine::settings::EngineSettings;
use crate::engine::tokenization::Tokenization;
use crate::engine::worker;
use crate::error::Result;

/// Engines that share token budgets, the workers that compute, and the permits to tokenise. Clones
/// refer to the same group. The worker threads exit when the group and all of its engines are
/// dropped.
#[derive(Debug, Clone)]
pub struct EngineGroup {
    pub(super) settings: EngineSettings,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    dispatcher: Arc<Dispatcher>, // also held by the worker threads
    tokenization: Tokenization,
    n_workers: Mutex<usize>, // locked while threads are started
}

/// A model of a group, removed when the handle is dropped.
#[derive(Debug)]
pub(super) struct ModelHandle {
    pub(super) id: ModelId,
    pub(super) state: watch::Receiver<ModelState>,
    pub(super) queued: watch::Receiver<Queued>,
    shared: Arc<Shared>,
}

impl EngineGroup {
    /// Creates a group without models. Fails if the settings are inconsistent.
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
            tokenization: Tokenization::new(settings.tokenize_permits),
            n_workers: Mutex::new(0),
        };
        Ok(Self { settings, shared: Arc::new(shared) })
    }

    /// Returns the same group with another token limit for finding the spans of a request.
    #[must_use]
    pub fn with_span_tokens(mut self, span_tokens: usize) -> Self {
        self.settings.span_tokens = span_tokens;
        self
    }

    /// Adds a model with one replica for each of the first workers, and starts missing workers.
    /// `tokens_per_second` is the throughput of one replica, if known.
    pub(super) fn add_model(
        &self,
        replicas: Vec<Replica>,
        tokens_per_second: Option<f64>,
    ) -> Result<ModelHandle> {
        self.shared.start_workers(replicas.len())?;
        let replicas = replicas.into_iter().map(Arc::new).collect();
        let AddedModel { id, state, queued } =
            self.shared.dispatcher.add_model(replicas, tokens_per_second);
        Ok(ModelHandle { id, state, queued, shared: Arc::clone(&self.shared) })
    }

    /// Returns the dispatcher.
    pub(super) fn dispatcher(&self) -> &Dispatcher {
        &self.shared.dispatcher
    }

    /// Returns the permits to tokenise.
    pub(super) fn tokenization(&self) -> &Tokenization {
        &self.shared.tokenization
    }
}

impl Shared {
    fn start_workers(&self, n_workers: usize) -> Result<()> {
        let mut started = self.n_workers.lock().unwrap_or_else(PoisonError::into_inner);
        while *started < n_workers {
            let worker = WorkerId(*started);
            self.dispatcher.add_worker(worker);
            worker::spawn(&self.dispatcher, worker)?;
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
