//! API keys: which requests are accepted and refused, and what needs no key.

use axum::body::Body;
use axum::http::Method;
use axum::http::Request;
use axum::http::StatusCode;
use moderato::http::Area;
use moderato::key::Secret;
use serde_json::json;

use super::guarded::Guarded;
use super::guarded::Model;
use super::guarded::client;
use super::guarded::get;
use super::guarded::hash;
use super::guarded::key;
use super::guarded::score;
use super::guarded::with_key;
use super::request;
use super::send;
use crate::support;

#[tokio::test]
async fn a_key_is_taken_from_either_header_and_the_scheme_in_any_case() {
    let guarded = Guarded::new(Model::Tiny, &[client("web", "")]);
    let (good, bad) = (key("web"), key("nobody"));
    for (headers, status) in [
        (vec![("authorization", format!("Bearer {good}"))], 200),
        (vec![("authorization", format!("bearer  {good} "))], 200),
        (vec![("x-api-key", good.clone())], 200),
        (vec![("api-key", good.clone())], 200),
        (vec![("api-key", bad.clone()), ("x-api-key", good.clone())], 200),
        (vec![("api-key", bad.clone())], 401),
        (vec![("authorization", "Bearer unused".into()), ("x-api-key", good.clone())], 200),
        (vec![], 401),
        (vec![("authorization", format!("Bearer {bad}"))], 401),
        (vec![("authorization", format!("Basic {good}"))], 401),
        (vec![("authorization", good.clone())], 401),
        (vec![("authorization", "Bearer".into())], 401),
        (vec![("x-api-key", String::new())], 401),
        (vec![("x-api-key", good[..46].into())], 401),
        (vec![("x-api-key", format!("{good}a"))], 401),
        (vec![("x-api-key", Secret::from_random([1; 32]).hash().to_string())], 401),
    ] {
        let mut request = score();
        for (name, value) in &headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let answer = guarded.send(request).await;
        assert_eq!(answer.status, status, "{headers:?}: {}", answer.text);
    }
}

#[tokio::test]
async fn administrators_show_a_key_of_their_role() {
    let admin = format!("ops admin {}", hash("ops"));
    let guarded = Guarded::open(Model::Tiny, &[client("web", ""), admin], &[Area::Metrics]);
    for (request, status) in [
        (get("/admin/models"), 401),
        (with_key(get("/admin/models"), "nobody"), 401),
        (with_key(get("/admin/models"), "web"), 403),
        (with_key(get("/admin/models"), "ops"), 200),
        (with_key(request("/admin/models/load", &json!({"source": "embedded"})), "web"), 403),
    ] {
        let path = request.uri().clone();
        let answer = guarded.send_admin(request).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
    }
}

#[tokio::test]
async fn whoever_has_no_key_is_told_how_to_send_one() {
    let guarded = Guarded::new(Model::None, &[client("web", "")]);
    let missing = guarded.send(score()).await;
    assert_eq!(missing.status, StatusCode::UNAUTHORIZED);
    assert_eq!(missing.headers["www-authenticate"], "Bearer");
    assert!(missing.headers.contains_key("x-request-id"));
    assert_eq!(
        missing.body,
        json!({"error": {
            "message": "a key is needed, as in the header authorization: Bearer KEY",
            "type": "invalid_request_error", "param": null, "code": "invalid_api_key",
        }})
    );
    let unknown = guarded.send(with_key(score(), "nobody")).await;
    assert_eq!(unknown.body["error"]["message"], "the API key is unknown");
    assert_eq!(unknown.headers["www-authenticate"], "Bearer");
}

#[tokio::test]
async fn the_query_carries_a_key_for_perspective_only() {
    let guarded = Guarded::new(Model::Embedded, &[client("web", "")]);
    let body = json!({"comment": {"text": "good morning"}, "requestedAttributes": {"THREAT": {}}});
    let analyze = "/v1alpha1/comments:analyze";
    for (path, body, status) in [
        (format!("{analyze}?key={}", key("web")), &body, 200),
        (format!("{analyze}?alt=json&key={}", key("web")), &body, 200),
        (format!("{analyze}?key={}", key("nobody")), &body, 401),
        (format!("{analyze}?monkey={}", key("web")), &body, 401),
        (analyze.into(), &body, 401),
        (format!("/v1/score?key={}", key("web")), &json!({"input": "hi"}), 401),
    ] {
        let answer = guarded.send(request(&path, body)).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
    }
}

