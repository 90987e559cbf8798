//! Fuzzes the request bodies of every route that takes one; the first byte selects the route.
//!
//! The target passes if the response is JSON and not a server error: a panic is answered with 500.

#![no_main]

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use libfuzzer_sys::fuzz_target;
use moderato_fuzz::service;
use serde_json::Value;
use tokio::runtime::Runtime;
use tower::ServiceExt;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
static ROUTER: LazyLock<axum::Router> = LazyLock::new(|| RUNTIME.block_on(async { service() }));

const ROUTES: [&str; 14] = [
    "/v1/score",
    "/v1/moderations",
    "/v1/chat/moderations",
    "/v1/classifications",
    "/v1/chat/classifications",
    "/classify",
    "/predict",
    "/models/tiny-bert",
    "/",
    "/v1/models/tiny-bert:predict",
    "/v2/models/tiny-bert/infer",
    "/api/v1/text/contents",
    "/beta/litellm_basic_guardrail_api",
    "/v1alpha1/comments:analyze",
];

fuzz_target!(|data: &[u8]| {
    let Some((&first, body)) = data.split_first() else {
        return;
    };
    let route = ROUTES[usize::from(first) % ROUTES.len()];
    let request = Request::post(route)
        .header("content-type", "application/json")
        .body(Body::from(body.to_vec()))
        .unwrap();
    let router = ROUTER.clone();
    RUNTIME.block_on(async {
        let answer = router.oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes);
        assert!(status == 200 || (400..500).contains(&status), "{route}: {status} {text}");
        assert!(serde_json::from_slice::<Value>(&bytes).is_ok(), "{route}: {status} {text}");
    });
});
