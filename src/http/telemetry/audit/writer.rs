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

use crate::http::telemetry::audit::file::LogFile;
use crate::metrics::Metrics;

/// A message to the writer thread.
#[derive(Debug)]
pub(super) enum Message {
    Line(Line),
    /// The last message; the sender confirms that the file has been synced.
    End(oneshot::Sender<()>),
}

/// A line, and the sender that confirms it; dropped unused if the line could not be written.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) bytes: Vec<u8>,
    pub(super) written: oneshot::Sender<()>,
}

/// Whether writing fails, checked by requests before they are scored.
#[derive(Debug, Default)]
pub(super) struct State(Mutex<Option<Instant>>); // time of the last failure or retry

/// The state of the writer thread, which owns the file.
pub(super) struct Writer {
    queue: mpsc::Receiver<Message>,
    file: LogFile,
    state: Arc<State>,
    metrics: Arc<Metrics>,
    synced: Instant,
}

impl State {
    /// Returns true unless writing fails; then true once per `RETRY_INTERVAL`.
    pub(super) fn is_worth_trying(&self) -> bool {
        let mut failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *failing {
            None => true,
            Some(since) if since.elapsed() < RETRY_INTERVAL => false,
            Some(_) => {
                *failing = Some(Instant::now());
                true
            }
        }
    }

    /// Records whether writing fails; returns whether that has changed.
    fn set(&self, is_failing: bool) -> bool {
        let mut failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has_changed = failing.is_some() != is_failing;
        *failing = is_failing.then(Instant::now);
        has_changed
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

    /// Writes lines until [`Message::End`] arrives or all senders are dropped.
    pub(super) fn run(mut self) {
        loop {
            match self.queue.recv_timeout(SYNC_INTERVAL) {
                Ok(Message::Line(line)) => self.write(line),
                Ok(Message::End(written)) => {
                    self.sync();
                    // The receiver is gone if closing the log has timed out.
                    let _ = written.send(());
                    return;
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return self.sync(),
            }
            if self.synced.elapsed() >= SYNC_INTERVAL {
                self.sync();
            }
        }
    }

    fn write(&mut self, Line { bytes, written }: Line) {
        let result = self.file.append(&bytes);
        let is_written = result.is_ok();
        self.tell(result);
        if is_written {
            self.metrics.count_audit_line();
            // The receiver is gone if the request no longer waits for the line.
            let _ = written.send(());
        } else {
            self.metrics.count_dropped_audit_lines(1);
        }
    }

    /// Syncs the file to disk, and reports a failure.
    fn sync(&mut self) {
        self.synced = Instant::now();
        if let Err(fault) = self.file.sync() {
            self.tell(Err(fault));
        }
    }

    fn tell(&self, result: std::io::Result<()>) {
        self.metrics.record_audit_write(result.is_ok());
        let has_changed = self.state.set(result.is_err());
        match result {
            Err(fault) if has_changed => error!("the audit log cannot be written: {fault}"),
            Ok(()) if has_changed => info!("the audit log is written again"),
            Ok(()) | Err(_) => {}
        }
    }
}

/// Interval between syncs: a system crash loses at most the lines of this time.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);
/// Interval between attempts while writing fails.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
