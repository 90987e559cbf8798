//! The timings of a scored request: `server-timing`, and the metrics.

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use moderato::http::router;
use serde_json::Value;
use serde_json::json;
use tower::ServiceExt;

use super::operations::OPERATIONS;
use super::operations::Operation;
use super::request;
use crate::support;

#[tokio::test]
async fn every_contract_says_where_the_time_went() {
    let routes = router(support::app(support::embedded_model()));
    let spans = json!({"input": "good morning", "spans": true, "thresholds": {"privacy": 0.0}});
    let ask = |operation: &Operation| operation.request("moderato-small", "good morning");
    let asked = OPERATIONS.iter().map(ask);
    for request in asked.chain([request("/v1/score", &spans)]) {
        let path = request.uri().path().to_owned();
        let response = routes.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let answer = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(status, 200, "{path}: {answer:?}");
        let timing = headers.get("server-timing").map(|value| value.to_str().unwrap());
        let steps = durations(timing.unwrap_or_else(|| panic!("{path} says nothing")));
        let names: Vec<_> = steps.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["tokenise", "queue", "forward", "total"], "{path}");
        let parts: f64 = steps[..3].iter().map(|(_, millis)| millis).sum();
        assert!(parts > 0.0 && parts <= steps[3].1, "{path}: {steps:?}");
    }
}

#[tokio::test]
async fn what_is_not_scored_has_no_timing() {
    let routes = router(support::app(support::tiny_model()));
    for (path, body) in [("/v1/score", json!({"input": []})), ("/v1/score", Value::Null)] {
        let request = Request::post(path)
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        let response = routes.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers().get("server-timing"), None, "{body}");
    }
}

#[tokio::test]
async fn scores_are_counted_by_category_flagged_or_not() {
    let routes = router(support::app(support::tiny_model()));
    let body =
        json!({"input": ["good morning", "good night"], "thresholds": {"spam": 0.0, "leak": 1.0}});
    let request = Request::post("/v1/score")
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    assert_eq!(routes.clone().oneshot(request).await.unwrap().status(), 200);
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let response = routes.oneshot(request).await.unwrap();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    for line in [
        "moderato_texts_judged_total{category=\"spam\"} 2",
        "moderato_texts_flagged_total{category=\"spam\"} 2",
        "moderato_texts_judged_total{category=\"leak\"} 2",
        "moderato_texts_flagged_total{category=\"leak\"} 0",
        "moderato_text_scores_count{category=\"threat\"} 2",
        "moderato_text_windows_count 2",
        "moderato_ready 1",
    ] {
        assert!(text.contains(line), "no {line} in\n{text}");
    }
}

/// Parses the entries of the header: name and milliseconds.
fn durations(header: &str) -> Vec<(String, f64)> {
    let entry = |entry: &str| {
        let (name, millis) = entry.split_once(";dur=").unwrap();
        (name.to_owned(), millis.parse().unwrap())
    };
    header.split(", ").map(entry).collect()
}
