//! The phases of a server's life, and the signals that end it.

use tokio::sync::watch;

/// Where a server stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub enum Phase {
    /// It listens; the model is not there yet.
    Starting,
    /// It scores.
    Ready,
    /// It still scores, but wants no new work.
    Draining,
}

/// The phase of one server, for those who move it on and those who watch.
#[derive(Debug, Clone)]
pub struct Lifecycle(watch::Sender<Phase>);

impl Lifecycle {
    /// A life that begins.
    pub fn new() -> Self {
        Self(watch::Sender::new(Phase::Starting))
    }

    /// Where it stands now.
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Moves on; a life never goes back.
    pub fn enter(&self, phase: Phase) {
        self.0.send_if_modified(|current| {
            let later = phase > *current;
            if later {
                *current = phase;
            }
            later
        });
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

/// Waits for SIGTERM or SIGINT (elsewhere than on Unix: for Ctrl-C) and names it.
///
/// Takes the signals over at once, not when first polled: a signal that comes while the model is
/// loaded is not lost.
pub fn termination() -> std::io::Result<impl Future<Output = &'static str>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::SignalKind;
        use tokio::signal::unix::signal;

        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        Ok(async move {
            tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            }
        })
    }
    #[cfg(not(unix))]
    Ok(async {
        match tokio::signal::ctrl_c().await {
            Ok(()) => "Ctrl-C",
            // Nothing can end us but the system; so be it.
            Err(_) => std::future::pending().await,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_never_goes_back() {
        let lifecycle = Lifecycle::new();
        lifecycle.enter(Phase::Draining);
        lifecycle.enter(Phase::Ready);
        assert_eq!(lifecycle.phase(), Phase::Draining);
    }
}
