//! The contracts of other services: the same scores under every name, and errors in their words.

use axum::http::Request;
use axum::http::StatusCode;
use moderato::http::App;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::Value;
use serde_json::json;

use super::Answer;
use super::send;
use crate::support;

#[test]
fn every_contract_reports_the_same_score_for_the_same_category() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let app = runtime.block_on(async { support::app(support::embedded_model()) });
    let mut runner = TestRunner::new(ProptestConfig::with_cases(40));
    let texts = prop_oneof![
        prop::collection::vec("[a-z]{1,9}", 1..40).prop_map(|words| words.join(" ")),
        "\\PC{0,40}[a-z]",
    ];
    runner
        .run(&texts, |text| {
            runtime.block_on(async {
                let native = ask(&app, "/v1/score", &json!({"input": text})).await;
                let native = &native.body["results"][0]["categories"];
                let score = |id: &str| native[id]["score"].as_f64().unwrap();
                for (contract, path, body) in asks(&text) {
                    let answer = ask(&app, path, &body).await;
                    assert_eq!(answer.status, StatusCode::OK, "{contract}: {}", answer.text);
                    for (id, found) in scores(contract, &answer.body) {
                        let difference = (score(&id) - found).abs();
                        // Batches differ, and with them the order of sums.
                        assert!(difference < 1e-5, "{contract}, {id}: {found}");
                    }
                }
            });
            Ok(())
        })
        .unwrap();
}

