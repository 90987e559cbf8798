//! Inputs from clients: text in every field where a contract has text, no text, broken Unicode,
//! compressed bodies.

use axum::body::Body;
use axum::http::Request;
use axum::http::StatusCode;
use serde_json::Value;
use serde_json::json;

use super::contracts::ask;
use super::operations::OPERATIONS;
use super::send;
use crate::support;

const THREAT: &str = "I will kill you and your family.";

/// A contract, a field of it that carries text, and a body with a text in that field.
struct Field {
    path: &'static str,
    name: &'static str,
    body: fn(&str) -> Value,
}

const FIELDS: &[Field] = &[
    Field { path: SCORE, name: "input", body: |text| json!({"input": text}) },
    Field { path: SCORE, name: "input[]", body: |text| json!({"input": ["Hello.", text]}) },
    Field {
        path: SCORE,
        name: "content",
        body: |text| last(json!({"role": "user", "content": text})),
    },
    Field { path: SCORE, name: "text", body: |text| part(json!({"type": "text", "text": text})) },
    Field {
        path: SCORE,
        name: "input_text",
        body: |text| part(json!({"type": "input_text", "text": text})),
    },
    Field {
        path: SCORE,
        name: "output_text",
        body: |text| part(json!({"type": "output_text", "text": text})),
    },
    Field {
        path: SCORE,
        name: "thinking",
        body: |text| part(json!({"type": "thinking", "thinking": text})),
    },
    Field {
        path: SCORE,
        name: "thinking parts",
        body: |text| {
            part(json!({"type": "thinking", "thinking": [{"type": "text", "text": text}]}))
        },
    },
    Field {
        path: SCORE,
        name: "title of a document",
        body: |text| {
            part(
                json!({"type": "document", "title": text, "content": [{"type": "text", "text": "Hello."}]}),
            )
        },
    },
    Field {
        path: SCORE,
        name: "name of an argument",
        body: |text| {
            let arguments = json!({text: 1}).to_string();
            assistant(
                json!({"tool_calls": [{"function": {"name": "send", "arguments": arguments}}]}),
            )
        },
    },
    Field {
        path: SCORE,
        name: "escaped argument beside broken Unicode",
        body: |text| arguments_with(&escaped(text), "\\ud800"),
    },
    Field {
        path: SCORE,
        name: "escaped argument that is not valid JSON",
        body: |text| arguments_with(&escaped(text), "\\q"),
    },
    Field {
        path: SCORE,
        name: "refusal part",
        body: |text| part(json!({"type": "refusal", "refusal": text})),
    },
    Field {
        path: SCORE,
        name: "tool_result",
        body: |text| part(json!({"type": "tool_result", "content": text})),
    },
    Field {
        path: SCORE,
        name: "tool_result parts",
        body: |text| {
            part(json!({"type": "tool_result", "content": [{"type": "text", "text": text}]}))
        },
    },
    Field {
        path: SCORE,
        name: "tool_use",
        body: |text| part(json!({"type": "tool_use", "input": {"to": [text]}})),
    },
    Field {
        path: SCORE,
        name: "beside an image",
        body: |text| part(json!({"type": "image_url", "text": text})),
    },
    Field { path: SCORE, name: "refusal", body: |text| assistant(json!({"refusal": text})) },
    Field { path: SCORE, name: "reasoning", body: |text| assistant(json!({"reasoning": text})) },
    Field {
        path: SCORE,
        name: "reasoning_content",
        body: |text| assistant(json!({"reasoning_content": text})),
    },
    Field {
        path: SCORE,
        name: "arguments",
        body: |text| assistant(json!({"tool_calls": [call(text)]})),
    },
    Field {
        path: SCORE,
        name: "arguments as an object",
        body: |text| {
            assistant(
                json!({"tool_calls": [{"function": {"name": "send", "arguments": {"body": text}}}]}),
            )
        },
    },
    Field {
        path: SCORE,
        name: "arguments that are no JSON",
        body: |text| {
            assistant(json!({"tool_calls": [{"function": {"name": "send", "arguments": text}}]}))
        },
    },
    Field {
        path: SCORE,
        name: "custom tool",
        body: |text| assistant(json!({"tool_calls": [{"custom": {"input": text}}]})),
    },
    Field {
        path: SCORE,
        name: "function_call",
        body: |text| {
            assistant(
                json!({"function_call": {"name": "send", "arguments": json!({"body": text}).to_string()}}),
            )
        },
    },
    Field {
        path: SCORE,
        name: "tool",
        body: |text| last(json!({"role": "tool", "content": text})),
    },
    Field {
        path: SCORE,
        name: "function",
        body: |text| last(json!({"role": "function", "content": text})),
    },
    Field {
        path: SCORE,
        name: "developer",
        body: |text| last(json!({"role": "developer", "content": text})),
    },
    Field { path: MODERATIONS, name: "input", body: |text| json!({"input": text}) },
    Field {
        path: MODERATIONS,
        name: "parts",
        body: |text| json!({"input": [{"type": "text", "text": text}]}),
    },
    Field {
        path: CHAT,
        name: "content",
        body: |text| json!({"input": [{"role": "user", "content": text}]}),
    },
    Field {
        path: CHAT,
        name: "tool_calls",
        body: |text| json!({"input": [[{"role": "assistant", "content": null, "tool_calls": [call(text)]}]]}),
    },
    Field { path: "/v1/classifications", name: "input", body: |text| json!({"input": text}) },
    Field {
        path: "/v1/chat/classifications",
        name: "content",
        body: |text| json!({"input": {"messages": [{"role": "user", "content": text}]}}),
    },
    Field { path: "/classify", name: "input", body: |text| json!({"input": text}) },
    Field {
        path: "/classify",
        name: "messages",
        body: |text| json!({"messages": [{"role": "user", "content": text}]}),
    },
    Field { path: "/predict", name: "inputs", body: |text| json!({"inputs": text}) },
    Field {
        path: "/predict",
        name: "inputs[][]",
        body: |text| json!({"inputs": [[text], ["Hello."]]}),
    },
    Field { path: "/", name: "inputs", body: |text| json!({"inputs": text}) },
    Field { path: KSERVE_V1, name: "instances", body: |text| json!({"instances": [text]}) },
    Field {
        path: KSERVE_V1,
        name: "instances[].text",
        body: |text| json!({"instances": [{"text": text}]}),
    },
    Field { path: KSERVE_V2, name: "data", body: |text| tensor(json!([text]), json!({})) },
    Field {
        path: KSERVE_V2,
        name: "data in base64",
        body: |_| {
            tensor(
                json!(["SSB3aWxsIGtpbGwgeW91IGFuZCB5b3VyIGZhbWlseS4="]),
                json!({"content_type": "base64"}),
            )
        },
    },
    Field {
        path: "/api/v1/text/contents",
        name: "contents",
        body: |text| json!({"contents": [text]}),
    },
    Field { path: GUARDRAIL, name: "texts", body: |text| json!({"texts": ["Hello.", text]}) },
    Field {
        path: GUARDRAIL,
        name: "structured_messages",
        body: |text| json!({"texts": null, "structured_messages": [{"role": "user", "content": text}]}),
    },
    Field {
        path: GUARDRAIL,
        name: "tool_calls",
        body: |text| json!({"texts": [], "tool_calls": [call(text)]}),
    },
    Field {
        path: "/request",
        name: "messages",
        body: |text| {
            let messages = [
                json!({"role": "system", "content": "Hello."}),
                json!({"role": "user", "content": text}),
            ];
            json!({"body": {"messages": messages}})
        },
    },
    Field {
        path: "/response",
        name: "choices",
        body: |text| {
            let choices = ["Hello.", text]
                .map(|text| json!({"message": {"role": "assistant", "content": text}}));
            json!({"body": {"choices": choices}})
        },
    },
    Field { path: "/invocations", name: "inputs", body: |text| json!({"inputs": text}) },
    Field {
        path: "/v1alpha1/comments:analyze",
        name: "comment.text",
        body: |text| json!({"comment": {"text": text}, "requestedAttributes": {"THREAT": {}}}),
    },
];

