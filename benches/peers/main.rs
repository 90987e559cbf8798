//! moderato's side of `scripts/bench_peers`: a process that runs measurements on command.
//!
//! The process reads one command per line from stdin and writes one answer per line to stdout, both
//! JSON, as the processes of the other contestants do. `scripts/bench_peers/run.sh` builds and
//! drives it.

mod command;
mod contestant;
mod http_load;
mod products;

use std::io::BufRead;
use std::io::Write;
use std::num::NonZero;
use std::process::ExitCode;

use clap::Parser;
use moderato::model::Dtype;
use serde_json::Value;
use serde_json::json;

use crate::command::Bench;
use crate::contestant::Contestant;

/// Measures moderato for `scripts/bench_peers`.
#[derive(Debug, Parser)]
struct Args {
    /// What to compute in; without it there is nothing to do, as under a plain `cargo bench`
    #[arg(long)]
    dtype: Option<Dtype>,
    /// Threads to compute with [default: the CPUs that the process may use]
    #[arg(long)]
    threads: Option<NonZero<usize>>,
    /// What `cargo bench` passes to every benchmark, and a filter that some people add
    #[arg(long, hide = true)]
    bench: bool,
    #[arg(hide = true)]
    filter: Option<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let Some(dtype) = args.dtype else {
        return ended(&["peers: nothing to do; run scripts/bench_peers/run.sh"], ExitCode::SUCCESS);
    };
    let threads = args.threads.or_else(|| std::thread::available_parallelism().ok());
    match work(dtype, threads.map_or(1, NonZero::get)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => ended(&["peers: ", &fault.to_string()], ExitCode::FAILURE),
    }
}

/// Answers commands until stdin ends; the first line says that the model is ready.
fn work(dtype: Dtype, threads: usize) -> Fallible<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads) // as many as `moderato serve` uses
        .enable_all()
        .build()?;
    let contestant = Contestant::load(dtype, threads)?;
    answer(&json!({"ready": true, "version": env!("CARGO_PKG_VERSION")}))?;
    let mut bench = Bench { contestant, runtime, threads };
    for line in std::io::stdin().lock().lines() {
        answer(&bench.run(serde_json::from_str(&line?)?)?)?;
    }
    Ok(())
}

fn answer(value: &Value) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{value}")?;
    stdout.flush()
}

fn ended(words: &[&str], code: ExitCode) -> ExitCode {
    // If stderr is closed, the message cannot be reported.
    let _ = writeln!(std::io::stderr(), "{}", words.concat());
    code
}

/// Any error ends the process; the driver shows the message.
type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;
