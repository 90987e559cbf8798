//! What every request gets: an id, a place in the metrics, a line in the log.

use std::time::Instant;

use axum::extract::MatchedPath;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use tracing::debug;
use tracing::error;
use tracing::info;

use crate::http::app::App;
use crate::http::context::Context;
use crate::http::context::Cost;
use crate::http::gate::KeyName;
use crate::http::problem::Failure;
use crate::http::traces::Told;
use crate::http::traces::Trace;
use crate::lifecycle::Phase;

/// Wraps all routes.
pub(super) async fn observe(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let start = Instant::now();
    let request_id = request_id(&request);
    let method = method_label(request.method());
    let route = match request.extensions().get::<MatchedPath>() {
        Some(path) => path.as_str().to_owned(),
        None => "unmatched".to_owned(),
    };
    let id = request_id.to_str().unwrap_or_default();
    let context = Context::new(id.to_owned(), route.clone());
    let traces = app.settings().traces.as_ref().filter(|_| request.method() == Method::POST);
    let trace = traces.map(|traces| traces.begin(request.headers(), method, &route));
    let trace_id = trace.as_ref().map(Trace::id);
    request.extensions_mut().insert(context.clone());
    let mut response = next.run(request).await;
    let (status, elapsed) = (response.status().as_u16(), start.elapsed());
    app.metrics().answered(&route, method, status, elapsed);
    let elapsed_ms = elapsed.as_secs_f64() * 1e3;
    let key = response.extensions().get::<KeyName>().map(|KeyName(name)| name.to_string());
    let failure = response.extensions().get::<Failure>();
    if let Some(trace) = trace {
        trace.end(&Told {
            request_id: id,
            status,
            code: failure.map(|failure| failure.code),
            cost: context.cost(),
            phases: &context.timings().phases(),
        });
    }
    if let Some(Failure { code, detail, .. }) = failure {
        app.metrics().failed(code);
        if status == 500 {
            error!(
                request_id = id,
                trace_id, key, route, status, elapsed_ms, code, detail, "a request failed"
            );
        } else {
            info!(
                request_id = id,
                trace_id, key, route, status, elapsed_ms, code, detail, "a request was refused"
            );
        }
    } else if let Some(Cost { n_texts, n_tokens }) = context.cost() {
        let message = "texts were scored";
        info!(
            request_id = id,
            trace_id, key, route, status, elapsed_ms, n_texts, n_tokens, "{message}"
        );
    } else {
        debug!(request_id = id, trace_id, key, route, status, elapsed_ms, "a request was answered");
    }
    if let Some(timing) = context.server_timing(elapsed) {
        response.headers_mut().insert(SERVER_TIMING, timing);
    }
    response.headers_mut().insert(REQUEST_ID, request_id);
    response
}

/// All instruments in the Prometheus text format.
#[utoipa::path(get, path = "/metrics", responses((status = 200, content_type = "text/plain", body = String)))]
pub(super) async fn metrics(State(app): State<App>) -> impl IntoResponse {
    app.metrics().ready(app.lifecycle().phase() == Phase::Ready);
    let text = app.metrics().render();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

/// The id that the client gave, if it can stand in a log; else a new one.
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

/// A client may invent methods; a metric may not have a label for each.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

pub(super) const REQUEST_ID: &str = "x-request-id";
const SERVER_TIMING: &str = "server-timing";
/// Twice a UUID with a prefix.
const MAX_ID_BYTES: usize = 128;
