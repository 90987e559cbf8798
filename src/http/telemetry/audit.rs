//! The audit log: one JSON line per request, with the verdict on each text.

mod file;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use self::file::LogFile;
use self::writer::Line;
use self::writer::Message;
use self::writer::State;
use self::writer::Writer;
use crate::error::Error;
use crate::error::Result;
use crate::metrics::Metrics;

/// The location, rotation and failure handling of the audit log.
#[derive(Debug, Clone)]
pub struct AuditSettings {
    /// The current log file.
    pub path: PathBuf,
    /// Maximum size of the file in bytes; a line that would exceed it starts a new file.
    pub max_bytes: u64,
    /// Number of full files to keep, as `FILE.1` (the newest), `FILE.2` and so on.
    pub keep: usize,
    /// How to handle a request whose line cannot be written.
    pub on_failure: OnFailure,
}

/// How to handle a request whose line cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The request is refused: no verdict is returned without its line in the log.
    Refuse,
    /// The request is answered, and its line is counted as lost.
    Drop,
}

/// An open audit log. Clones share the log.
#[derive(Debug, Clone)]
pub struct Audit {
    messages: mpsc::SyncSender<Message>,
    state: Arc<State>,
    on_failure: OnFailure,
    metrics: Arc<Metrics>,
}

impl Audit {
    /// Opens the file and starts the writer thread.
    pub fn open(settings: AuditSettings, metrics: Arc<Metrics>) -> Result<Self> {
        let refuse = |fault: std::io::Error| Error::Config {
            name: "audit-log",
            reason: format!("{}: {fault}", settings.path.display()),
        };
        let file = LogFile::open(&settings).map_err(refuse)?;
        let (messages, queue) = mpsc::sync_channel(QUEUED_LINES);
        let state = Arc::new(State::default());
        let writer = Writer::new(queue, file, Arc::clone(&state), Arc::clone(&metrics));
        let thread = std::thread::Builder::new().name("audit".into());
        thread.spawn(move || writer.run()).map_err(refuse)?;
        Ok(Self { messages, state, on_failure: settings.on_failure, metrics })
    }

    /// Refuses a request before scoring if its line could not be written. After a failure, one
    /// request per second is let through to try again.
    pub(in crate::http) fn check(&self) -> Result<()> {
        match self.on_failure {
            OnFailure::Refuse if !self.state.is_worth_trying() => Err(Error::Unaudited),
            OnFailure::Refuse | OnFailure::Drop => Ok(()),
        }
    }

    /// Queues a line. Unless losses are allowed, waits until the line has been written to the file.
    pub(in crate::http) async fn write(&self, line: Vec<u8>, deadline: Instant) -> Result<()> {
        let (written, answer) = oneshot::channel();
        let line = Message::Line(Line { bytes: line, written });
        if self.messages.try_send(line).is_err() {
            self.metrics.count_dropped_audit_lines(1);
            return self.lost();
        }
        if self.on_failure == OnFailure::Drop {
            return Ok(());
        }
        match tokio::time::timeout_at(deadline, answer).await {
            Ok(Ok(())) => Ok(()),
            // The writer has counted the line as lost, or may still write it.
            Ok(Err(_)) | Err(_) => self.lost(),
        }
    }

    /// Writes and syncs all queued lines; returns false if that takes longer than a few seconds.
    pub async fn close(self) -> bool {
        let (written, answer) = oneshot::channel();
        let messages = self.messages;
        // Sending may block on a full queue if the disk does not respond.
        drop(tokio::task::spawn_blocking(move || messages.send(Message::End(written))));
        matches!(tokio::time::timeout(CLOSE_TIMEOUT, answer).await, Ok(Ok(())))
    }

    fn lost(&self) -> Result<()> {
        match self.on_failure {
            OnFailure::Refuse => Err(Error::Unaudited),
            OnFailure::Drop => Ok(()),
        }
    }
}

/// A line takes a few hundred bytes per text; a full queue stays below the memory of a small model.
const QUEUED_LINES: usize = 1024;
/// Shorter than the time that orchestrators leave between SIGTERM and SIGKILL.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