#[tokio::test]
async fn a_text_is_scored_wherever_a_contract_may_carry_it() {
    let settings =
        moderato::http::HttpSettings { media: moderato::http::Media::Ignored, ..support::HTTP };
    let app = support::app_with(support::embedded_model(), support::ENGINE, settings);
    for Field { path, name: field, body } in FIELDS {
        let answer = ask(&app, path, &body(THREAT)).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}, {field}: {}", answer.text);
        assert!(is_flagged(path, &answer.body), "{path}, {field}: {}", answer.text);
        if *field != "data in base64" {
            let harmless = ask(&app, path, &body("Good morning.")).await;
            assert!(!is_flagged(path, &harmless.body), "{path}, {field}: {}", harmless.text);
        }
    }
}

#[test]
fn every_contract_has_its_fields_named() {
    for operation in OPERATIONS.iter().filter(|operation| operation.template != "/models/{name}") {
        let path = operation.path("moderato-small");
        assert!(FIELDS.iter().any(|field| field.path == path), "{path}");
    }
}

#[tokio::test]
async fn what_has_nothing_to_read_in_it_is_refused_by_its_path() {
    let app = support::app(support::tiny_model());
    for (part, param) in [
        (json!({"type": "image_url", "image_url": {}}), "messages[1].content[0]"),
        (json!({"type": "file", "file": {}}), "messages[1].content[0]"),
        (json!({"type": "text"}), "messages[1].content[0].text"),
    ] {
        let answer = ask(&app, SCORE, &self::part(part)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{param}: {}", answer.text);
        assert_eq!(answer.body["error"]["param"], param, "{}", answer.text);
    }
}

#[tokio::test]
async fn blank_texts_are_answered_without_the_model() {
    let settings =
        moderato::http::HttpSettings { media: moderato::http::Media::Ignored, ..support::HTTP };
    let app = support::app_with(support::tiny_model(), support::ENGINE, settings);
    for blank in ["", " ", "\n\t"] {
        let answer = ask(&app, SCORE, &json!({"input": ["good morning", blank]})).await;
        let result = &answer.body["results"][1];
        assert_eq!(result["flagged"], false, "{}", answer.text);
        assert_eq!(result["n_tokens"], 0);
        assert_eq!(result["categories"]["spam"]["score"], 0.0);
        let alone = ask(&app, SCORE, &json!({"input": blank, "spans": true})).await;
        assert_eq!(alone.body["results"][0]["flagged"], false, "{}", alone.text);
        let logits = ask(&app, "/predict", &json!({"inputs": blank, "raw_scores": true})).await;
        assert_eq!(logits.body[0]["score"], -20.0, "{}", logits.text);
        let turn = json!({"messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": blank}]});
        let answer = ask(&app, SCORE, &turn).await;
        assert_eq!(answer.body["results"][0]["n_tokens"], 0, "{}", answer.text);
    }
    for Field { path, name: field, body } in FIELDS {
        let path = path.replace("moderato-small", "tiny-bert");
        if *field != "data in base64" && !path.contains("comments:analyze") {
            let answer = ask(&app, &path, &body(" ")).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}, {field}: {}", answer.text);
        }
    }
    let none = ask(&app, SCORE, &json!({"input": []})).await;
    assert_eq!(none.body["error"]["code"], "no_texts");
}

