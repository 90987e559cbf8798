//! Files that are read again while the server runs: when they change, and on SIGHUP.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tracing::error;
use tracing::info;
use tracing::warn;

use crate::cli::supervisor::Supervisor;
use crate::engine::Loader;
use crate::error::Error;
use crate::http::App;
use crate::http::KeyFile;
use crate::http::Tls;
use crate::lifecycle::Phase;
use crate::lifecycle::Reloads;
use crate::metrics::Metrics;

/// The small files that are looked at every second; a clone shares them.
#[derive(Debug, Clone)]
pub(super) struct WatchedFiles {
    pub(super) keys: Option<KeyFile>,
    pub(super) tls: Option<Tls>,
    pub(super) metrics: Arc<Metrics>,
}

impl WatchedFiles {
    /// Follows every change, for as long as the process lives.
    pub(super) async fn watch(self) {
        if self.keys.is_none() && self.tls.is_none() {
            return;
        }
        let mut interval = tokio::time::interval(EVERY);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let files = self.clone();
            // A slow disk may hold up no request.
            if tokio::task::spawn_blocking(move || files.refresh()).await.is_err() {
                // It panicked, or the process ends.
                return error!("keys and certificates are not watched any more");
            }
        }
    }

    fn refresh(&self) {
        if let Some(keys) = &self.keys {
            keys.refresh();
        }
        match self.tls.as_ref().map(Tls::refresh) {
            None | Some(Ok(false)) => {}
            Some(Ok(true)) => info!("read the certificate again"),
            Some(Err(fault)) => self.keep_certificate(&fault),
        }
    }

    fn reload(&self) {
        if let Some(keys) = &self.keys {
            keys.reload();
        }
        match self.tls.as_ref().map(Tls::reload) {
            None => {}
            Some(Ok(())) => info!("read the certificate again"),
            Some(Err(fault)) => self.keep_certificate(&fault),
        }
    }

    fn keep_certificate(&self, fault: &Error) {
        self.metrics.tls_kept();
        warn!(reason = fault.chain(), "the old certificate stays");
    }
}

/// What a signal has read again: keys, certificates, policies and models.
pub(super) struct Reloading {
    pub(super) files: WatchedFiles,
    pub(super) app: App,
    pub(super) loader: Loader,
    pub(super) supervisor: Supervisor,
}

impl Reloading {
    /// Reads all of them again whenever a signal asks for it.
    pub(super) async fn follow(self, mut reloads: Reloads) {
        let lifecycle = self.app.lifecycle();
        loop {
            reloads.next().await;
            let is_serving = lifecycle.phase() >= Phase::Ready;
            if is_serving {
                self.supervisor.reloading();
            }
            let files = self.files.clone();
            // Where it panics, the panic has been logged.
            let _ = tokio::task::spawn_blocking(move || files.reload()).await;
            // The first models may have read their policies before they were changed.
            lifecycle.reached(Phase::Ready).await;
            info!("reading the policies and the model again");
            // What came of it has been logged.
            let _ = self.app.models().reload(self.loader.clone()).await;
            if is_serving {
                self.supervisor.ready();
            }
        }
    }
}

/// A key that is taken out of its file works no longer than that.
const EVERY: Duration = Duration::from_secs(1);
