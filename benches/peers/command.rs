//! The commands of the driver.

use std::time::Instant;

use moderato::text::Limits;
use moderato::text::Text;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::Fallible;
use crate::contestant::Contestant;
use crate::contestant::Counted;
use crate::http_load;
use crate::products;

/// A command, one per line of stdin.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Command {
    /// Stores the token ids of one shape, one row per window.
    LoadIds { shape: String, ids: Vec<Vec<u32>> },
    /// Stores the texts of the workloads, in arrival order.
    LoadTexts { texts: Vec<String> },
    /// Returns the logits of a shape.
    Logits { shape: String },
    /// Times the forward pass of a shape.
    Uniform { shape: String, repeats: usize },
    /// Scores all texts, 32 at a time in arrival order.
    Serving,
    /// Scores all texts as `moderato score --input` does.
    Bulk,
    /// Scores all texts, one per request, with `connections` requests in flight.
    Concurrent { connections: usize },
    /// The same over HTTP, as a closed loop: each connection sends its next request once it has the
    /// previous response.
    HttpClosed { port: u16, connections: usize },
    /// The same as an open loop: requests arrive at a steady average rate, whether or not the
    /// server keeps up.
    HttpOpen { port: u16, connections: usize, per_second: f64, seed: u64 },
    /// Times one text on one connection, `repeats` times.
    HttpAlone { port: u16, text: String, repeats: usize },
    /// Times matrix products in the model's shapes, to find the peak throughput of the CPU.
    Products { rows: usize, shapes: Vec<[usize; 2]> },
}

/// A loaded contestant, with the runtime and the number of threads to run it on.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) contestant: Contestant,
    pub(crate) runtime: Runtime,
    pub(crate) threads: usize,
}

impl Bench {
    /// Runs a command and returns the answer; times are in seconds.
    pub(crate) fn run(&mut self, command: Command) -> Fallible<Value> {
        let Self { contestant, runtime, threads } = self;
        let answer = match command {
            Command::LoadIds { shape, ids } => {
                contestant.load_ids(shape, ids);
                json!({})
            }
            Command::LoadTexts { texts } => {
                let limits = Limits { max_texts: usize::MAX, max_chars: usize::MAX };
                contestant.texts = Text::all(texts, &limits)?;
                json!({})
            }
            Command::Logits { shape } => json!({"logits": contestant.logits(&shape)?}),
            Command::Uniform { shape, repeats } => {
                json!({"seconds": contestant.time_forward(&shape, repeats)?})
            }
            Command::Serving => timed(|| runtime.block_on(contestant.serve()))?,
            Command::Bulk => timed(|| runtime.block_on(contestant.score_in_bulk()))?,
            Command::Concurrent { connections } => {
                timed(|| runtime.block_on(contestant.score_concurrently(connections)))?
            }
            Command::HttpClosed { port, connections } => {
                let requests = http_load::requests(&contestant.texts);
                let start = Instant::now();
                let latencies =
                    runtime.block_on(http_load::closed_loop(port, connections, requests))?;
                json!({"seconds": start.elapsed().as_secs_f64(), "latencies": latencies})
            }
            Command::HttpOpen { port, connections, per_second, seed } => {
                let requests = http_load::requests(&contestant.texts);
                let due = http_load::arrivals(requests.len(), per_second, seed);
                let load = http_load::open_loop(port, connections, requests, due);
                json!({"latencies": runtime.block_on(load)?})
            }
            Command::HttpAlone { port, text, repeats } => {
                let requests = vec![http_load::request(&text); repeats];
                let load = http_load::closed_loop(port, 1, requests);
                json!({"latencies": runtime.block_on(load)?})
            }
            Command::Products { rows, shapes } => products::measure(*threads, rows, &shapes)?,
        };
        Ok(answer)
    }
}

fn timed(score: impl FnOnce() -> Fallible<Counted>) -> Fallible<Value> {
    let start = Instant::now();
    let Counted { n_texts, n_tokens } = score()?;
    let seconds = start.elapsed().as_secs_f64();
    Ok(json!({"seconds": seconds, "n_texts": n_texts, "n_tokens": n_tokens}))
}
