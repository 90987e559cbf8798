//! Clauses with labels, and names mapped to labels, over HTTP.

use serde_json::Value;
use serde_json::json;

use super::Answer;
use super::contracts::ask;
use super::send;
use crate::support;

#[tokio::test]
async fn clauses_are_scored_for_violated_categories_if_they_are_asked_for() {
    let app = app();
    let with = |clauses: Value| json!({"input": "good morning", "clauses": clauses});
    let plain = ask(&app, "/v1/score", &with(json!(false))).await;
    assert!(categories(&plain)["abuse"].get("clauses").is_none(), "{}", plain.text);
    let answer = ask(&app, "/v1/score", &with(json!(true))).await;
    let found = categories(&answer);
    assert_eq!(found["abuse"]["clauses"].as_object().unwrap().len(), 1, "{}", answer.text);
    let threat = found["abuse"]["clauses"]["threats"]["score"].as_f64().unwrap();
    assert!(threat > 0.0 && threat < 1.0);
    assert!(found["adverts"].get("clauses").is_none(), "it is not violated: {}", answer.text);
    // The label has the same score under every name.
    let body = json!({"input": "good morning", "model": "theirs"});
    let names = ask(&app, "/v1/moderations", &body).await;
    let result = &names.body["results"][0];
    assert_eq!(result["category_scores"]["threat"].as_f64(), Some(threat), "{}", names.text);
    let highest = found["abuse"]["score"].as_f64();
    assert_eq!(result["category_scores"]["harassment"].as_f64(), highest, "{}", names.text);
    let lowest = highest.unwrap().min(found["adverts"]["score"].as_f64().unwrap());
    assert_eq!(result["category_scores"]["both"].as_f64(), Some(lowest), "{}", names.text);
    let violated = json!({"harassment": true, "threat": true, "both": false});
    assert_eq!(result["categories"], violated, "{}", names.text);
    let wrong = ask(&app, "/v1/score", &with(json!("yes"))).await;
    assert_eq!(wrong.body["error"]["param"], "clauses", "{}", wrong.text);
}

#[tokio::test]
async fn spans_tell_the_clauses_of_their_window() {
    let app = app();
    let body = json!({"input": "Good morning. Tea is ready.", "spans": true, "clauses": true});
    let answer = ask(&app, "/v1/score", &body).await;
    let abuse = &categories(&answer)["abuse"];
    for span in abuse["spans"].as_array().unwrap() {
        assert_eq!(span["clauses"], abuse["clauses"], "one window: {}", answer.text);
    }
    assert!(!abuse["spans"].as_array().unwrap().is_empty(), "{}", answer.text);
    let body = json!({"input": "Good morning. Tea is ready.", "spans": true});
    let answer = ask(&app, "/v1/score", &body).await;
    let span = &categories(&answer)["abuse"]["spans"][0];
    let fields: Vec<_> = span.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["bytes", "chars", "score"], "{}", answer.text);
}

#[tokio::test]
async fn names_need_all_of_what_stands_for_them() {
    let toml = support::CLAUSES.replace("threshold = 1.0", "threshold = 0.0");
    let app = app_under(&toml);
    let body = json!({"input": "good morning", "model": "theirs"});
    let answer = ask(&app, "/v1/moderations", &body).await;
    assert_eq!(answer.body["results"][0]["categories"]["both"], true, "{}", answer.text);
}

#[tokio::test]
async fn the_policy_says_which_clauses_are_scored() {
    let request = axum::http::Request::get("/v1/policy").body(axum::body::Body::empty()).unwrap();
    let policy = send(app(), request).await.body;
    let abuse = &policy["categories"][0];
    assert_eq!(abuse["labels"], json!(["insult", "spam"]));
    assert!(abuse.get("label").is_none(), "there are two: {abuse}");
    let scored: Vec<_> =
        abuse["clauses"].as_array().unwrap().iter().map(|clause| &clause["scored"]).collect();
    assert_eq!(scored, [&json!(false), &json!(true)]);
    assert_eq!(abuse["clauses"][1]["label"], "threat");
    assert_eq!(abuse["clauses"][1]["labels"], json!(["threat"]));
    assert_eq!(policy["categories"][1]["label"], "leak");
}

fn app() -> moderato::http::App {
    app_under(support::CLAUSES)
}

/// Creates a service for the tiny model with this policy.
fn app_under(toml: &str) -> moderato::http::App {
    let folder = support::tiny_copy();
    std::fs::write(folder.path().join("policy.toml"), toml).unwrap();
    support::app(support::model_of(folder.path()))
}

fn categories(answer: &Answer) -> &Value {
    &answer.body["results"][0]["categories"]
}
