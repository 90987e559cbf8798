//! The request log: assigns every request an id, and counts, traces and logs the request.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use axum::extract::MatchedPath;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use tracing::debug;
use tracing::error;
use tracing::info;

use crate::http::auth::KeyName;
use crate::http::problem::ReportedError;
use crate::http::telemetry::context::Context;
use crate::http::telemetry::context::Cost;
use crate::http::telemetry::traces::SpanAttributes;
use crate::http::telemetry::traces::Trace;
use crate::http::telemetry::traces::Traces;
use crate::metrics::Metrics;

/// The metrics and traces that requests are recorded in, besides the log.
#[derive(Debug, Clone)]
pub(in crate::http) struct RequestLog {
    pub(in crate::http) metrics: Arc<Metrics>,
    pub(in crate::http) traces: Option<Traces>,
}

/// Records every request; the middleware around all routes.
pub(in crate::http) async fn log_request(
    State(log): State<RequestLog>,
    mut request: Request,
    next: Next,
) -> Response {
    let start = Instant::now();
    let request_id = request_id(&request);
    let method = method_label(request.method());
    let route = match request.extensions().get::<MatchedPath>() {
        Some(path) => path.as_str().to_owned(),
        None => "unmatched".to_owned(),
    };
    let id = request_id.to_str().unwrap_or_default();
    let context = Context::new(id.to_owned(), route.clone());
    let traces = log.traces.as_ref().filter(|_| request.method() == Method::POST);
    let trace = traces.map(|traces| traces.begin(request.headers(), method, &route));
    let trace_id = trace.as_ref().map(Trace::id);
    request.extensions_mut().insert(context.clone());
    let mut response = next.run(request).await;
    let (status, elapsed) = (response.status().as_u16(), start.elapsed());
    log.metrics.record_response(&route, method, status, elapsed);
    let key = response.extensions().get::<KeyName>().map(|KeyName(name)| name.to_string());
    let failure = response.extensions().get::<ReportedError>();
    if let Some(trace) = trace {
        trace.end(&SpanAttributes {
            request_id: id,
            status,
            code: failure.map(|failure| failure.code),
            cost: context.cost(),
            phases: &context.timings().phases(),
        });
    }
    if let Some(ReportedError { code, .. }) = failure {
        log.metrics.count_error(code);
    }
    let outcome = Outcome { status, elapsed, failure, cost: context.cost() };
    outcome.log(id, trace_id.as_deref(), &route, key.as_deref());
    if let Some(timing) = context.server_timing(elapsed) {
        response.headers_mut().insert(SERVER_TIMING, timing);
    }
    response.headers_mut().insert(REQUEST_ID, request_id);
    response
}

/// How a request ended.
struct Outcome<'a> {
    status: u16,
    elapsed: Duration,
    failure: Option<&'a ReportedError>,
    cost: Option<Cost>,
}

impl Outcome<'_> {
    fn log(&self, request_id: &str, trace_id: Option<&str>, route: &str, key: Option<&str>) {
        let Self { status, elapsed, failure, cost } = *self;
        let elapsed_ms = elapsed.as_secs_f64() * 1e3;
        if let Some(ReportedError { code, detail, .. }) = failure {
            if status == 500 {
                error!(
                    request_id,
                    trace_id, key, route, status, elapsed_ms, code, detail, "a request failed"
                );
            } else {
                info!(
                    request_id,
                    trace_id, key, route, status, elapsed_ms, code, detail, "a request was refused"
                );
            }
        } else if let Some(Cost { n_texts, n_tokens }) = cost {
            let message = "texts were scored";
            info!(
                request_id,
                trace_id, key, route, status, elapsed_ms, n_texts, n_tokens, "{message}"
            );
        } else {
            debug!(request_id, trace_id, key, route, status, elapsed_ms, "a request was answered");
        }
    }
}

/// Returns the request id that the client sent if it is safe to log, or else a new one.
fn request_id(request: &Request) -> HeaderValue {
    let given = request.headers().get(REQUEST_ID).filter(|value| {
        let bytes = value.as_bytes();
        (1..=MAX_ID_BYTES).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
    });
    given.cloned().unwrap_or_else(|| {
        let id = format!("req-{}", uuid::Uuid::new_v4().simple());
        HeaderValue::try_from(id).expect("a word of letters and digits is a header value")
    })
}

/// Returns the method as a metric label. Unknown methods share one label, since clients may invent
/// any number of them.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

pub(in crate::http) const REQUEST_ID: &str = "x-request-id";
const SERVER_TIMING: &str = "server-timing";
/// Several times the length of a UUID.
const MAX_ID_BYTES: usize = 128;
