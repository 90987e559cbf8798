//! Random JSON, and bytes that are not JSON, to every route.

use axum::body::Body;
use axum::http::Request;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use proptest::test_runner::TestRunner;
use serde_json::Value;

use super::operations::OPERATIONS;
use super::send;
use crate::support;

#[test]
fn random_bodies_never_panic_and_are_always_answered_in_json() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let app = runtime.block_on(async { support::app(support::tiny_model()) });
    let posted = OPERATIONS.iter().map(|operation| operation.path("tiny-bert"));
    let pages = ["/v1/models", "/v1/policy"].map(str::to_owned);
    let routes = prop::sample::select(posted.chain(pages).collect::<Vec<_>>());
    let methods = prop::sample::select(&["POST", "GET", "PUT", "DELETE", "BREW"][..]);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(400));
    runner
        .run(&(routes, methods, body()), |(route, method, body)| {
            let request = Request::builder()
                .method(method)
                .uri(route)
                .header("content-type", "application/json")
                .body(Body::from(body))
                .unwrap();
            let answer = runtime.block_on(send(app.clone(), request));
            let status = answer.status.as_u16();
            // A panic would result in 500.
            prop_assert!(status == 200 || (400..500).contains(&status), "{status} {}", answer.text);
            if !(answer.body.is_object() || status == 200 && answer.body.is_array()) {
                return Err(TestCaseError::fail(format!("no object: {}", answer.text)));
            }
            let is_error =
                ["error", "message", "detail"].iter().any(|key| answer.body.get(key).is_some());
            prop_assert_eq!(status == 200, !is_error);
            Ok(())
        })
        .unwrap();
}

const FIELDS: &[&str] = &[
    "input",
    "inputs",
    "instances",
    "contents",
    "texts",
    "comment",
    "requestedAttributes",
    "messages",
    "parameters",
    "thresholds",
    "categories",
    "spans",
    "top_k",
    "model",
    "metadata",
    "x",
];

/// Generates nearly valid requests, any JSON, and any bytes.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let field = prop::sample::select(FIELDS);
    let nearly = prop::collection::vec((field, json()), 0..4).prop_map(|fields| {
        let object = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Value::Object(object).to_string().into_bytes()
    });
    let any_json = json().prop_map(|value| value.to_string().into_bytes());
    let bytes = prop::collection::vec(any::<u8>(), 0..64);
    prop_oneof![4 => nearly, 1 => any_json, 1 => bytes]
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,30}".prop_map(Value::from),
        prop::sample::select(&["spam", "leak", "tea \u{0} \u{202e} \u{200b}"][..])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let key = prop_oneof![Just("spam".to_owned()), "[a-z]{0,4}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}