#[tokio::test]
async fn broken_unicode_is_judged() {
    let app = support::app(support::embedded_model());
    let (before, after) = THREAT.split_at(6);
    for middle in [&b"\\ud800 "[..], b"\xff "] {
        let body = [
            b"{\"input\": \"",
            before.as_bytes(),
            middle,
            after.as_bytes(),
            b"\", \"spans\": true}",
        ];
        let answer = send(app.clone(), posted(SCORE, &[], body.concat())).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        let violence = &answer.body["results"][0]["categories"]["violence_and_threats"];
        assert_eq!(violence["violated"], true, "{}", answer.text);
        let n_bytes = THREAT.len() + "\u{fffd} ".len();
        assert_eq!(violence["spans"][0]["bytes"], json!([0, n_bytes]), "{}", answer.text);
    }
    let with_mark = [b"\xef\xbb\xbf".as_slice(), b"{\"input\": \"hello\"}"].concat();
    assert_eq!(send(app.clone(), posted(SCORE, &[], with_mark)).await.status, StatusCode::OK);
    for utf16 in [&b"\xff\xfe{\0"[..], b"\xfe\xff\0{", b"{\0\"\0", b"\0{\0\""] {
        let answer = send(app.clone(), posted(SCORE, &[], utf16.to_vec())).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{}", answer.text);
        assert!(answer.text.contains("UTF-16"), "{}", answer.text);
    }
}

