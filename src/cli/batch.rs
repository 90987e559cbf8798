//! `moderato batch`: answers a file of requests through the server's routes, without a server.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

use crate::cli::ExitCode;
use crate::cli::args::BatchArgs;
use crate::cli::bulk;
use crate::cli::bulk::InputFile;
use crate::cli::bulk::Line;
use crate::cli::config;
use crate::cli::config::EngineConfig;
use crate::cli::output;
use crate::cli::output::Output;
use crate::error::Error;
use crate::error::Result;
use crate::http::App;
use crate::http::HttpSettings;
use crate::http::Replay;
use crate::http::Replayed;
use crate::json;
use crate::json::AnyValue;
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::model::HubSettings;
use crate::text::Limits;

/// One line of the output.
#[derive(Debug, Serialize)]
struct Answer {
    id: String,
    custom_id: Option<String>,
    response: Option<Response>,
    error: Option<Fault>,
}

#[derive(Debug, Serialize)]
struct Response {
    status_code: u16,
    request_id: String,
    body: Value,
}

/// The error of a line that could not be processed as a request.
#[derive(Debug, Serialize)]
struct Fault {
    code: &'static str,
    message: String,
}

pub(super) async fn run(args: BatchArgs, hub: HubSettings) -> Result<ExitCode> {
    if let Some(output) = &args.output {
        output::refuse_same_file(&args.input, output)?;
    }
    let settings = HttpSettings {
        limits: Limits::for_lines(&args.limits),
        max_body_bytes: usize::MAX,
        timeout: NO_TIMEOUT,
        media: config::media(args.ignore_images),
        access: None,
        audit: None,
        traces: None,
    };
    // Opened before the output is truncated, so that a misspelt input path destroys no file.
    let input = InputFile::open(&args.input)?;
    let config =
        EngineConfig::for_requests(args.model, &args.limits, bulk::MAX_LINES_IN_FLIGHT, hub)?
            .with_span_tokens(args.limits.max_request_tokens.get());
    let metrics = Arc::new(Metrics::new());
    let app = App::new(settings, Arc::clone(&metrics), Lifecycle::new());
    app.install(config.start(metrics)?);
    let mut output = Output::open(args.output.as_deref())?;
    let n_failed = answer(Replay::new(app), input, &mut output).await;
    // Answers that precede an error are still written.
    let flushed = output.flush();
    let n_failed = n_failed.and_then(|n_failed| flushed.map(|()| n_failed))?;
    if n_failed == 0 {
        return Ok(ExitCode::Success);
    }
    tracing::warn!(n_failed, "some requests failed; their lines say why");
    Ok(ExitCode::Data)
}

/// Answers every line in order; returns the number of lines without a response of status 200.
async fn answer(replay: Replay, input: InputFile, output: &mut Output) -> Result<usize> {
    let seen = Mutex::new(HashSet::new());
    let work = move |line: String| {
        let replay = replay.clone();
        // Parsed here, in line order, so that the first of two lines with the same id is answered.
        let mut custom_id = None;
        let request = request(&line, &mut custom_id, &seen);
        async move { Ok(ask(&replay, custom_id, request).await) }
    };
    let mut n_failed = 0;
    let sink = |line: Line<Answer>| {
        let answer = line.result?;
        let is_good = answer.response.as_ref().is_some_and(|response| response.status_code == 200);
        n_failed += usize::from(!is_good);
        output.json(&answer)
    };
    bulk::process_lines(input, work, sink).await?;
    Ok(n_failed)
}

async fn ask(replay: &Replay, custom_id: Option<String>, request: Result<Request>) -> Answer {
    let replayed = match request {
        Ok(Request { method, url, body: AnyValue(body) }) => replay.ask(&method, &url, &body).await,
        Err(fault) => Err(fault),
    };
    let (response, error) = match replayed {
        Ok(Replayed { status, request_id, body }) => {
            (Some(Response { status_code: status, request_id, body }), None)
        }
        Err(fault) => (None, Some(Fault { code: fault.code(), message: fault.to_string() })),
    };
    let id = format!("batch_req_{}", uuid::Uuid::new_v4().simple());
    Answer { id, custom_id, response, error }
}

/// Parses the request of a line; sets `custom_id` even if the rest of the line is invalid.
fn request(
    line: &str,
    custom_id: &mut Option<String>,
    seen: &Mutex<HashSet<String>>,
) -> Result<Request> {
    let Id { custom_id: id } = json::from_bytes(line.as_bytes())?;
    let is_new = seen.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
    *custom_id = Some(id);
    if !is_new {
        let expected = "unlike that of every other line".into();
        return Err(Error::InvalidValue { param: "custom_id".into(), expected });
    }
    json::from_bytes(line.as_bytes())
}

#[derive(Deserialize)]
struct Id {
    custom_id: String,
}

/// The request of a line; other fields are ignored.
#[derive(Deserialize)]
struct Request {
    method: String,
    /// A path on the server.
    url: String,
    body: AnyValue,
}

/// In effect no timeout: no caller waits for a single line.
const NO_TIMEOUT: Duration = Duration::from_hours(24 * 365);
