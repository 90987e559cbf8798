//! The lifecycle phases of a server, and the signals that reload and stop it.

use std::time::Duration;
use std::time::Instant;

use tokio::sync::watch;

/// The lifecycle phase of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub enum Phase {
    /// Listening, but the model is not loaded yet.
    Starting,
    /// Scoring requests.
    Ready,
    /// Still scoring, but reported as not ready, so that clients send no new requests.
    Draining,
}

/// The phase of one server, shared by the tasks that advance it and the tasks that watch it.
#[derive(Debug, Clone)]
pub struct Lifecycle(watch::Sender<Phase>);

impl Lifecycle {
    /// Creates a lifecycle in [`Phase::Starting`].
    pub fn new() -> Self {
        Self(watch::Sender::new(Phase::Starting))
    }

    /// Returns the current phase.
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Waits until the server has reached the phase, or a later one.
    pub async fn reached(&self, phase: Phase) {
        // `self` keeps the sender alive, so the wait cannot fail.
        let _ = self.0.subscribe().wait_for(|current| *current >= phase).await;
    }

    /// Enters a phase. A phase that is not later than the current one is ignored.
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

/// Makes a write beyond the file size limit return an error, instead of ending the process with
/// SIGXFSZ.
pub fn survive_file_size_limit() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::SignalKind;
        use tokio::signal::unix::signal;

        const SIGXFSZ: i32 = 25; // on Linux, macOS and the BSDs
        // The handler stays installed after the drop. If it cannot be installed, nothing changes.
        drop(signal(SignalKind::from_raw(SIGXFSZ)));
    }
}

/// Listens for requests to reload files: SIGHUP, on systems that have the signal.
///
/// Installs the signal handler at once, not when first polled.
pub fn reloads() -> std::io::Result<Reloads> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::SignalKind;
        use tokio::signal::unix::signal;

        Ok(Reloads(signal(SignalKind::hangup())?))
    }
    #[cfg(not(unix))]
    Ok(Reloads())
}

/// The requests to reload files.
#[derive(Debug)]
pub struct Reloads(#[cfg(unix)] tokio::signal::unix::Signal);

impl Reloads {
    /// Waits for the next request; never returns on systems without SIGHUP.
    pub async fn next(&mut self) {
        #[cfg(unix)]
        if self.0.recv().await.is_some() {
            return;
        }
        std::future::pending::<()>().await;
    }
}

/// Listens for SIGTERM and SIGINT (on systems other than Unix: Ctrl-C).
///
/// Installs the signal handlers at once, not at the first wait, so that a signal that arrives while
/// the model is loading is not lost.
pub fn terminations() -> std::io::Result<Terminations> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::SignalKind;
        use tokio::signal::unix::signal;

        Ok(Terminations {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
    #[cfg(not(unix))]
    Ok(Terminations {})
}

/// The signals that stop a server.
#[derive(Debug)]
pub struct Terminations {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Terminations {
    /// Waits for the next signal and returns its name.
    pub async fn next(&mut self) -> &'static str {
        #[cfg(unix)]
        {
            tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
            }
        }
        #[cfg(not(unix))]
        match tokio::signal::ctrl_c().await {
            Ok(()) => "Ctrl-C",
            // Without a handler, only the system can end the process.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Distinguishes a signal that repeats the previous one from a new signal.
///
/// GNU `timeout` signals its child and then the whole process group, and supervisors do the same:
/// a signal within a second of another is a repetition.
#[derive(Debug, Default)]
pub struct Repetitions {
    last: Option<Instant>, // time of the last signal that was not a repetition
}

impl Repetitions {
    /// Returns whether a signal that arrived at `now` repeats an earlier one.
    pub fn has(&mut self, now: Instant) -> bool {
        let is_repetition = self.last.is_some_and(|last| now.duration_since(last) < ONE_INTENTION);
        if !is_repetition {
            self.last = Some(now);
        }
        is_repetition
    }
}

const ONE_INTENTION: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_within_a_second_of_another_repeats_it() {
        let mut repetitions = Repetitions::default();
        let start = Instant::now();
        // Measured from the first signal, so that a steady stream is not one repetition for ever.
        for (after_ms, expected) in
            [(0, false), (1, true), (999, true), (1000, false), (1600, true), (2100, false)]
        {
            let now = start + Duration::from_millis(after_ms);
            assert_eq!(repetitions.has(now), expected, "after {after_ms} ms");
        }
    }

    #[test]
    fn a_life_never_goes_back() {
        let lifecycle = Lifecycle::new();
        lifecycle.enter(Phase::Draining);
        lifecycle.enter(Phase::Ready);
        assert_eq!(lifecycle.phase(), Phase::Draining);
    }
}
