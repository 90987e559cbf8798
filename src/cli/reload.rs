//! Reloader of files while the server runs: when they change, and on SIGHUP.

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

/// The small files that are checked for changes every second; clones share them.
#[derive(Debug, Clone)]
pub(super) struct WatchedFiles {
    pub(super) keys: Option<KeyFile>,
    pub(super) tls: Option<Tls>,
    pub(super) metrics: Arc<Metrics>,
}

impl WatchedFiles {
    /// Reloads files that change, for the lifetime of the process.
    pub(super) async fn watch(self) {
        if self.keys.is_none() && self.tls.is_none() {
            return;
        }
        let mut interval = tokio::time::interval(POLL_INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let files = self.clone();
            // A slow disk must not delay any request.
            if tokio::task::spawn_blocking(move || files.refresh()).await.is_err() {
                // The task panicked, or the process is exiting.
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
        self.metrics.count_tls_reload_failure();
        warn!(reason = fault.chain(), "the new certificate is invalid; keeping the old one");
    }
}

/// Everything that a signal reloads: keys, certificates, policies and models.
pub(super) struct Reloader {
    pub(super) files: WatchedFiles,
    pub(super) app: App,
    pub(super) loader: Loader,
    pub(super) supervisor: Supervisor,
}

impl Reloader {
    /// Reloads everything on each signal.
    pub(super) async fn follow(self, mut reloads: Reloads) {
        let lifecycle = self.app.lifecycle();
        loop {
            reloads.next().await;
            let is_serving = lifecycle.phase() >= Phase::Ready;
            if is_serving {
                self.supervisor.reloading();
            }
            let files = self.files.clone();
            // If the task panics, the panic hook has logged the panic.
            let _ = tokio::task::spawn_blocking(move || files.reload()).await;
            // The first models may have read their policies before the policies changed.
            lifecycle.reached(Phase::Ready).await;
            info!("reading the policies and the model again");
            // The result has already been logged.
            let _ = self.app.models().reload(self.loader.clone()).await;
            if is_serving {
                self.supervisor.ready();
            }
        }
    }
}

/// Polling interval: a key that is removed from its file works for no longer than this.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
