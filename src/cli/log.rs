//! The log: lines on stderr, written by a dedicated thread so that a server never blocks on stderr.
//!
//! `tracing-appender` was considered: it discards errors of the writer without counting them, and
//! when a blocked log is closed it prints to stdout, which may be the same blocked pipe.

mod filter;

use std::io::IsTerminal;
use std::io::Write;
use std::panic::PanicHookInfo;
use std::sync::mpsc;
use std::time::Duration;

use tracing::error;
use tracing_subscriber::fmt::MakeWriter;

use crate::cli::args::LogFormat;
use crate::cli::args::LoggingArgs;
use crate::error::Result;
use crate::metrics::DroppedLines;

/// A handle to the log of the process; clones share the same log.
#[derive(Debug, Clone)]
pub(super) struct Log {
    messages: mpsc::SyncSender<Message>,
    overflow: Overflow,
    dropped: DroppedLines,
}

/// What to do with a line when the queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overflow {
    /// Drops and counts the line: no request waits for the log.
    Drop,
    /// Blocks the caller, for commands whose reports may be read slowly.
    Wait,
}

/// A message to the log thread.
#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    /// The log thread drops the sender once all earlier lines have been written.
    Flush(mpsc::Sender<()>),
}

impl Log {
    /// Starts the thread that writes to `output`.
    pub(super) fn start(
        output: impl Write + Send + 'static,
        overflow: Overflow,
    ) -> std::io::Result<Self> {
        let (messages, queue) = mpsc::sync_channel(QUEUED_LINES);
        let dropped = DroppedLines::default();
        let writer = Writer { output, is_line_incomplete: false, dropped: dropped.clone() };
        let pause = match overflow {
            Overflow::Drop => WRITE_INTERVAL,
            Overflow::Wait => Duration::ZERO,
        };
        std::thread::Builder::new().name("log".into()).spawn(move || writer.run(&queue, pause))?;
        Ok(Self { messages, overflow, dropped })
    }

    /// Routes the events and panics of the whole process to this log.
    pub(super) fn install(&self, args: &LoggingArgs, default: &str) -> Result<()> {
        let filter = filter::parse(args.log.as_deref().unwrap_or(default), default)?;
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(self.clone())
            .with_ansi(std::io::stderr().is_terminal())
            // Internal errors would be printed to stderr directly, which may block.
            .log_internal_errors(false);
        // A second call in one process, as in tests, keeps the first subscriber.
        let _ = match args.log_format {
            LogFormat::Text => subscriber.try_init(),
            LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
        };
        std::panic::set_hook(Box::new(log_panic));
        Ok(())
    }

    /// Queues a line, which includes its line ending.
    pub(super) fn write(&self, line: &[u8]) {
        let line = Message::Line(line.to_vec());
        let is_taken = match self.overflow {
            Overflow::Drop => self.messages.try_send(line).is_ok(),
            Overflow::Wait => self.messages.send(line).is_ok(),
        };
        if !is_taken {
            self.dropped.increment();
        }
    }

    /// Waits until all queued lines are written, with [`Overflow::Drop`] for at most a second.
    /// Returns false if lines are left.
    pub(super) fn flush(&self) -> bool {
        let (flushed, done) = mpsc::channel();
        let messages = self.messages.clone();
        // If stderr is blocked, the queue may be full and sending this message may block, too.
        let send = move || messages.send(Message::Flush(flushed)).is_ok();
        if std::thread::Builder::new().spawn(send).is_err() {
            return false;
        }
        match self.overflow {
            Overflow::Drop => {
                done.recv_timeout(FLUSH_TIMEOUT) == Err(mpsc::RecvTimeoutError::Disconnected)
            }
            Overflow::Wait => done.recv().is_err(),
        }
    }

    /// Returns the counter of dropped lines.
    pub(super) fn dropped(&self) -> DroppedLines {
        self.dropped.clone()
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self)
    }
}

