//! The command line: arguments, the environment, logs and exit codes.

mod allocator;
mod args;
mod batch;
mod bulk;
mod config;
mod environment;
mod evaluate;
mod heads;
mod hub;
mod inherited;
mod key;
mod listen;
mod log;
#[cfg(target_os = "linux")]
mod notify;
mod output;
mod policy;
mod record;
mod reload;
mod report;
mod score;
mod serve;
mod supervisor;
mod telemetry;

use std::ffi::OsString;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::path::Path;
use std::sync::Arc;

use tracing::warn;

use self::args::Args;
use self::args::Command;
use self::environment::Environment;
use self::inherited::Inherited;
use self::log::Log;
use self::log::Overflow;
use self::serve::Process;
use crate::error::Error;
use crate::error::Kind;
use crate::error::Result;
use crate::lifecycle;

/// The exit codes of the process, with the values of BSD's sysexits(3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// The command succeeded, or the reader of the output closed the pipe.
    Success = 0,
    /// An argument or a setting is invalid.
    Usage = 64,
    /// A line of the input is invalid.
    Data = 65,
    /// A file cannot be read.
    NoInput = 66,
    /// The hub or the address to listen on is not available.
    Unavailable = 69,
    /// An internal error occurred.
    Internal = 70,
    /// A file cannot be written.
    Output = 74,
    /// Draining took longer than the grace period.
    OutOfGrace = 75,
    /// The model or the policy is invalid.
    Config = 78,
}

/// Runs the program; the first argument is the name of the program.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let environment = Environment::from_process();
    let args = match Args::read(arguments, &environment) {
        Ok(args) => args,
        Err(refusal) => {
            // Help goes to stdout and is not an error; neither is a closed stdout.
            let _ = refusal.print();
            return if refusal.use_stderr() { ExitCode::Usage } else { ExitCode::Success };
        }
    };
    // Must run before the first thread starts, since it removes environment variables.
    let inherited = Inherited::find(&environment);
    let overflow = match args.command {
        Command::Serve(_) => Overflow::Drop,
        _ => Overflow::Wait,
    };
    let Ok(log) = Log::start(output::stderr(), overflow) else {
        // The log thread could not be started, so the error cannot be reported.
        return ExitCode::Internal;
    };
    let process = Process { environment: &environment, inherited, dropped_lines: log.dropped() };
    // The panic hook logs a panic; the log is flushed before the process exits.
    let result = catch_unwind(AssertUnwindSafe(|| start(args, process, &log)));
    let code = match result.unwrap_or(Err(Error::Stopped)) {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::Success,
        Err(error) => {
            // Makes room in the queue for the final message.
            log.flush();
            log.write(format!("error: {}\n", error.chain()).as_bytes());
            ExitCode::from(&error)
        }
    };
    if log.flush() && log.dropped().count() > 0 {
        warn!(n_lines = log.dropped().count(), "lines of the log were lost");
        log.flush();
    }
    code
}

fn start(args: Args, process: Process<'_>, log: &Log) -> Result<ExitCode> {
    log.install(&args.logging, args.command.default_log())?;
    let hub = hub::settings(process.environment);
    let threads = args.command.threads();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .map_err(|fault| Error::Config { name: "threads", reason: fault.to_string() })?;
    let result = runtime.block_on(async {
        lifecycle::survive_file_size_limit();
        match args.command {
            Command::Serve(args) => serve::run(*args, hub, process).await,
            Command::Score(args) => score::run(args, hub).await,
            Command::Batch(args) => batch::run(args, hub).await,
            Command::Evaluate(args) => evaluate::run(args, hub).await,
            Command::Policy(args) => policy::run(&args, hub),
            Command::Key(args) => key::run(&args),
        }
    });
    // Loading a model cannot be interrupted, and the process need not wait for it.
    runtime.shutdown_background();
    result
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

impl From<&Error> for ExitCode {
    fn from(error: &Error) -> Self {
        match error {
            Error::Config { .. } => Self::Usage,
            Error::File { action: "writing", .. } => Self::Output,
            Error::File { .. } => Self::NoInput,
            Error::Artifact { .. } => Self::Config,
            Error::Hub { .. } | Error::Listen { .. } => Self::Unavailable,
            _ if error.kind() == Kind::Input => Self::Data,
            _ => Self::Internal,
        }
    }
}

/// Returns whether the reader of the output closed the pipe, which is not a failure.
fn is_broken_pipe(error: &Error) -> bool {
    match error {
        Error::File { path, source, .. } => {
            source.kind() == std::io::ErrorKind::BrokenPipe && path != Path::new("stderr")
        }
        _ => false,
    }
}

/// Creates the error for a file that could not be read or written.
fn file_error(path: &Path, action: &'static str, source: std::io::Error) -> Error {
    Error::File { path: path.into(), action, source: Arc::new(source) }
}
