//! Every route that takes a body, as listed in the published description. Tests that apply to all
//! contracts iterate over this list; a new contract needs one line here.

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::Request;
use serde_json::Value;
use serde_json::json;
use tokio::runtime::Runtime;

use super::get;
use super::request;

/// A route that takes a body.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    /// The path in the description.
    pub(super) template: String,
    /// The schema of the body.
    pub(super) schema: Value,
    body: fn(&str) -> Value,
}

/// All operations, in the order of the description.
pub(super) static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    let paths = DESCRIPTION["paths"].as_object().unwrap();
    let posted = paths.iter().filter_map(|(path, item)| {
        let schema = item.pointer("/post/requestBody/content/application~1json/schema")?;
        let example = EXAMPLES.iter().find(|(template, _)| template == path);
        let (_, body) = example.unwrap_or_else(|| panic!("there is no example for {path}"));
        Some(Operation { template: path.clone(), schema: schema.clone(), body: *body })
    });
    posted.collect()
});

/// The published description.
pub(super) static DESCRIPTION: LazyLock<Value> = LazyLock::new(|| {
    // On a thread of its own, since the caller may be inside a runtime.
    let fetch = || Runtime::new().unwrap().block_on(get("/openapi.json")).body;
    std::thread::spawn(fetch).join().unwrap()
});

impl Operation {
    /// Returns the path for the model of this name.
    pub(super) fn path(&self, model: &str) -> String {
        self.template.replace("{name}", model)
    }

    /// Returns a body with this text alone.
    pub(super) fn body(&self, text: &str) -> Value {
        (self.body)(text)
    }

    /// Returns a request to score this text.
    pub(super) fn request(&self, model: &str, text: &str) -> Request<Body> {
        let mut request = request(&self.path(model), &self.body(text));
        request.headers_mut().insert("detector-id", "moderato".parse().unwrap());
        request
    }
}

#[test]
fn every_example_is_of_a_route_that_there_is() {
    for (template, _) in EXAMPLES {
        assert!(OPERATIONS.iter().any(|operation| operation.template == *template), "{template}");
    }
}

/// The path of an operation, and a body for a text.
type Example = (&'static str, fn(&str) -> Value);

const EXAMPLES: &[Example] = &[
    ("/v1/score", |text| json!({"input": text})),
    ("/v1/moderations", |text| json!({"input": text})),
    ("/v1/chat/moderations", |text| json!({"input": [turn("user", text)]})),
    ("/v1/classifications", |text| json!({"input": text})),
    ("/v1/chat/classifications", |text| json!({"input": {"messages": [turn("user", text)]}})),
    ("/classify", |text| json!({"input": text})),
    ("/predict", |text| json!({"inputs": text})),
    ("/", |text| json!({"inputs": text})),
    ("/models/{name}", |text| json!({"inputs": text})),
    ("/invocations", |text| json!({"inputs": text})),
    ("/v1/models/{name}:predict", |text| json!({"instances": [text]})),
    (
        "/v2/models/{name}/infer",
        |text| json!({"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]}]}),
    ),
    ("/api/v1/text/contents", |text| json!({"contents": [text]})),
    ("/beta/litellm_basic_guardrail_api", |text| json!({"texts": [text]})),
    ("/request", |text| json!({"body": {"messages": [turn("user", text)]}})),
    ("/response", |text| json!({"body": {"choices": [{"message": turn("assistant", text)}]}})),
    (
        "/v1alpha1/comments:analyze",
        |text| json!({"comment": {"text": text}, "requestedAttributes": {"THREAT": {}, "INSULT": {}}}),
    ),
];

fn turn(role: &str, text: &str) -> Value {
    json!({"role": role, "content": text})
}
