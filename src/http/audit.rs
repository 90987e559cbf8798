//! The audit log: what was decided about which text, a JSON line a request.

mod entry;
mod file;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

pub(super) use self::entry::Entry;
pub(super) use self::entry::Outcome;
pub(super) use self::entry::sha256;
use self::file::LogFile;
use self::writer::Line;
use self::writer::Message;
use self::writer::State;
use self::writer::Writer;
use crate::error::Error;
use crate::error::Result;
use crate::metrics::Metrics;

/// Where the log is, how much of it is kept, and what to do without it.
#[derive(Debug, Clone)]
pub struct AuditSettings {
    /// The file that is written now.
    pub path: PathBuf,
    /// A line that would make the file larger begins a new one.
    pub max_bytes: u64,
    /// Full files that are kept, as `FILE.1` (the newest), `FILE.2` and so on.
    pub keep: usize,
    /// What becomes of a request whose line cannot be written.
    pub on_failure: OnFailure,
}

/// What becomes of a request whose line cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// It is refused: no verdict leaves without its line.
    Refuse,
    /// It is answered, and counted as lost to the log.
    Drop,
}

/// The log that is open; a clone is the same one.
#[derive(Debug, Clone)]
pub struct Audit {
    messages: mpsc::SyncSender<Message>,
    state: Arc<State>,
    on_failure: OnFailure,
    metrics: Arc<Metrics>,
}

impl Audit {
    /// Opens the file and starts the thread that writes it.
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

    /// Refuses what could only be refused once it is scored. After a failure, a request a second is
    /// let through to try again.
    pub(super) fn check(&self) -> Result<()> {
        match self.on_failure {
            OnFailure::Refuse if !self.state.is_worth_trying() => Err(Error::Unaudited),
            OnFailure::Refuse | OnFailure::Drop => Ok(()),
        }
    }

    /// Hands a line over. Unless losses are allowed, waits until the system has it.
    pub(super) async fn write(&self, entry: &Entry<'_>, deadline: Instant) -> Result<()> {
        let (written, answer) = oneshot::channel();
        let line = Message::Line(Line { bytes: entry.line(), written });
        if self.messages.try_send(line).is_err() {
            self.metrics.audit_dropped(1);
            return self.lost();
        }
        if self.on_failure == OnFailure::Drop {
            return Ok(());
        }
        match tokio::time::timeout_at(deadline, answer).await {
            Ok(Ok(())) => Ok(()),
            // The writer has counted it, or still may write it.
            Ok(Err(_)) | Err(_) => self.lost(),
        }
    }

    /// Has everything written that was handed over; false if that takes longer than a few seconds.
    pub async fn close(self) -> bool {
        let (written, answer) = oneshot::channel();
        let messages = self.messages;
        // It may wait for room, on a disk that does not answer.
        drop(tokio::task::spawn_blocking(move || messages.send(Message::End(written))));
        matches!(tokio::time::timeout(CLOSING, answer).await, Ok(Ok(())))
    }

    fn lost(&self) -> Result<()> {
        match self.on_failure {
            OnFailure::Refuse => Err(Error::Unaudited),
            OnFailure::Drop => Ok(()),
        }
    }
}

/// A line has some hundreds of bytes a text; what waits stays below the memory of a small model.
const QUEUED_LINES: usize = 1024;
/// Below the time that orchestrators leave between asking and killing.
const CLOSING: Duration = Duration::from_secs(5);
