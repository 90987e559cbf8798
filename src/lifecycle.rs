//! The phases of a server's life, and the signals that end it.

use std::time::Duration;
use std::time::Instant;

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

    /// Waits until it stands there, or further on.
    pub async fn reached(&self, phase: Phase) {
        // The sender lives as long as we do.
        let _ = self.0.subscribe().wait_for(|current| *current >= phase).await;
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

/// Has writes beyond the limit on the size of files fail like any other, instead of ending the
/// process by the signal that comes with them.
pub fn survive_file_size_limit() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::SignalKind;
        use tokio::signal::unix::signal;

        const SIGXFSZ: i32 = 25; // in Linux, macOS and the BSDs
        // A handler that is installed stays. Without one all is as it was.
        drop(signal(SignalKind::from_raw(SIGXFSZ)));
    }
}

/// Calls for the files to be read again: SIGHUP, where there is such a signal.
///
/// Takes the signal over at once, not when first polled.
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

/// The calls for the files to be read again.
#[derive(Debug)]
pub struct Reloads(#[cfg(unix)] tokio::signal::unix::Signal);

impl Reloads {
    /// Waits for the next one.
    pub async fn next(&mut self) {
        #[cfg(unix)]
        if self.0.recv().await.is_some() {
            return;
        }
        std::future::pending::<()>().await;
    }
}

/// Takes over SIGTERM and SIGINT (elsewhere than on Unix: Ctrl-C).
///
/// At once, not when first waited for: a signal that comes while the model is loaded is not lost.
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

/// The signals that end a server.
#[derive(Debug)]
pub struct Terminations {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Terminations {
    /// Waits for the next one and names it.
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
            // Nothing can end us but the system; so be it.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Tells a signal that repeats the one before from a new one.
///
/// `timeout` of GNU signals its child and then the whole process group, and supervisors do alike:
/// within a second of a signal, another means the same.
#[derive(Debug, Default)]
pub struct Repetitions {
    last: Option<Instant>, // the last signal that was no repetition
}

impl Repetitions {
    /// Whether a signal that came `now` repeats one before it.
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
        // Counted from the first: a stream of signals is not one signal for ever.
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
