//! What systemd is told, where it has started us; see `sd_notify(3)`.

#[cfg(target_os = "linux")]
use sd_notify::NotifyState;
#[cfg(target_os = "linux")]
use tracing::warn;

#[cfg(target_os = "linux")]
use crate::cli::notify;

/// We serve, or do so again.
pub(super) fn ready() {
    #[cfg(target_os = "linux")]
    tell(&[NotifyState::Ready]);
}

/// We read our files again.
pub(super) fn reloading() {
    #[cfg(target_os = "linux")]
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(fault) => warn!("there is no clock for systemd: {fault}"),
    }
}

/// We end.
pub(super) fn stopping() {
    #[cfg(target_os = "linux")]
    tell(&[NotifyState::Stopping]);
}

/// Shows twice in the time that the watchdog gives that the runtime is alive; the worker's own
/// end is ours too.
pub(super) async fn keep_alive() {
    #[cfg(target_os = "linux")]
    if let Some(patience) = sd_notify::watchdog_enabled() {
        let mut interval = tokio::time::interval(patience / 2);
        loop {
            interval.tick().await;
            tell(&[NotifyState::Watchdog]);
        }
    }
}

#[cfg(target_os = "linux")]
fn tell(state: &[NotifyState<'_>]) {
    // Without systemd there is nobody to tell, and that is no fault.
    if let Err(fault) = notify::notify(state) {
        warn!("systemd could not be told: {fault}");
    }
}
