//! Status and body of every error.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc;

use axum::body::Body;
use axum::http::Request;
use axum::http::StatusCode;
use insta::assert_snapshot;
use moderato::batch::Batch;
use moderato::engine::EngineSettings;
use moderato::engine::Queued;
use moderato::http::App;
use moderato::http::HttpSettings;
use moderato::lifecycle::Lifecycle;
use moderato::metrics::Metrics;
use moderato::model::Forward;
use moderato::model::Logits;
use moderato::text::Limits;
use ndarray::Array2;
use serde_json::Value;
use serde_json::json;

use super::get;
use super::post;
use super::post_bytes;
use super::request;
use super::send;
use crate::support;
use crate::support::ENGINE;
use crate::support::HTTP;

#[tokio::test]
async fn every_error_has_the_same_body_and_names_the_fault() {
    let long = "tea ".repeat(6000);
    let cases = [
        ("not JSON", post_bytes("/v1/score", "bad").await),
        ("broken off", post_bytes("/v1/score", "{\"input\": \"hidden").await),
        ("not an object", post_bytes("/v1/score", "[1]").await),
        ("no input", post("/v1/score", &json!({})).await),
        ("null input", post("/v1/moderations", &json!({"input": null})).await),
        ("wrong type", post("/v1/score", &json!({"input": 5})).await),
        ("wrong type inside", post("/v1/moderations", &json!({"input": ["a", {"b": 1}]})).await),
        ("wrong model", post("/v1/moderations", &json!({"input": "a", "model": 1})).await),
        ("unknown field", post("/v1/score", &json!({"input": "a", "treshold": 1})).await),
        ("no text", post("/v1/score", &json!({"input": []})).await),
        ("too many texts", post("/v1/score", &json!({"input": vec!["a"; 9]})).await),
        ("text too long", post("/v1/score", &json!({"input": long})).await),
        ("unknown category", post("/v1/score", &json!({"input": "a", "categories": ["x"]})).await),
        ("no category", post("/v1/score", &json!({"input": "a", "categories": []})).await),
        (
            "unknown threshold",
            post("/v1/score", &json!({"input": "a", "thresholds": {"x": 1}})).await,
        ),
        (
            "bad threshold",
            post("/v1/score", &json!({"input": "a", "thresholds": {"spam": 2}})).await,
        ),
        ("body too large", post_bytes("/v1/score", &" ".repeat(100_001)).await),
        ("no such route", get("/v1/nowhere").await),
        ("wrong method", get("/v1/score").await),
        (
            "no media type",
            send(
                support::app(support::tiny_model()),
                Request::post("/v1/score").body("{}".into()).unwrap(),
            )
            .await,
        ),
        ("no such page", get("/docs/nowhere.js").await),
    ];
    let answers: Vec<_> = cases
        .iter()
        .map(|(name, answer)| {
            let error = answer.body["error"].as_object();
            let error = error.unwrap_or_else(|| panic!("{name}: {}", answer.text));
            let keys: Vec<_> = error.keys().collect();
            assert_eq!(keys, ["message", "type", "param", "code"], "{name}");
            assert!(!answer.text.contains("hidden"), "{name} quotes the text");
            assert!(answer.headers.contains_key("x-request-id"), "{name}");
            let [message, code, param] = ["message", "code", "param"].map(|key| show(&error[key]));
            format!("{name}: {} {code} {param} | {message}", answer.status.as_u16())
        })
        .collect();
    assert_snapshot!(answers.join("\n"), @r#"
    not JSON: 400 malformed_json null | malformed JSON at line 1 column 1: expected value
    broken off: 400 malformed_json null | malformed JSON at line 1 column 17: EOF while parsing a string
    not an object: 400 invalid_type body | body must be an object, found an array
    no input: 400 missing_field input | input is missing
    null input: 400 missing_field input | input is missing
    wrong type: 400 invalid_type input | input must be a string or an array of strings, found a number
    wrong type inside: 400 invalid_type input[1] | input[1] must be a string, found an object
    wrong model: 400 invalid_type model | model must be a string, found a number
    unknown field: 400 unknown_field treshold | unknown field "treshold"; known are "input", "messages", "thresholds", "custom_category_thresholds", "ignore_other_categories", "categories", "action", "policy", "model", "spans", "clauses", "top_k"
    no text: 400 no_texts input | the input has no text
    too many texts: 400 too_many_texts input | the input has 9 texts, at most 8 are accepted
    text too long: 400 text_too_long input | text 0 has 24000 characters, at most 20000 are accepted
    unknown category: 400 unknown_category categories | unknown categories "x"; known are "spam", "insult", "threat", "leak"
    no category: 400 invalid_type categories | categories must be an array of at least one id, found an empty array
    unknown threshold: 400 unknown_category thresholds | unknown categories "x"; known are "spam", "insult", "threat", "leak"
    bad threshold: 400 invalid_threshold thresholds.spam | the threshold of spam is 2, expected a number from 0 to 1
    body too large: 413 body_too_large null | the body has more than 100000 bytes
    no such route: 404 not_found null | there is no such route; see /docs
    wrong method: 405 method_not_allowed null | this route does not take this method; see the header allow
    no media type: 415 unsupported_media_type null | the body must come with the header content-type: application/json
    no such page: 404 not_found null | there is no such route; see /docs
    "#);
}

#[tokio::test]
async fn strange_bodies_are_answered_or_refused_in_their_own_words() {
    let app = support::app_with(
        support::tiny_model(),
        ENGINE,
        HttpSettings {
            max_body_bytes: 2_000_000,
            limits: Limits { max_texts: 8, max_chars: 2_000_000 },
            ..HTTP
        },
    );
    let deep = ["[".repeat(100_000), "]".repeat(100_000)].concat();
    for (name, body, status, code) in [
        ("a lone surrogate", r#"{"input": "tea \ud800 cake"}"#.to_owned(), 200, ""),
        ("half a pair", r#"{"input": "tea \udc00"}"#.to_owned(), 200, ""),
        ("NUL, escaped", r#"{"input": "tea \u0000 cake"}"#.to_owned(), 200, ""),
        ("NUL, bare", "{\"input\": \"tea \0 cake\"}".to_owned(), 400, "malformed_json"),
        ("depth", format!(r#"{{"input": {deep}}}"#), 400, "json_too_deep"),
        ("depth alone", deep.clone(), 400, "json_too_deep"),
        // The last value counts, as with most parsers.
        ("a field twice", r#"{"input": 5, "input": "tea"}"#.to_owned(), 200, ""),
        (
            "a megabyte without a space",
            format!(r#"{{"input": "{}"}}"#, "a".repeat(1 << 20)),
            200,
            "",
        ),
        (
            "a megabyte of unknown letters",
            format!(r#"{{"input": "{}"}}"#, "\u{10ffff}".repeat(1 << 18)),
            200,
            "",
        ),
    ] {
        for path in ["/v1/score", "/v1/moderations"] {
            let request = Request::post(path)
                .header("content-type", "application/json")
                .body(body.clone().into())
                .unwrap();
            let answer = send(app.clone(), request).await;
            let told = &answer.body["error"]["code"];
            // So many windows may also exceed the limit on tokens per request.
            let is_costly = *told == "too_many_tokens" && name.starts_with("a megabyte");
            assert!(answer.status == status || is_costly, "{name}: {}", answer.text);
            assert!(status == 200 || *told == code, "{name}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_one() {
    assert_eq!(get("/v1/score").await.headers["allow"], "POST");
}

#[tokio::test]
async fn the_timeout_header_must_be_a_number_above_zero() {
    for (value, code) in
        [("0", "invalid_header"), ("soon", "invalid_header"), ("-1", "invalid_header")]
    {
        let mut request = request("/v1/score", &json!({"input": "a"}));
        request.headers_mut().insert("x-request-timeout-ms", value.parse().unwrap());
        let answer = send(support::app(support::tiny_model()), request).await;
        assert_eq!(answer.body["error"]["code"], code, "{value}");
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{value}");
    }
}

#[tokio::test]
async fn overload_is_503_and_says_when_to_come_back() {
    let settings = EngineSettings { queue_tokens: 8, max_request_tokens: 8, ..ENGINE };
    let app = support::app_with(support::tiny_model(), settings, HTTP);
    // A request larger than the queue is refused as too large, not as overload.
    let answer = send(app, request("/v1/score", &json!({"input": "tea ".repeat(20)}))).await;
    assert_eq!(answer.body["error"]["code"], "too_many_tokens");
    let starting = App::new(HTTP, Arc::new(Metrics::new()), Lifecycle::new());
    let answer = send(starting, request("/v1/score", &json!({"input": "a"}))).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.body["error"]["code"], "server_is_starting");
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(answer.headers["retry-after-ms"], "1000");
}

#[tokio::test]
async fn a_full_queue_is_503_and_says_when_to_come_back() {
    let (open, opened) = mpsc::channel::<()>();
    let model = support::model_with(Held(Mutex::new(opened)));
    let settings = EngineSettings { queue_tokens: 40, max_request_tokens: 40, ..ENGINE };
    let app = support::app_with(model, settings, HTTP);
    let body = json!({"input": "tea and cake and cream and jam and more of that"});
    let mut queued = app.engine().unwrap().queued();
    let mut clients = Vec::new();
    for (n_requests, n_waiting) in [(1, 0), (2, 1)] {
        clients.push(tokio::spawn(send(app.clone(), request("/v1/score", &body))));
        let is_there = |queued: &Queued| {
            queued.n_requests == n_requests && queued.n_tokens.min(1) == n_waiting
        };
        queued.wait_for(is_there).await.unwrap();
    }
    let twice = json!({"input": [body["input"], body["input"]]});
    let refused = send(app, request("/v1/score", &twice)).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.text);
    assert_eq!(refused.body["error"]["code"], "server_is_overloaded");
    // The throughput of the model is unknown, so the default of one second applies.
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(refused.headers["retry-after-ms"], "1000");
    drop(open);
    for client in clients {
        assert_eq!(client.await.unwrap().status, StatusCode::OK);
    }
}

/// A forward pass that blocks until its sender is dropped.
#[derive(Debug)]
struct Held(Mutex<mpsc::Receiver<()>>);

impl Forward for Held {
    fn forward(&self, batch: &Batch) -> moderato::error::Result<Logits> {
        let _ = self.0.lock().unwrap().recv();
        Ok(Logits(Array2::zeros((batch.n_windows(), 4))))
    }
}

fn show(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[tokio::test]
async fn pages_of_other_origins_are_told_nothing() {
    let app = support::app(support::tiny_model());
    for (method, path, status) in [("OPTIONS", "/v1/score", 405), ("GET", "/v1/models", 200)] {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("origin", "https://elsewhere.example")
            .header("access-control-request-method", "POST")
            .body(Body::empty())
            .unwrap();
        let answer = send(app.clone(), request).await;
        assert_eq!(answer.status, status, "{method} {path}");
        let mut names = answer.headers.keys().map(axum::http::HeaderName::as_str);
        assert!(!names.any(|name| name.starts_with("access-control-")), "{:?}", answer.headers);
    }
}
