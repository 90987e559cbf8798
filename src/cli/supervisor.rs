//! Status messages to systemd, if it started the process; see `sd_notify(3)`.

#[cfg(target_os = "linux")]
use std::time::Duration;

#[cfg(target_os = "linux")]
use sd_notify::NotifyState;
#[cfg(target_os = "linux")]
use tracing::warn;

use crate::cli::environment::Environment;
#[cfg(target_os = "linux")]
use crate::cli::notify::Notifier;

/// The supervisor that started the process and expects its messages, if there is one; clones share
/// the same notifier.
#[derive(Debug, Clone)]
pub(super) struct Supervisor(#[cfg(target_os = "linux")] Option<Notifier>);

#[cfg(target_os = "linux")]
impl Supervisor {
    /// Finds the supervisor through the environment variables that it sets.
    pub(super) fn find(environment: &Environment) -> Self {
        Self(Notifier::start(environment).unwrap_or_else(|fault| {
            warn!("the supervisor cannot be told anything: {fault}");
            None
        }))
    }

    /// Reports that the server is ready, after startup or a reload.
    pub(super) fn ready(&self) {
        drop(self.tell(&[NotifyState::Ready]));
    }

    /// Reports that a reload has started.
    pub(super) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => drop(self.tell(&[NotifyState::Reloading, now])),
            Err(fault) => warn!("there is no clock for the supervisor: {fault}"),
        }
    }

    /// Reports that the server is stopping. Waits briefly, so that the message is sent before the
    /// process exits.
    pub(super) async fn stopping(&self) {
        if let Some(sent) = self.tell(&[NotifyState::Stopping]) {
            // The timeout covers a supervisor that does not read its socket.
            let _ = tokio::time::timeout(STOPPING_TIMEOUT, sent).await;
        }
    }

    /// Notifies the watchdog twice per watchdog timeout, which shows that the runtime is alive; if
    /// a worker ends, so does the process.
    pub(super) async fn keep_alive(self) {
        if let Some(watchdog_timeout) = sd_notify::watchdog_enabled() {
            let mut interval = tokio::time::interval(watchdog_timeout / 2);
            loop {
                interval.tick().await;
                drop(self.tell(&[NotifyState::Watchdog]));
            }
        }
    }

    fn tell(&self, state: &[NotifyState<'_>]) -> Option<impl Future<Output = ()> + use<>> {
        Some(self.0.as_ref()?.send(state))
    }
}

/// Does nothing: other systems have no such supervisor.
#[cfg(not(target_os = "linux"))]
impl Supervisor {
    pub(super) fn find(_: &Environment) -> Self {
        Self()
    }

    pub(super) fn ready(&self) {}

    pub(super) fn reloading(&self) {}

    pub(super) async fn stopping(&self) {}

    pub(super) async fn keep_alive(self) {}
}

#[cfg(target_os = "linux")]
const STOPPING_TIMEOUT: Duration = Duration::from_millis(100);
