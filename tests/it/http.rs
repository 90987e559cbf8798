//! The HTTP service: status and body of every route and every error.

mod auth;
mod clauses;
mod connections;
mod contracts;
mod drain;
mod errors;
mod fuzz;
mod guarded;
mod guardrail_webhook;
mod heads;
mod inputs;
mod operations;
mod quota;
mod schemas;
mod scores;
mod several;
mod swap;
mod terms;
mod timing;
mod tls;
mod traces;
mod unix_socket;

use std::path::Path;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::Request;
use axum::http::StatusCode;
use http_body_util::BodyExt;
use insta::assert_json_snapshot;
use moderato::http::App;
use moderato::http::router;
use moderato::lifecycle::Lifecycle;
use moderato::lifecycle::Phase;
use moderato::metrics::Metrics;
use serde_json::Value;
use serde_json::json;
use tower::ServiceExt;

use crate::support;
use crate::support::HTTP;

#[tokio::test]
async fn score_answers_with_a_verdict_for_each_text() {
    let answer = post("/v1/score", &json!({"input": ["good morning", "good night"]})).await;
    assert_eq!(answer.status, StatusCode::OK);
    let id = answer.body["id"].as_str().unwrap();
    assert!(id.starts_with("score-"), "{id}");
    assert_eq!(answer.body["results"][1]["flagged"], json!(answer.flags(1).contains(&true)));
    assert_json_snapshot!(answer.body, {
        ".id" => "[id]",
        ".results[].categories.*.score" => "[score]",
        ".results[].categories.*.violated" => "[violated]",
        ".results[].flagged" => "[flagged]",
        ".results[].action" => "[action]",
    }, @r#"
    {
      "id": "[id]",
      "model": "tiny-bert@03e6f507433e",
      "policy": "model-labels@0",
      "results": [
        {
          "flagged": "[flagged]",
          "action": "[action]",
          "categories": {
            "spam": {
              "score": "[score]",
              "threshold": 0.5,
              "violated": "[violated]"
            },
            "insult": {
              "score": "[score]",
              "threshold": 0.5,
              "violated": "[violated]"
            },
            "threat": {
              "score": "[score]",
              "threshold": 0.5,
              "violated": "[violated]"
            },
            "leak": {
              "score": "[score]",
              "threshold": 0.5,
              "violated": "[violated]"
            }
          },
          "n_tokens": 7,
          "n_windows": 1
        },
        {
          "flagged": "[flagged]",
          "action": "[action]",
          "categories": {
            "spam": {
              "score": "[score]",
              "threshold": 0.5,
              "violated": "[violated]"
            },
            "insult": {
              "score": "[score]",
              "threshold": 0.5,
              "violated": "[violated]"
            },
            "threat": {
              "score": "[score]",
              "threshold": 0.5,
              "violated": "[violated]"
            },
            "leak": {
              "score": "[score]",
              "threshold": 0.5,
              "violated": "[violated]"
            }
          },
          "n_tokens": 7,
          "n_windows": 1
        }
      ],
      "usage": {
        "n_tokens": 14
      }
    }
    "#);
}

#[tokio::test]
async fn a_single_string_is_an_input_of_one() {
    let one = post("/v1/score", &json!({"input": "good morning"})).await;
    let many = post("/v1/score", &json!({"input": ["good morning"]})).await;
    assert_eq!(one.body["results"], many.body["results"]);
}

#[tokio::test]
async fn thresholds_of_a_request_replace_those_of_the_policy() {
    let low = json!({"input": "good morning", "thresholds": {"spam": 0.0, "threat": 1.0}});
    let answer = post("/v1/score", &low).await;
    let categories = &answer.body["results"][0]["categories"];
    assert_eq!(categories["spam"]["violated"], json!(true));
    assert_eq!(categories["spam"]["threshold"], json!(0.0));
    assert_eq!(categories["threat"]["violated"], json!(false));
    assert_eq!(categories["insult"]["threshold"], json!(0.5));
    assert_eq!(answer.body["results"][0]["action"], json!("flag"));
}

#[tokio::test]
async fn only_the_categories_asked_for_are_answered() {
    let answer = post("/v1/score", &json!({"input": "hi", "categories": ["leak", "spam"]})).await;
    let categories = answer.body["results"][0]["categories"].as_object().unwrap();
    assert_eq!(categories.keys().collect::<Vec<_>>(), ["spam", "leak"]);
}

#[tokio::test]
async fn moderations_answers_as_the_vendors_clients_expect() {
    let request = json!({"input": "good morning", "model": "omni-moderation-latest"});
    let answer = post("/v1/moderations", &request).await;
    assert_json_snapshot!(answer.body, {
        ".id" => "[id]",
        ".results[].category_scores.*" => "[score]",
        ".results[].categories.*" => "[violated]",
        ".results[].flagged" => "[flagged]",
    }, @r#"
    {
      "id": "[id]",
      "model": "tiny-bert@03e6f507433e",
      "usage": {
        "prompt_tokens": 7,
        "total_tokens": 7
      },
      "results": [
        {
          "flagged": "[flagged]",
          "categories": {
            "[violated]": "[violated]",
            "[violated]": "[violated]",
            "[violated]": "[violated]",
            "[violated]": "[violated]"
          },
          "category_scores": {
            "[score]": "[score]",
            "[score]": "[score]",
            "[score]": "[score]",
            "[score]": "[score]"
          },
          "category_applied_input_types": {
            "spam": [
              "text"
            ],
            "insult": [
              "text"
            ],
            "threat": [
              "text"
            ],
            "leak": [
              "text"
            ]
          }
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn the_key_that_openai_clients_drop_is_sent_under_their_alias_too() {
    let app = support::app(support::embedded_model());
    let answer = send(app, request("/v1/moderations", &json!({"input": "good morning"}))).await;
    let result = &answer.body["results"][0];
    assert_eq!(result["category_scores"]["self-harm"], result["category_scores"]["self_harm"]);
    assert!(result["categories"]["self-harm"].is_boolean());
    assert_eq!(result["category_applied_input_types"]["self-harm"], json!(["text"]));
    let ids: Vec<_> = result["category_scores"].as_object().unwrap().keys().collect();
    assert_eq!(ids.len(), 11);
    assert_eq!(ids[0], "illegal_activities");
}

#[tokio::test]
async fn models_says_what_serves_and_where_it_came_from() {
    let answer = get("/v1/models").await;
    assert_json_snapshot!(answer.body, { ".data[].source" => "[folder]" }, @r#"
    {
      "object": "list",
      "data": [
        {
          "id": "tiny-bert@03e6f507433e",
          "object": "model",
          "name": "tiny-bert",
          "source": "[folder]",
          "revision": null,
          "sha256": "03e6f507433ed20befbdbd93889cdf8dc393f007e5585ac150971ff6d9ced255",
          "architecture": "BertForSequenceClassification",
          "stored_dtype": "F32",
          "dtype": "f32",
          "device": "cpu",
          "n_parameters": 38884,
          "max_window_tokens": 128,
          "labels": [
            "spam",
            "insult",
            "threat",
            "leak"
          ],
          "activation": "sigmoid",
          "activation_source": "config.json",
          "policy": "model-labels@0",
          "policy_source": "labels",
          "calibration": null,
          "policies": [
            {
              "id": "model-labels",
              "version": "0",
              "namespaces": []
            }
          ]
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn policy_shows_categories_thresholds_and_actions() {
    let answer = get("/v1/policy").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_json_snapshot!(answer.body["categories"][0], @r#"
    {
      "id": "spam",
      "label": "spam",
      "labels": [
        "spam"
      ],
      "title": "spam",
      "summary": "",
      "threshold": 0.5,
      "action": "flag",
      "clauses": []
    }
    "#);
}

#[tokio::test]
async fn the_description_names_every_route_and_the_page_needs_no_network() {
    let answer = get("/openapi.json").await;
    let paths: Vec<_> = answer.body["paths"].as_object().unwrap().keys().cloned().collect();
    assert_json_snapshot!(paths, @r#"
    [
      "/v1/score",
      "/v1/moderations",
      "/v1/chat/moderations",
      "/v1/classifications",
      "/v1/chat/classifications",
      "/classify",
      "/predict",
      "/info",
      "/",
      "/models/{name}",
      "/invocations",
      "/v1/models/{name}",
      "/v1/models/{name}:predict",
      "/v2",
      "/v2/models/{name}",
      "/v2/models/{name}/ready",
      "/v2/models/{name}/infer",
      "/v2/health/live",
      "/v2/health/ready",
      "/api/v1/text/contents",
      "/beta/litellm_basic_guardrail_api",
      "/request",
      "/response",
      "/v1alpha1/comments:analyze",
      "/v1/models",
      "/v1/policy",
      "/health/startup",
      "/health/live",
      "/health/ready",
      "/metrics"
    ]
    "#);
    let script = get("/docs/swagger-initializer.js").await.text;
    assert!(script.contains(r#""validatorUrl": "none""#), "{script}");
    let page = get("/docs/").await;
    assert_eq!(page.status, StatusCode::OK);
    for file in page.text.split(['"', '\'']).filter(|word| {
        Path::new(word).extension().is_some_and(|kind| kind == "js" || kind == "css")
    }) {
        assert!(!file.contains("//"), "{file} is elsewhere");
        let path = format!("/docs/{}", file.trim_start_matches("./"));
        assert_eq!(get(&path).await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn metrics_count_requests_errors_tokens_and_flags() {
    let app = support::app(support::tiny_model());
    let flagging = json!({"input": "good morning", "thresholds": {"spam": 0.0}});
    send(app.clone(), request("/v1/score", &flagging)).await;
    send(app.clone(), request("/v1/score", &json!({"input": []}))).await;
    let metrics = send(app, Request::get("/metrics").body(Body::empty()).unwrap()).await.text;
    for line in [
        "moderato_http_requests_total{route=\"/v1/score\",method=\"POST\",status=\"200\"} 1",
        "moderato_http_requests_total{route=\"/v1/score\",method=\"POST\",status=\"400\"} 1",
        "moderato_errors_total{code=\"no_texts\"} 1",
        "moderato_texts_flagged_total{category=\"spam\"} 1",
        "moderato_engine_texts_total 1",
        "moderato_batch_windows_count 1",
        "moderato_queue_requests 0",
        "moderato_model_info{model=\"tiny-bert@",
    ] {
        assert!(metrics.contains(line), "no {line} in\n{metrics}");
    }
}

#[tokio::test]
async fn readiness_follows_the_life_of_the_server_and_liveness_does_not() {
    let app = App::new(HTTP, std::sync::Arc::new(Metrics::new()), Lifecycle::new());
    for (phase, status, word) in [
        (Phase::Starting, 503, "starting"),
        (Phase::Ready, 200, "ready"),
        (Phase::Draining, 503, "draining"),
    ] {
        app.lifecycle().enter(phase);
        let ready =
            send(app.clone(), Request::get("/health/ready").body(Body::empty()).unwrap()).await;
        assert_eq!((ready.status.as_u16(), &ready.body["status"]), (status, &json!(word)));
        let live =
            send(app.clone(), Request::get("/health/live").body(Body::empty()).unwrap()).await;
        assert_eq!(live.status, StatusCode::OK, "{phase:?}");
    }
}

#[tokio::test]
async fn a_request_id_is_echoed_if_it_can_stand_in_a_log() {
    for (given, echoed) in
        [("order-66", true), ("", false), ("two words", false), (&"x".repeat(129), false)]
    {
        let mut request = Request::get("/health/live").body(Body::empty()).unwrap();
        request.headers_mut().insert("x-request-id", given.parse().unwrap());
        let answer = send(support::app(support::tiny_model()), request).await;
        let id = answer.headers["x-request-id"].to_str().unwrap();
        assert_eq!(id == given, echoed, "{given:?} became {id:?}");
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
    body: Value, // null if the text is not JSON
}

impl Answer {
    fn flags(&self, index: usize) -> Vec<bool> {
        let categories = self.body["results"][index]["categories"].as_object().unwrap();
        categories.values().map(|category| category["violated"].as_bool().unwrap()).collect()
    }
}

async fn get(path: &str) -> Answer {
    let request = Request::get(path).body(Body::empty()).unwrap();
    send(support::app(support::tiny_model()), request).await
}

async fn post(path: &str, body: &Value) -> Answer {
    send(support::app(support::tiny_model()), request(path, body)).await
}

async fn post_bytes(path: &str, body: &str) -> Answer {
    let request = Request::post(path).header("content-type", "application/json");
    send(support::app(support::tiny_model()), request.body(body.to_owned().into()).unwrap()).await
}

fn request(path: &str, body: &Value) -> Request<Body> {
    let request = Request::post(path).header("content-type", "application/json; charset=utf-8");
    request.body(body.to_string().into()).unwrap()
}

async fn send(app: App, request: Request<Body>) -> Answer {
    answer(router(app), request).await
}

async fn answer(router: axum::Router, request: Request<Body>) -> Answer {
    let response = router.oneshot(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Answer { status, headers, text, body }
}