#[tokio::test]
async fn an_encoding_that_is_not_decoded_is_refused_by_name() {
    let app = support::app(support::tiny_model());
    let request = posted(SCORE, &[("content-encoding", "lzma")], b"{}".to_vec());
    let answer = send(app, request).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{}", answer.text);
    assert_eq!(answer.body["error"]["code"], "unsupported_encoding");
    assert!(answer.text.contains("lzma"), "{}", answer.text);
}

/// Returns whether a response is flagged, in the terms of its contract.
fn is_flagged(path: &str, body: &Value) -> bool {
    let any = |values: &Value, is_high: fn(&Value) -> bool| {
        values.as_array().is_some_and(|values| values.iter().any(is_high))
    };
    let is_high = |value: &Value| value.as_f64().is_some_and(|score| score > 0.5);
    match path {
        SCORE | MODERATIONS | CHAT => any(&body["results"], |result| result["flagged"] == true),
        "/v1/classifications" | "/v1/chat/classifications" => {
            is_high(&body["results"][0]["moderation"]["scores"]["violence_and_threats"])
        }
        "/classify" => any(&body["data"][0]["probs"], |score| score.as_f64() > Some(0.5)),
        "/predict" if body[0].is_array() => is_high(&body[0][0]["score"]),
        "/predict" => is_high(&body[0]["score"]),
        "/" | "/invocations" => is_high(&body[0][0]["score"]),
        KSERVE_V1 => is_high(&body["predictions"][0]["violence_and_threats"]),
        KSERVE_V2 => body["outputs"][2]["data"][0] == true,
        "/api/v1/text/contents" => any(&body[0], |_| true),
        GUARDRAIL => body["action"] == "BLOCKED",
        "/request" => body["action"]["status_code"] == 403,
        "/response" => body["action"]["body"].is_object(),
        "/v1alpha1/comments:analyze" => {
            is_high(&body["attributeScores"]["THREAT"]["summaryScore"]["value"])
        }
        other => panic!("{other} is not known"),
    }
}

fn last(message: Value) -> Value {
    json!({"messages": [{"role": "user", "content": "Hello."}, message]})
}

fn part(part: Value) -> Value {
    last(json!({"role": "user", "content": [part]}))
}

/// Returns a conversation that ends with an assistant message without content.
fn assistant(mut fields: Value) -> Value {
    fields["role"] = "assistant".into();
    fields["content"] = Value::Null;
    last(fields)
}

/// A tool call with a string of the given escapes and another.
fn arguments_with(escapes: &str, other: &str) -> Value {
    let arguments = format!(r#"{{"text": "{escapes}", "other": "{other}"}}"#);
    assistant(json!({"tool_calls": [{"function": {"name": "send", "arguments": arguments}}]}))
}

/// The text as a string literal in which every character is escaped.
fn escaped(text: &str) -> String {
    let units: Vec<_> = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    units.concat()
}

fn call(text: &str) -> Value {
    let arguments = json!({"to": "me", "mail": {"paragraphs": ["Hello.", text]}}).to_string();
    json!({"id": "1", "type": "function", "function": {"name": "send", "arguments": arguments}})
}

fn tensor(data: Value, parameters: Value) -> Value {
    let tensor = json!({
        "name": "text", "shape": [1], "datatype": "BYTES", "data": data, "parameters": parameters,
    });
    json!({"inputs": [tensor]})
}

fn posted(path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Request<Body> {
    let mut request = Request::post(path).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.into()).unwrap()
}

const SCORE: &str = "/v1/score";
const MODERATIONS: &str = "/v1/moderations";
const CHAT: &str = "/v1/chat/moderations";
const GUARDRAIL: &str = "/beta/litellm_basic_guardrail_api";
const KSERVE_V1: &str = "/v1/models/moderato-small:predict";
const KSERVE_V2: &str = "/v2/models/moderato-small/infer";
