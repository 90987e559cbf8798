//! What systemd is told, where it has started us; see `sd_notify(3)`.

#[cfg(target_os = "linux")]
use std::time::Duration;

#[cfg(target_os = "linux")]
use sd_notify::NotifyState;
#[cfg(target_os = "linux")]
use tracing::warn;

use crate::cli::environment::Environment;
#[cfg(target_os = "linux")]
use crate::cli::notify::Notifier;

/// Who has started the process and waits for its messages, if anybody does; a clone is the same
/// one.
#[derive(Debug, Clone)]
pub(super) struct Supervisor(#[cfg(target_os = "linux")] Option<Notifier>);

#[cfg(target_os = "linux")]
impl Supervisor {
    /// Finds the supervisor by the variables that it has set.
    pub(super) fn find(environment: &Environment) -> Self {
        Self(Notifier::start(environment).unwrap_or_else(|fault| {
            warn!("the supervisor cannot be told anything: {fault}");
            None
        }))
    }

    /// The server serves, for the first time or after a reload.
    pub(super) fn ready(&self) {
        drop(self.tell(&[NotifyState::Ready]));
    }

    /// The files are read again.
    pub(super) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => drop(self.tell(&[NotifyState::Reloading, now])),
            Err(fault) => warn!("there is no clock for the supervisor: {fault}"),
        }
    }

    /// The server ends. Waits a moment, so that the message is not lost with the process.
    pub(super) async fn stopping(&self) {
        if let Some(sent) = self.tell(&[NotifyState::Stopping]) {
            // A supervisor that does not read is not waited for.
            let _ = tokio::time::timeout(MOMENT, sent).await;
        }
    }

    /// Shows twice in the time that the watchdog gives that the runtime is alive; where the worker
    /// ends, so does the process.
    pub(super) async fn keep_alive(self) {
        if let Some(patience) = sd_notify::watchdog_enabled() {
            let mut interval = tokio::time::interval(patience / 2);
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

/// No other system has such a supervisor.
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
const MOMENT: Duration = Duration::from_millis(100);