/// One text, asked about in the words of each contract.
fn asks(text: &str) -> Vec<(&'static str, &'static str, Value)> {
    let messages = json!([{"role": "user", "content": text}]);
    let attributes = json!({"THREAT": {}, "INSULT": {}});
    let tensor = json!({"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]});
    vec![
        ("native chat", "/v1/score", json!({"messages": messages})),
        ("moderations", "/v1/moderations", json!({"input": text})),
        (
            "openai parts",
            "/v1/moderations",
            json!({"input": [{"type": "text", "text": text}], "model": "omni-moderation-latest"}),
        ),
        (
            "mistral chat",
            "/v1/chat/moderations",
            json!({"input": [messages], "model": "mistral-moderation-2411"}),
        ),
        ("classifications", "/v1/classifications", json!({"input": text})),
        (
            "chat classifications",
            "/v1/chat/classifications",
            json!({"input": {"messages": messages}}),
        ),
        ("vllm", "/classify", json!({"input": text})),
        ("tei", "/predict", json!({"inputs": text})),
        ("hugging face", "/models/moderato-small", json!({"inputs": text})),
        ("kserve v1", "/v1/models/moderato-small:predict", json!({"instances": [text]})),
        ("kserve v2", "/v2/models/moderato-small/infer", json!({"inputs": [tensor]})),
        (
            "perspective",
            "/v1alpha1/comments:analyze",
            json!({"comment": {"text": text}, "requestedAttributes": attributes}),
        ),
    ]
}

/// The scores of an answer under our own ids, where exactly one of them stands for a name.
fn scores(contract: &str, body: &Value) -> Vec<(String, f64)> {
    let renamed = |map: &Value, names: &[(&str, &str)]| {
        let score = |(theirs, ours): &(&str, &str)| {
            ((*ours).to_owned(), map[*theirs].as_f64().unwrap_or_else(|| panic!("{theirs}: {map}")))
        };
        names.iter().map(score).collect()
    };
    let labels = |labels: &Value| {
        let entry = |label: &Value| {
            (label["label"].as_str().unwrap().to_owned(), label["score"].as_f64().unwrap())
        };
        labels.as_array().unwrap().iter().map(entry).collect::<Vec<_>>()
    };
    let own: Vec<_> = IDS.iter().map(|&id| (id, id)).collect();
    let in_order = |scores: &Value| {
        let scores = scores.as_array().unwrap().iter().map(|score| score.as_f64().unwrap());
        std::iter::zip(IDS.map(str::to_owned), scores).collect()
    };
    match contract {
        "native chat" => {
            let score = |id: &&str| {
                let score = &body["results"][0]["categories"][*id]["score"];
                ((*id).to_owned(), score.as_f64().unwrap())
            };
            IDS.iter().map(score).collect()
        }
        "moderations" => renamed(&body["results"][0]["category_scores"], &own),
        "openai parts" => renamed(
            &body["results"][0]["category_scores"],
            &[("sexual/minors", "csam"), ("self-harm", "self_harm"), ("hate", IDS[3])],
        ),
        "mistral chat" => renamed(
            &body["results"][0]["category_scores"],
            &[("selfharm", "self_harm"), ("pii", "privacy"), ("law", "professional_advice")],
        ),
        "classifications" | "chat classifications" => {
            renamed(&body["results"][0]["moderation"]["scores"], &own)
        }
        "vllm" => in_order(&body["data"][0]["probs"]),
        "tei" => labels(body),
        "hugging face" => labels(&body[0]),
        "kserve v1" => renamed(&body["predictions"][0], &own),
        "kserve v2" => in_order(&body["outputs"][0]["data"]),
        "perspective" => {
            let score = |name: &str| body["attributeScores"][name]["summaryScore"]["value"].clone();
            let map = json!({"THREAT": score("THREAT"), "INSULT": score("INSULT")});
            renamed(&map, &[("THREAT", IDS[4]), ("INSULT", IDS[3])])
        }
        other => panic!("{other} is not asked"),
    }
}

#[tokio::test]
async fn each_contract_refuses_in_its_own_words() {
    let app = support::app(support::tiny_model());
    let (empty, pair) = (json!({"inputs": " "}), json!({"inputs": ["a", "b"]}));
    for (path, body, status, place, message) in [
        ("/predict", &empty, 422, "/error", "text 0 is empty"),
        ("/predict", &pair, 422, "/error", "inputs: this model takes no pairs of texts"),
        ("/predict", &pair, 422, "/error_type", "Validation"),
        ("/models/other", &empty, 404, "/error", "unknown model \"other\""),
        ("/v1/models/tiny-bert:predict", &json!({}), 400, "/error", "instances is missing"),
        ("/v1/models/tiny-bert:explain", &json!({}), 404, "/error", "there is no such route"),
        ("/v2/models/%ff/infer", &json!({}), 404, "/error", "there is no such route"),
        ("/v2/models/tiny-bert/versions/9/infer", &json!({}), 404, "/error", "unknown model \"9\""),
        ("/api/v1/text/contents", &json!({}), 422, "/message", "contents is missing"),
        ("/v1alpha1/comments:analyze", &json!({}), 400, "/error/message", "comment is missing"),
        ("/v1alpha1/comments:analyze", &json!({}), 400, "/error/status", "INVALID_ARGUMENT"),
        ("/classify", &json!({}), 400, "/error/message", "input is missing"),
        ("/v1/chat/moderations", &json!({"input": [[]]}), 400, "/error/code", "no_turns"),
    ] {
        let answer = ask(&app, path, body).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.text);
        let found = answer.body.pointer(place).and_then(Value::as_str).unwrap_or_default();
        assert!(found.starts_with(message), "{path}: {}", answer.text);
    }
}

#[tokio::test]
async fn images_are_refused_or_left_out() {
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,"}});
    let body = json!({"input": [{"type": "text", "text": "good morning"}, image]});
    let app = support::app(support::tiny_model());
    let refused = ask(&app, "/v1/moderations", &body).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(refused.body["error"]["param"], "input[1]");
    let settings = moderato::http::HttpSettings { ignore_images: true, ..support::HTTP };
    let app = support::app_with(support::tiny_model(), support::ENGINE, settings);
    let answer = ask(&app, "/v1/moderations", &body).await;
    assert_eq!(answer.body["results"].as_array().unwrap().len(), 1, "{}", answer.text);
    assert_eq!(answer.body["results"][0]["category_applied_input_types"]["spam"], json!(["text"]));
}

#[tokio::test]
async fn tensors_keep_their_shape_and_binary_ones_are_refused() {
    let app = support::app(support::tiny_model());
    let path = "/v2/models/tiny-bert/infer";
    let tensor = |shape: Value, data: Value| json!({"inputs": [{"name": "t", "shape": shape, "datatype": "BYTES", "data": data}]});
    let answer = ask(&app, path, &tensor(json!([2, 1]), json!([["good"], ["morning"]]))).await;
    assert_eq!(answer.body["outputs"][0]["shape"], json!([2, 4]), "{}", answer.text);
    assert_eq!(answer.body["outputs"][1]["data"][0], "spam");
    let wrong = ask(&app, path, &tensor(json!([3]), json!(["good", "morning"]))).await;
    assert_eq!(wrong.body["error"], "inputs[0].shape must be a shape of 2 texts");
    let mut request = super::request(path, &tensor(json!([1]), json!(["good"])));
    request.headers_mut().insert("inference-header-content-length", "9".parse().unwrap());
    assert_eq!(send(app, request).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_guardrail_blocks_what_the_policy_blocks() {
    let app = support::app(support::embedded_model());
    let path = "/beta/litellm_basic_guardrail_api";
    let harmful = json!({"texts": ["Good morning.", "I will kill you and your family."]});
    let answer = ask(&app, path, &harmful).await;
    assert_eq!(answer.body["action"], "BLOCKED", "{}", answer.text);
    let reason = answer.body["blocked_reason"].as_str().unwrap();
    assert!(reason.contains("violence_and_threats"), "{reason}");
    for harmless in [json!({"texts": ["Good morning."]}), json!({"texts": ["", " "]}), json!({})] {
        assert_eq!(ask(&app, path, &harmless).await.body, json!({"action": "NONE"}));
    }
}

#[tokio::test]
async fn detections_are_placed_in_characters() {
    let app = support::app(support::embedded_model());
    let text = "Où est-il ? I will kill you and your family.";
    let body = json!({"contents": [text, "Good morning."]});
    let mut request = super::request("/api/v1/text/contents", &body);
    request.headers_mut().insert("detector-id", "policy".parse().unwrap());
    let answer = send(app, request).await;
    let found = answer.body[0].as_array().unwrap();
    let threat = found.iter().find(|found| found["detection_type"] == "violence_and_threats");
    let threat = threat.unwrap_or_else(|| panic!("{}", answer.text));
    let place = |name: &str| usize::try_from(threat[name].as_u64().unwrap()).unwrap();
    let chars = text.chars().skip(place("start")).take(place("end") - place("start"));
    assert_eq!(chars.collect::<String>(), threat["text"].as_str().unwrap());
    assert_eq!(answer.body[1], json!([]));
}

pub(super) async fn ask(app: &App, path: &str, body: &Value) -> Answer {
    let request: Request<_> = super::request(path, body);
    send(app.clone(), request).await
}

const IDS: [&str; 10] = [
    "illegal_activities",
    "csam",
    "ncii",
    "hate_and_discrimination",
    "violence_and_threats",
    "self_harm",
    "fraud_and_scams",
    "misinformation",
    "privacy",
    "professional_advice",
];
