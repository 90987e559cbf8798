//! The actions that a gateway should take on prompts and responses.

use axum::http::StatusCode;
use moderato::http::App;
use serde_json::Value;
use serde_json::json;

use super::Answer;
use super::contracts::ask;
use super::request;
use super::send;
use crate::support;

const HARMLESS: &str = "The weather is fine today.";
const THREAT: &str = "I will kill you and your family.";
const REASON: &str = "violates the usage policy: violence_and_threats";

#[tokio::test]
async fn what_is_harmless_or_blank_passes() {
    let app = support::app(support::embedded_model());
    for text in [HARMLESS, "", " "] {
        for (path, body) in [("/request", prompt(&[text])), ("/response", answer(&[text]))] {
            let answer = ask(&app, path, &body).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
            assert_eq!(answer.body, json!({"action": {}}), "{path}");
        }
    }
    // A message of tool calls alone has no content.
    let silent = json!({"body": {"messages": [{"role": "assistant", "content": null}]}});
    assert_eq!(ask(&app, "/request", &silent).await.body, json!({"action": {}}));
}

#[tokio::test]
async fn a_prompt_is_rejected_and_an_answer_masked_unless_the_header_has_it_otherwise() {
    let app = support::app(support::embedded_model());
    let texts = [HARMLESS, THREAT];
    let rejected = json!({"body": REASON, "status_code": 403, "reason": REASON});
    let masked = |body: Value| json!({"body": body, "reason": REASON});
    for (path, body, header, expected) in [
        ("/request", prompt(&texts), None, rejected.clone()),
        ("/request", prompt(&texts), Some("reject"), rejected.clone()),
        (
            "/request",
            prompt(&texts),
            Some("mask"),
            masked(prompt(&[HARMLESS, "***"])["body"].take()),
        ),
        ("/response", answer(&texts), None, masked(answer(&[HARMLESS, "***"])["body"].take())),
        ("/response", answer(&texts), Some("reject"), rejected),
    ] {
        let answer = asked(&app, path, &body, header).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}, {header:?}: {}", answer.text);
        assert_eq!(answer.body["action"], expected, "{path}, {header:?}");
    }
}

#[tokio::test]
async fn only_the_part_that_violates_is_masked() {
    let app = support::app(support::embedded_model());
    let text = format!("{HARMLESS} We bake bread on Sundays. {THREAT} Then we read a book.");
    let masked = ask(&app, "/response", &answer(&[&text])).await;
    let content = &masked.body["action"]["body"]["choices"][0]["message"]["content"];
    let content = content.as_str().unwrap_or_else(|| panic!("{}", masked.text));
    assert!(content.starts_with(HARMLESS) && content.ends_with("book."), "{content}");
    assert!(content.contains("***") && !content.contains("kill"), "{content}");
}

#[tokio::test]
async fn where_no_part_can_be_told_all_of_it_is_masked() {
    let engine = moderato::engine::EngineSettings { span_tokens: 0, ..support::ENGINE };
    let app = support::app_with(support::embedded_model(), engine, support::HTTP);
    let masked = ask(&app, "/response", &answer(&[THREAT])).await;
    assert_eq!(masked.body["action"]["body"], answer(&["***"])["body"], "{}", masked.text);
}

#[tokio::test]
async fn what_cannot_be_read_is_422_in_the_words_of_the_contract() {
    let app = support::app(support::tiny_model());
    for (body, header, message) in [
        (json!({"body": {}}), None, "body.messages is missing"),
        (json!({"body": {"messages": []}}), None, "the input has no text"),
        (
            prompt(&["hello"]),
            Some("burn"),
            "the header x-moderato-on-violation must be mask or reject",
        ),
    ] {
        let answer = asked(&app, "/request", &body, header).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.text);
        let detail = json!([{"loc": ["body"], "msg": message, "type": "value_error"}]);
        assert_eq!(answer.body["detail"], detail);
    }
}

async fn asked(app: &App, path: &str, body: &Value, header: Option<&str>) -> Answer {
    let mut request = request(path, body);
    if let Some(value) = header {
        request.headers_mut().insert("x-moderato-on-violation", value.parse().unwrap());
    }
    send(app.clone(), request).await
}

fn prompt(texts: &[&str]) -> Value {
    let messages: Vec<_> =
        texts.iter().map(|text| json!({"role": "user", "content": text})).collect();
    json!({"body": {"messages": messages}})
}

fn answer(texts: &[&str]) -> Value {
    let choice = |text| json!({"message": {"role": "assistant", "content": text}});
    json!({"body": {"choices": texts.iter().map(choice).collect::<Vec<_>>()}})
}
