//! The thread that writes the audit log.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc;
use std::time::Duration;
use std::time::Instant;

use tokio::sync::oneshot;
use tracing::error;
use tracing::info;

use crate::http::audit::file::LogFile;
use crate::metrics::Metrics;

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Message {
    Line(Line),
    /// Nothing comes after it.
    End(oneshot::Sender<()>),
}

/// A line, and who waits for it; the sender is dropped if it could not be written.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) bytes: Vec<u8>,
    pub(super) written: oneshot::Sender<()>,
}

/// Whether the file could be written, for those who ask before they try.
#[derive(Debug, Default)]
pub(super) struct State(Mutex<Option<Instant>>); // since when the next attempt is awaited

/// Owns the file.
pub(super) struct Writer {
    queue: mpsc::Receiver<Message>,
    file: LogFile,
    state: Arc<State>,
    metrics: Arc<Metrics>,
    synced: Instant,
}

impl State {
    /// True while all is well, and once in a while if not.
    pub(super) fn is_worth_trying(&self) -> bool {
        let mut failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *failing {
            None => true,
            Some(since) if since.elapsed() < RETRY => false,
            Some(_) => {
                *failing = Some(Instant::now());
                true
            }
        }
    }

    /// Says whether that is news.
    fn set(&self, is_failing: bool) -> bool {
        let mut failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = failing.is_some() != is_failing;
        *failing = is_failing.then(Instant::now);
        is_news
    }
}

impl Writer {
    pub(super) fn new(
        queue: mpsc::Receiver<Message>,
        file: LogFile,
        state: Arc<State>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { queue, file, state, metrics, synced: Instant::now() }
    }

    /// Writes until the end, or until nobody is left who could hand over a line.
    pub(super) fn run(mut self) {
        loop {
            match self.queue.recv_timeout(SYNC) {
                Ok(Message::Line(line)) => self.write(line),
                Ok(Message::End(written)) => {
                    self.sync();
                    // Gone if nobody waits so long.
                    let _ = written.send(());
                    return;
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return self.sync(),
            }
            if self.synced.elapsed() >= SYNC {
                self.sync();
            }
        }
    }

    fn write(&mut self, Line { bytes, written }: Line) {
        let result = self.file.append(&bytes);
        let is_written = result.is_ok();
        self.tell(result);
        if is_written {
            self.metrics.audited();
            // Gone if the request was too late for it.
            let _ = written.send(());
        } else {
            self.metrics.audit_dropped(1);
        }
    }

    /// Has the disk keep what the system has.
    fn sync(&mut self) {
        self.synced = Instant::now();
        if let Err(fault) = self.file.sync() {
            self.tell(Err(fault));
        }
    }

    fn tell(&self, result: std::io::Result<()>) {
        self.metrics.audit_wrote(result.is_ok());
        let is_news = self.state.set(result.is_err());
        match result {
            Err(fault) if is_news => error!("the audit log cannot be written: {fault}"),
            Ok(()) if is_news => info!("the audit log is written again"),
            Ok(()) | Err(_) => {}
        }
    }
}

/// What a crash of the machine may cost.
const SYNC: Duration = Duration::from_secs(1);
/// How often a failing log is tried.
const RETRY: Duration = Duration::from_secs(1);