/// Writes one event to the log; the subscriber writes each event in a single call.
#[derive(Debug)]
pub(super) struct Line<'a>(&'a Log);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.write(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The writer of the log thread, which owns the output.
struct Writer<W> {
    output: W,
    is_line_incomplete: bool, // the last line may be incomplete
    dropped: DroppedLines,
}

impl<W: Write> Writer<W> {
    /// Writes all queued lines, then sleeps for `pause`, so that a server that logs a thousand
    /// lines per second does not wake this thread for each of them.
    fn run(mut self, queue: &mpsc::Receiver<Message>, pause: Duration) {
        while let Ok(first) = queue.recv() {
            for message in std::iter::once(first).chain(queue.try_iter()) {
                match message {
                    Message::Line(line) => self.write(&line),
                    Message::Flush(flushed) => drop(flushed),
                }
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "lines gather meanwhile; nobody waits for this thread"
            )]
            std::thread::sleep(pause);
        }
    }

    fn write(&mut self, line: &[u8]) {
        let end = if self.is_line_incomplete { &b"\n"[..] } else { b"" };
        let written = self.output.write_all(end).and_then(|()| self.output.write_all(line));
        self.is_line_incomplete = written.is_err();
        if written.is_err() {
            self.dropped.increment();
        }
    }
}

/// Logs where a thread panicked. The panic message may quote a user's text, so it is left out.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let location = panic.location().map(ToString::to_string);
    error!(thread = thread.name(), location, "a thread panicked");
}

/// A few seconds of logs under full load at one line per request, about a megabyte.
const QUEUED_LINES: usize = 4096;
/// At most 200 wake-ups per second, and a delay too short for a reader of the log to notice.
const WRITE_INTERVAL: Duration = Duration::from_millis(5);
/// Maximum time that a flush waits for a blocked stderr.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::Mutex;

    use super::*;

    /// A writer that waits for a message before each write: `true` lets it succeed, `false` makes
    /// it fail.
    struct Gated {
        leave: mpsc::Receiver<bool>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if self.leave.recv().unwrap_or(true) {
                self.written.lock().unwrap().extend(bytes);
                Ok(bytes.len())
            } else {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn gated(overflow: Overflow) -> (Log, mpsc::Sender<bool>, Arc<Mutex<Vec<u8>>>) {
        let (gate, leave) = mpsc::channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let output = Gated { leave, written: Arc::clone(&written) };
        (Log::start(output, overflow).unwrap(), gate, written)
    }

    #[test]
    fn a_command_waits_for_whoever_reads_its_reports() {
        let (log, gate, written) = gated(Overflow::Wait);
        let n_lines = 2 * QUEUED_LINES;
        let writing = std::thread::spawn({
            let log = log.clone();
            move || (0..n_lines).for_each(|_| log.write(b"line\n"))
        });
        drop(gate);
        writing.join().unwrap();
        assert!(log.flush());
        assert_eq!(written.lock().unwrap().len(), 5 * n_lines);
        assert_eq!(log.dropped().count(), 0);
    }

    #[test]
    fn an_output_that_is_stuck_holds_nobody_up_and_what_finds_no_room_is_counted() {
        let (log, gate, written) = gated(Overflow::Drop);
        let n_lines = QUEUED_LINES as u64 + 100;
        for _ in 0..n_lines {
            log.write(b"line\n");
        }
        // The log thread may have taken one line off the queue.
        assert!((99..=100).contains(&log.dropped().count()), "{}", log.dropped().count());
        assert!(!log.flush(), "nothing is written yet");
        drop(gate);
        assert!(log.flush());
        let n_written = written.lock().unwrap().len() as u64 / 5;
        assert_eq!(n_written, n_lines - log.dropped().count());
    }

    #[test]
    fn a_line_that_could_not_be_written_is_counted_and_the_next_one_begins_anew() {
        let (log, gate, written) = gated(Overflow::Drop);
        for leave in [true, false, true, true] {
            gate.send(leave).unwrap();
        }
        for line in [&b"first\n"[..], b"second\n", b"third\n"] {
            log.write(line);
        }
        assert!(log.flush());
        assert_eq!(*written.lock().unwrap(), b"first\n\nthird\n");
        assert_eq!(log.dropped().count(), 1);
    }
}
