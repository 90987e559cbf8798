//! The log: lines on stderr, written by a thread of its own, so that a server never waits for
//! stderr.
//!
//! `tracing-appender` was looked at: it swallows the errors of the writer uncounted, and on closing
//! a log that is stuck it prints to stdout, which may be the very pipe that is stuck.

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

/// The log of the process; a clone is the same one.
#[derive(Debug, Clone)]
pub(super) struct Log {
    messages: mpsc::SyncSender<Message>,
    overflow: Overflow,
    dropped: DroppedLines,
}

/// What becomes of a line for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overflow {
    /// It is lost and counted: no request waits for a log.
    Drop,
    /// Whoever writes it waits, as a command does whose reports are read slowly.
    Wait,
}

/// What the thread is sent.
#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    /// Everything before it has been written once the sender is dropped.
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
        let writer = Writer { output, is_torn: false, dropped: dropped.clone() };
        let pause = match overflow {
            Overflow::Drop => PAUSE,
            Overflow::Wait => Duration::ZERO,
        };
        std::thread::Builder::new().name("log".into()).spawn(move || writer.run(&queue, pause))?;
        Ok(Self { messages, overflow, dropped })
    }

    /// Takes the events of the whole process, and its panics.
    pub(super) fn install(&self, args: &LoggingArgs, default: &str) -> Result<()> {
        let filter = filter::parse(args.log.as_deref().unwrap_or(default), default)?;
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(self.clone())
            .with_ansi(std::io::stderr().is_terminal())
            // It would be printed to stderr, and waited for.
            .log_internal_errors(false);
        // A second call in one process, as in tests, keeps the first subscriber.
        let _ = match args.log_format {
            LogFormat::Text => subscriber.try_init(),
            LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
        };
        std::panic::set_hook(Box::new(log_panic));
        Ok(())
    }

    /// Hands over a line with its end.
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

    /// Waits until everything is written; a server for a second at most. False if there was more.
    pub(super) fn flush(&self) -> bool {
        let (flushed, done) = mpsc::channel();
        let messages = self.messages.clone();
        // Where stderr is stuck there may be no room for the message either.
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

    /// The counter of lost lines.
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

/// Takes one event, which the subscriber writes in one piece.
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

/// Owns the output.
struct Writer<W> {
    output: W,
    is_torn: bool, // the last line may have lost its end
    dropped: DroppedLines,
}

impl<W: Write> Writer<W> {
    /// Writes what has come, then pauses, so that a server that logs a thousand lines a second does
    /// not wake this thread for each of them.
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
        let end = if self.is_torn { &b"\n"[..] } else { b"" };
        let written = self.output.write_all(end).and_then(|()| self.output.write_all(line));
        self.is_torn = written.is_err();
        if written.is_err() {
            self.dropped.increment();
        }
    }
}

/// Says where a thread panicked. The message of a panic may quote a text, so it is left out.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let location = panic.location().map(ToString::to_string);
    error!(thread = thread.name(), location, "a thread panicked");
}

/// Some seconds of one line a request under full load, about a megabyte.
const QUEUED_LINES: usize = 4096;
/// 200 wake-ups a second at most, and no delay that a reader of the log would notice.
const PAUSE: Duration = Duration::from_millis(5);
/// What the end of the process may wait for a stderr that is stuck.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::Mutex;

    use super::*;

    /// Waits for leave to write each time, and fails where it gets none.
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
        // The thread may have taken one.
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
