//! Quotas: which requests are refused, when to retry, and what is charged.

use axum::http::StatusCode;
use insta::assert_snapshot;
use serde_json::json;

use super::guarded::Guarded;
use super::guarded::Model;
use super::guarded::client;
use super::guarded::get;
use super::guarded::score;
use super::guarded::with_key;
use super::operations::OPERATIONS;
use super::request;

#[tokio::test]
async fn a_quota_is_not_renewed_by_a_change_elsewhere_in_the_file() {
    let quota = "requests_per_second=0.01";
    let guarded = Guarded::new(Model::None, &[client("web", quota)]);
    let ask = async |guarded: &Guarded| {
        guarded.send(with_key(get("/openapi.json"), "web")).await.status.as_u16()
    };
    assert_eq!([ask(&guarded).await, ask(&guarded).await], [200, 429]);
    guarded.write(&[client("another", ""), client("web", quota)]);
    guarded.file.refresh();
    assert_eq!(ask(&guarded).await, 429);
    guarded.write(&[client("web", "requests_per_second=0.02")]);
    guarded.file.refresh();
    assert_eq!(ask(&guarded).await, 200, "a new quota begins anew");
}

#[tokio::test]
async fn each_key_has_a_quota_of_its_own() {
    let quota = "requests_per_second=0.01";
    let guarded = Guarded::new(Model::None, &[client("one", quota), client("two", quota)]);
    for (name, status) in [("one", 200), ("one", 429), ("two", 200), ("two", 429)] {
        let answer = guarded.send(with_key(get("/openapi.json"), name)).await;
        assert_eq!(answer.status, status, "{name}");
    }
    assert_eq!(guarded.send(get("/health/live")).await.status, 200, "what is open costs nothing");
}

#[tokio::test]
async fn beyond_the_quota_a_client_is_told_when_to_come_back() {
    let guarded = Guarded::new(Model::None, &[client("web", "requests_per_second=0.4")]);
    assert_eq!(guarded.send(with_key(get("/openapi.json"), "web")).await.status, 200);
    let refused = guarded.send(with_key(get("/openapi.json"), "web")).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(
        refused.body,
        json!({"error": {
            "message": "the quota of the key is used up; see the header retry-after",
            "type": "rate_limit_error", "param": null, "code": "slow_down",
        }})
    );
    assert_eq!(refused.headers["retry-after"], "3", "whole seconds, rounded up");
    let wait_ms: u64 = refused.headers["retry-after-ms"].to_str().unwrap().parse().unwrap();
    assert!((2001..=2500).contains(&wait_ms), "{wait_ms}");
    assert!(guarded.metrics.render().contains("moderato_errors_total{code=\"slow_down\"} 1"));
}

#[tokio::test]
async fn tokens_are_charged_as_they_are_known_and_debt_is_refused() {
    let guarded = Guarded::new(Model::Tiny, &[client("web", "tokens_per_second=0.1")]);
    let answer = guarded.send(with_key(score(), "web")).await;
    assert_eq!(answer.status, StatusCode::OK);
    let n_tokens = answer.body["usage"]["n_tokens"].as_u64().unwrap();
    assert_eq!(n_tokens, 7);
    let refused = guarded.send(with_key(score(), "web")).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    // One of the seven tokens was available; part of the wait may have passed already.
    let wait_s: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((51..=60).contains(&wait_s), "{wait_s}");
}

#[tokio::test]
async fn finding_spans_costs_tokens_too() {
    let guarded = Guarded::new(Model::Tiny, &[client("web", "tokens_per_second=1")]);
    let body =
        json!({"input": "Good morning. Good night.", "spans": true, "thresholds": {"spam": 0}});
    let answer = guarded.send(with_key(request("/v1/score", &body), "web")).await;
    let n_tokens = answer.body["usage"]["n_tokens"].as_u64().unwrap();
    let refused = guarded.send(with_key(score(), "web")).await;
    let wait_s: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(wait_s > n_tokens, "{wait_s} s for {n_tokens} tokens");
}

