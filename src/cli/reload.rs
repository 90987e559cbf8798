//! Files that are read again while the server runs: when they change, and on SIGHUP.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tracing::error;
use tracing::info;
use tracing::warn;

use crate::cli::supervisor;
use crate::engine::Loader;
use crate::error::Error;
use crate::http::App;
use crate::http::KeyFile;
use crate::http::Tls;
use crate::lifecycle::Reloads;
use crate::metrics::Metrics;

/// The small files that are looked at every second; a clone is the same ones.
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

/// Reads all files again whenever a signal asks for it: keys, certificates, policies and models.
pub(super) async fn follow(mut reloads: Reloads, files: WatchedFiles, app: App, loader: Loader) {
    loop {
        reloads.next().await;
        supervisor::reloading();
        let small = files.clone();
        // Where it panics, the panic has been logged.
        let _ = tokio::task::spawn_blocking(move || small.reload()).await;
        info!("reading the policies and the model again");
        // Models tells what came of it.
        let _ = app.models().reload(loader.clone()).await;
        supervisor::ready();
    }
}

/// A key that is taken out of its file works no longer than that.
const EVERY: Duration = Duration::from_secs(1);
