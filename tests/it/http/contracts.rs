//! The contracts of other services: the same scores under every name, and errors in their formats.

use axum::http::Request;
use axum::http::StatusCode;
use moderato::http::App;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::Value;
use serde_json::json;

use super::Answer;
use super::operations::OPERATIONS;
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
                let all = OPERATIONS.iter().map(|operation| {
                    (&*operation.template, operation.path("moderato-small"), operation.body(&text))
                });
                for (contract, path, body) in all.chain(variants(&text)) {
                    let answer = ask(&app, &path, &body).await;
                    assert_eq!(answer.status, StatusCode::OK, "{contract}: {}", answer.text);
                    for (id, found) in scores(contract, &answer.body) {
                        let difference = (score(&id) - found).abs();
                        // Batches differ, and with them the order of summation.
                        assert!(difference < 1e-5, "{contract}, {id}: {found}");
                    }
                }
            });
            Ok(())
        })
        .unwrap();
}

/// Returns other request bodies with the same text.
fn variants(text: &str) -> [(&'static str, String, Value); 3] {
    let turn = json!({"role": "user", "content": text});
    let parts =
        json!({"input": [{"type": "text", "text": text}], "model": "omni-moderation-latest"});
    let chat = json!({"input": [[turn]], "model": "mistral-moderation-2411"});
    [
        ("native chat", "/v1/score".into(), json!({"messages": [turn]})),
        ("OpenAI", "/v1/moderations".into(), parts),
        ("Mistral", "/v1/chat/moderations".into(), chat),
    ]
}

/// Returns the scores of a response under our own ids, for names that map to exactly one of them.
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
        "/v1/score" | "native chat" => {
            let score = |id: &&str| {
                let score = &body["results"][0]["categories"][*id]["score"];
                ((*id).to_owned(), score.as_f64().unwrap())
            };
            IDS.iter().map(score).collect()
        }
        "/v1/moderations" | "/v1/chat/moderations" => {
            renamed(&body["results"][0]["category_scores"], &own)
        }
        "OpenAI" => renamed(
            &body["results"][0]["category_scores"],
            &[("sexual/minors", "csam"), ("self-harm", "self_harm"), ("hate", IDS[3])],
        ),
        "Mistral" => renamed(
            &body["results"][0]["category_scores"],
            &[("selfharm", "self_harm"), ("pii", "privacy"), ("law", "professional_advice")],
        ),
        "/v1/classifications" | "/v1/chat/classifications" => {
            renamed(&body["results"][0]["moderation"]["scores"], &own)
        }
        "/classify" => in_order(&body["data"][0]["probs"]),
        "/predict" => labels(body),
        "/" | "/models/{name}" | "/invocations" => labels(&body[0]),
        "/v1/models/{name}:predict" => renamed(&body["predictions"][0], &own),
        "/v2/models/{name}/infer" => in_order(&body["outputs"][0]["data"]),
        "/v1alpha1/comments:analyze" => {
            let score = |name: &str| body["attributeScores"][name]["summaryScore"]["value"].clone();
            let map = json!({"THREAT": score("THREAT"), "INSULT": score("INSULT")});
            renamed(&map, &[("THREAT", IDS[4]), ("INSULT", IDS[3])])
        }
        // These contracts return a verdict without scores.
        "/api/v1/text/contents"
        | "/beta/litellm_basic_guardrail_api"
        | "/request"
        | "/response" => Vec::new(),
        other => panic!("the scores of {other} are not compared"),
    }
}

#[tokio::test]
async fn each_contract_refuses_in_its_own_words() {
    let app = support::app(support::tiny_model());
    let pair = json!({"inputs": ["a", "b"]});
    let tensor = json!({"inputs": [
        {"name": "t", "shape": [1], "datatype": "BYTES", "data": ["good morning"]},
    ]});
    for (path, body, status, place, message) in [
        ("/predict", &json!({}), 422, "/error", "inputs is missing"),
        ("/predict", &pair, 422, "/error", "inputs: this model takes no pairs of texts"),
        ("/predict", &pair, 422, "/error_type", "Validation"),
        ("/models/other", &json!({"inputs": "a"}), 404, "/error", "unknown model \"other\""),
        ("/v1/models/tiny-bert:predict", &json!({}), 400, "/error", "instances is missing"),
        ("/v1/models/tiny-bert:explain", &json!({}), 404, "/error", "there is no such route"),
        ("/v2/models/%ff/infer", &json!({}), 404, "/error", "there is no such route"),
        ("/v2/models/tiny-bert/versions/9/infer", &tensor, 404, "/error", "unknown model \"9\""),
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
async fn what_would_leave_something_unjudged_is_refused() {
    let app = support::app(support::tiny_model());
    let both = json!({"input": "tea", "messages": [{"role": "user", "content": "more tea"}]});
    let none = json!({"input": "tea", "ignore_other_categories": true});
    for (path, body, param) in [
        ("/classify", &both, "messages"),
        ("/v1/score", &both, "messages"),
        ("/v1/score", &none, "ignore_other_categories"),
    ] {
        let answer = ask(&app, path, body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}: {}", answer.text);
        assert_eq!(answer.body["error"]["param"], param, "{path}: {}", answer.text);
    }
}

#[tokio::test]
async fn another_method_is_refused_in_the_words_of_the_contract() {
    let app = support::app(support::tiny_model());
    for (path, place) in [
        ("/v1/score", "/error/message"),
        ("/predict", "/error_type"),
        ("/request", "/detail/0/msg"),
        ("/v1alpha1/comments:analyze", "/error/status"),
        ("/api/v1/text/contents", "/message"),
    ] {
        let request = Request::put(path).body(axum::body::Body::empty()).unwrap();
        let answer = send(app.clone(), request).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}: {}", answer.text);
        assert_eq!(answer.headers["allow"], "POST", "{path}");
        assert!(
            answer.body.pointer(place).is_some_and(Value::is_string),
            "{path}: {}",
            answer.text
        );
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
    let settings =
        moderato::http::HttpSettings { media: moderato::http::Media::Ignored, ..support::HTTP };
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