#[tokio::test]
async fn what_is_refused_before_it_is_queued_costs_no_tokens() {
    let guarded = Guarded::new(Model::Tiny, &[client("web", "tokens_per_second=1")]);
    for body in [json!({"input": []}), json!({}), json!({"input": "tea ".repeat(6000)})] {
        let answer = guarded.send(with_key(request("/v1/score", &body), "web")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(guarded.send(with_key(score(), "web")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn refusals_come_in_the_words_of_each_contract() {
    let mut lines = Vec::new();
    for operation in OPERATIONS.iter() {
        let path = &operation.template;
        let asked = || operation.request("tiny-bert", "good morning");
        let guarded = Guarded::new(Model::None, &[client("web", "requests_per_second=0.001")]);
        let unknown = guarded.send(asked()).await;
        assert_eq!(unknown.headers["www-authenticate"], "Bearer", "{path}");
        guarded.send(with_key(asked(), "web")).await;
        let beyond = guarded.send(with_key(asked(), "web")).await;
        assert_eq!(beyond.headers["retry-after"], "1000", "{path}");
        let wait_ms: u64 = beyond.headers["retry-after-ms"].to_str().unwrap().parse().unwrap();
        assert!((990_000..=1_000_000).contains(&wait_ms), "{path}: {wait_ms}");
        for answer in [unknown, beyond] {
            lines.push(format!("{path}: {} {}", answer.status.as_u16(), answer.text));
        }
    }
    assert_snapshot!(lines.join("\n"), @r#"
    /v1/score: 401 {"error":{"message":"a key is needed, as in the header authorization: Bearer KEY","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}
    /v1/score: 429 {"error":{"message":"the quota of the key is used up; see the header retry-after","type":"rate_limit_error","param":null,"code":"slow_down"}}
    /v1/moderations: 401 {"error":{"message":"a key is needed, as in the header authorization: Bearer KEY","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}
    /v1/moderations: 429 {"error":{"message":"the quota of the key is used up; see the header retry-after","type":"rate_limit_error","param":null,"code":"slow_down"}}
    /v1/chat/moderations: 401 {"error":{"message":"a key is needed, as in the header authorization: Bearer KEY","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}
    /v1/chat/moderations: 429 {"error":{"message":"the quota of the key is used up; see the header retry-after","type":"rate_limit_error","param":null,"code":"slow_down"}}
    /v1/classifications: 401 {"error":{"message":"a key is needed, as in the header authorization: Bearer KEY","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}
    /v1/classifications: 429 {"error":{"message":"the quota of the key is used up; see the header retry-after","type":"rate_limit_error","param":null,"code":"slow_down"}}
    /v1/chat/classifications: 401 {"error":{"message":"a key is needed, as in the header authorization: Bearer KEY","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}
    /v1/chat/classifications: 429 {"error":{"message":"the quota of the key is used up; see the header retry-after","type":"rate_limit_error","param":null,"code":"slow_down"}}
    /classify: 401 {"error":{"message":"a key is needed, as in the header authorization: Bearer KEY","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}
    /classify: 429 {"error":{"message":"the quota of the key is used up; see the header retry-after","type":"rate_limit_error","param":null,"code":"slow_down"}}
    /predict: 401 {"error":"a key is needed, as in the header authorization: Bearer KEY","error_type":"Validation"}
    /predict: 429 {"error":"the quota of the key is used up; see the header retry-after","error_type":"Overloaded"}
    /: 401 {"error":"a key is needed, as in the header authorization: Bearer KEY"}
    /: 429 {"error":"the quota of the key is used up; see the header retry-after"}
    /models/{name}: 401 {"error":"a key is needed, as in the header authorization: Bearer KEY"}
    /models/{name}: 429 {"error":"the quota of the key is used up; see the header retry-after"}
    /invocations: 401 {"error":"a key is needed, as in the header authorization: Bearer KEY"}
    /invocations: 429 {"error":"the quota of the key is used up; see the header retry-after"}
    /v1/models/{name}:predict: 401 {"error":"a key is needed, as in the header authorization: Bearer KEY"}
    /v1/models/{name}:predict: 429 {"error":"the quota of the key is used up; see the header retry-after"}
    /v2/models/{name}/infer: 401 {"error":"a key is needed, as in the header authorization: Bearer KEY"}
    /v2/models/{name}/infer: 429 {"error":"the quota of the key is used up; see the header retry-after"}
    /api/v1/text/contents: 401 {"code":401,"message":"a key is needed, as in the header authorization: Bearer KEY"}
    /api/v1/text/contents: 429 {"code":429,"message":"the quota of the key is used up; see the header retry-after"}
    /beta/litellm_basic_guardrail_api: 401 {"error":{"message":"a key is needed, as in the header authorization: Bearer KEY","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}
    /beta/litellm_basic_guardrail_api: 429 {"error":{"message":"the quota of the key is used up; see the header retry-after","type":"rate_limit_error","param":null,"code":"slow_down"}}
    /request: 401 {"detail":[{"loc":["body"],"msg":"a key is needed, as in the header authorization: Bearer KEY","type":"value_error"}]}
    /request: 429 {"detail":[{"loc":["body"],"msg":"the quota of the key is used up; see the header retry-after","type":"value_error"}]}
    /response: 401 {"detail":[{"loc":["body"],"msg":"a key is needed, as in the header authorization: Bearer KEY","type":"value_error"}]}
    /response: 429 {"detail":[{"loc":["body"],"msg":"the quota of the key is used up; see the header retry-after","type":"value_error"}]}
    /v1alpha1/comments:analyze: 401 {"error":{"code":401,"message":"a key is needed, as in the header authorization: Bearer KEY","status":"UNAUTHENTICATED"}}
    /v1alpha1/comments:analyze: 429 {"error":{"code":429,"message":"the quota of the key is used up; see the header retry-after","status":"RESOURCE_EXHAUSTED"}}
    "#);
}