#[tokio::test]
async fn no_route_but_those_of_health_is_open_to_all() {
    let guarded = Guarded::new(Model::None, &[client("web", "")]);
    let description = guarded.send(with_key(get("/openapi.json"), "web")).await;
    let paths = description.body["paths"].as_object().unwrap();
    let mut described: Vec<_> = paths
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(|method| (method.to_uppercase(), path.replace("{name}", "tiny-bert")))
        })
        .collect();
    for path in ["/docs", "/docs/", "/docs/index.html", "/openapi.json", "/v2/models/a/versions/b"]
    {
        described.push(("GET".into(), path.into()));
    }
    assert!(described.len() > 30, "{described:?}");
    let mut open = Vec::new();
    for (method, path) in described {
        let asked = Request::builder().method(method.as_str()).uri(&path);
        let answer = guarded.send(asked.body(Body::empty()).unwrap()).await;
        if answer.status != StatusCode::UNAUTHORIZED {
            open.push(path);
        }
    }
    open.sort();
    assert_eq!(
        open,
        ["/health/live", "/health/ready", "/health/startup", "/v2/health/live", "/v2/health/ready"]
    );
}

#[tokio::test]
async fn what_is_open_can_be_chosen() {
    use Area::{Docs, Health, Metrics};
    for (open, statuses) in [
        (vec![], [401, 401, 401]),
        (vec![Health], [200, 401, 401]),
        (vec![Metrics, Docs], [401, 200, 200]),
        (vec![Health, Metrics, Docs], [200, 200, 200]),
    ] {
        let guarded = Guarded::open(Model::None, &[client("web", "")], &open);
        for (path, status) in ["/health/live", "/metrics", "/openapi.json"].iter().zip(statuses) {
            let answer = guarded.send(get(path)).await;
            assert_eq!(answer.status, status, "{path} with {open:?} open");
        }
        assert_eq!(guarded.send(score()).await.status, 401, "with {open:?} open");
    }
}

#[tokio::test]
async fn metrics_are_for_admins_and_the_rest_for_all_keys() {
    let keys = [client("web", ""), format!("ops admin {}", hash("ops"))];
    let guarded = Guarded::open(Model::Tiny, &keys, &[]);
    for (path, client, admin) in
        [("/metrics", 403, 200), ("/docs/", 200, 200), ("/v1/models", 200, 200)]
    {
        assert_eq!(guarded.send(with_key(get(path), "web")).await.status, client, "{path}");
        assert_eq!(guarded.send(with_key(get(path), "ops")).await.status, admin, "{path}");
    }
    let refused = guarded.send(with_key(get("/metrics"), "web")).await;
    assert_eq!(refused.body["error"]["code"], "insufficient_role");
}

#[tokio::test]
async fn keys_change_with_their_file_and_a_faulty_one_changes_nothing() {
    let guarded = Guarded::new(Model::None, &[client("old", "")]);
    let valid = async |guarded: &Guarded, name| {
        guarded.send(with_key(get("/openapi.json"), name)).await.status == StatusCode::OK
    };
    guarded.write(&[client("old", ""), client("new", "")]);
    assert!(!valid(&guarded, "new").await, "nobody has looked yet");
    guarded.file.refresh();
    assert!(valid(&guarded, "old").await && valid(&guarded, "new").await);
    guarded.write(&[client("new", "")]);
    guarded.file.refresh();
    assert!(!valid(&guarded, "old").await && valid(&guarded, "new").await);
    guarded.write(&["new client sha256:hidden".into()]);
    guarded.file.refresh();
    assert_eq!(guarded.n_failures(), 0, "it may be half written");
    for _ in 0..3 {
        guarded.file.refresh();
    }
    assert_eq!(guarded.n_failures(), 1, "a fault is counted once");
    std::fs::remove_file(&guarded.path).unwrap();
    for _ in 0..3 {
        guarded.file.refresh();
    }
    assert_eq!(guarded.n_failures(), 2, "so is a file that is gone");
    assert!(valid(&guarded, "new").await, "the old keys stay");
    guarded.write(&[client("newer", "")]);
    guarded.file.refresh();
    assert!(!valid(&guarded, "new").await && valid(&guarded, "newer").await);
    assert_eq!(guarded.n_failures(), 2);
}

#[tokio::test]
async fn nothing_is_asked_of_anybody_where_there_are_no_keys() {
    let app = support::app(support::tiny_model());
    assert_eq!(send(app.clone(), score()).await.status, StatusCode::OK);
    let stale = with_key(score(), "nobody");
    assert_eq!(send(app.clone(), stale).await.status, StatusCode::OK);
    assert_eq!(send(app, get("/metrics")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn pages_of_other_sites_are_not_let_in() {
    for guarded in [None, Some(Guarded::new(Model::None, &[client("web", "")]))] {
        for path in ["/v1/score", "/v1/moderations", "/predict", "/health/live"] {
            let preflight = Request::builder()
                .method(Method::OPTIONS)
                .uri(path)
                .header("origin", "https://example.org")
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", "authorization")
                .body(Body::empty())
                .unwrap();
            let answer = match &guarded {
                Some(guarded) => guarded.send(preflight).await,
                None => send(support::app(support::tiny_model()), preflight).await,
            };
            assert!(answer.status.is_client_error(), "{path}: {}", answer.status);
            let mut names = answer.headers.keys();
            assert!(!names.any(|name| name.as_str().starts_with("access-control")), "{path}");
        }
    }
}
