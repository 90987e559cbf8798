//! Traces, as received by a collector on loopback.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::routing::post;
use moderato::error::Error;
use moderato::http::App;
use moderato::http::HttpSettings;
use moderato::http::TraceSettings;
use moderato::http::Traces;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;
use prost::Message;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;

use crate::http::Answer;
use crate::http::request;
use crate::http::send;
use crate::support;
use crate::support::ENGINE;
use crate::support::HTTP;

#[tokio::test]
async fn a_request_is_a_span_in_the_trace_of_its_caller_with_a_child_for_each_step() {
    let collector = Collector::start().await;
    let (app, traces) = collector.app(1.0);
    let headers = [("traceparent", SAMPLED), ("x-request-id", "request-7")];
    let answer = score(app, &json!({"input": WORDS}), &headers).await;
    assert_eq!(answer.status, StatusCode::OK);
    traces.close().await;
    assert!(!collector.has_seen(WORDS));
    let spans = collector.spans();
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["tokenise", "queue", "forward", "POST /v1/score"]);
    let request = &spans[3];
    assert_eq!(hex(&request.trace_id), TRACE);
    assert_eq!(hex(&request.parent_span_id), CALLER);
    assert_eq!(attribute(request, "http.route"), "/v1/score");
    assert_eq!(attribute(request, "http.response.status_code"), "200");
    assert_eq!(attribute(request, "moderato.request_id"), "request-7");
    assert_eq!(attribute(request, "moderato.n_texts"), "1");
    for child in &spans[..3] {
        assert_eq!(hex(&child.trace_id), TRACE);
        assert_eq!(child.parent_span_id, request.span_id, "{}", child.name);
        assert!(child.start_time_unix_nano >= request.start_time_unix_nano, "{}", child.name);
        assert!(child.end_time_unix_nano <= request.end_time_unix_nano, "{}", child.name);
        assert!(child.end_time_unix_nano >= child.start_time_unix_nano, "{}", child.name);
    }
}

#[tokio::test]
async fn the_caller_decides_what_is_traced_and_else_the_ratio() {
    for (ratio, traceparent, expected) in [
        (0.0, None, 0),
        (1.0, None, 1),
        (0.0, Some(SAMPLED), 1),
        (1.0, Some(UNSAMPLED), 0),
        (1.0, Some("00-not-a-parent"), 1),
    ] {
        let collector = Collector::start().await;
        let (app, traces) = collector.app(ratio);
        let headers: Vec<_> = traceparent.map(|it| ("traceparent", it)).into_iter().collect();
        let answer = score(app, &json!({"input": "tea"}), &headers).await;
        assert_eq!(answer.status, StatusCode::OK);
        traces.close().await;
        let spans = collector.spans();
        let n_requests = spans.iter().filter(|span| span.name == "POST /v1/score").count();
        assert_eq!(n_requests, expected, "{ratio} {traceparent:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_told_by_its_code_and_is_no_fault_of_the_server() {
    let collector = Collector::start().await;
    let (app, traces) = collector.app(1.0);
    let answer = score(app, &json!({"input": []}), &[]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    traces.close().await;
    let [span] = collector.spans().try_into().unwrap();
    assert_eq!(attribute(&span, "error.type"), "no_texts");
    assert_eq!(attribute(&span, "http.response.status_code"), "400");
    assert_eq!(span.status.unwrap_or_default().code, SpanStatus::Unset as i32);
}

#[tokio::test]
async fn a_collector_that_is_away_costs_no_request() {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    drop(tcp);
    let traces = Traces::open(settings(format!("http://{address}/v1/traces"), 1.0)).unwrap();
    let app = app(&traces);
    let answer = score(app, &json!({"input": "tea"}), &[]).await;
    assert_eq!(answer.status, StatusCode::OK);
    tokio::time::timeout(Duration::from_secs(20), traces.close()).await.unwrap();
}

#[tokio::test]
async fn an_endpoint_that_is_no_url_is_named() {
    for endpoint in ["localhost:4318", "ftp://localhost", "http://", "http://a b"] {
        let fault = Traces::open(settings(endpoint.to_owned(), 1.0)).unwrap_err();
        assert!(matches!(fault, Error::Config { name: "otlp-endpoint", .. }), "{fault}");
    }
}

async fn score(app: App, body: &Value, headers: &[(&'static str, &'static str)]) -> Answer {
    let mut request = request("/v1/score", body);
    for (name, value) in headers {
        request.headers_mut().insert(*name, HeaderValue::from_static(value));
    }
    send(app, request).await
}

fn settings(endpoint: String, ratio: f64) -> TraceSettings {
    TraceSettings {
        endpoint,
        headers: vec![("x-key".to_owned(), "our key".to_owned())],
        service_name: "moderato".to_owned(),
        queue_size: 2048,
        ratio,
        follows_callers: true,
    }
}

fn app(traces: &Traces) -> App {
    let http = HttpSettings { traces: Some(traces.clone()), ..HTTP };
    support::app_with(support::tiny_model(), ENGINE, http)
}

/// A collector that stores the bodies sent to `/v1/traces`.
struct Collector {
    endpoint: String,
    bodies: Arc<Mutex<Vec<Bytes>>>,
}

impl Collector {
    async fn start() -> Self {
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&bodies);
        let take = async move |body: Bytes| {
            kept.lock().unwrap().push(body);
            StatusCode::OK
        };
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/v1/traces", tcp.local_addr().unwrap());
        let routes = Router::new().route("/v1/traces", post(take));
        tokio::spawn(async move { axum::serve(tcp, routes).await });
        Self { endpoint, bodies }
    }

    fn app(&self, ratio: f64) -> (App, Traces) {
        let traces = Traces::open(settings(self.endpoint.clone(), ratio)).unwrap();
        (app(&traces), traces)
    }

    /// Returns the spans in the order in which they ended.
    fn spans(&self) -> Vec<Span> {
        let bodies = self.bodies.lock().unwrap();
        let requests =
            bodies.iter().map(|body| ExportTraceServiceRequest::decode(body.clone()).unwrap());
        let scopes = requests.flat_map(|it| it.resource_spans).flat_map(|it| it.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    fn has_seen(&self, words: &str) -> bool {
        let bodies = self.bodies.lock().unwrap();
        bodies.iter().any(|body| String::from_utf8_lossy(body).contains(words))
    }
}

fn attribute(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key == key);
    let value = found.unwrap_or_else(|| panic!("no {key}")).value.clone().unwrap();
    match value.value.unwrap() {
        AnyValue::StringValue(text) => text,
        AnyValue::IntValue(number) => number.to_string(),
        other => panic!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from_digit(digit.into(), 16).unwrap()).collect()
}

const WORDS: &str = "a cup of tea in the garden";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";
const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
