//! Several models in one service, and shadow traffic to another model.

use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use axum::http::StatusCode;
use moderato::engine::Loader;
use moderato::http::App;
use moderato::lifecycle::Lifecycle;
use moderato::metrics::Metrics;
use moderato::model::Source;
use serde_json::Value;
use serde_json::json;

use super::Answer;
use super::contracts::ask;
use super::swap::TEXT;
use super::swap::admin_by;
use super::swap::folder;
use super::swap::loader;
use super::swap::negate;
use super::swap::spam;
use crate::support;

#[tokio::test]
async fn a_request_names_the_model_that_scores_it() {
    let (one, other) = (folder(|_| {}), folder(negate));
    let (app, _) = two(one.path(), other.path());
    let spam = |answer: &Answer| answer.body["results"][0]["categories"]["spam"]["score"].clone();
    let default = ask(&app, "/v1/score", &json!({"input": TEXT})).await;
    let plain = ask(&app, "/v1/score", &json!({"input": TEXT, "model": "plain"})).await;
    let turned = ask(&app, "/v1/score", &json!({"input": TEXT, "model": "turned"})).await;
    assert_eq!(spam(&plain), spam(&default), "the first is the default");
    assert_ne!(spam(&turned), spam(&default));
    assert_ne!(turned.body["model"], default.body["model"]);
    // The name of the model in a response selects that model.
    let model = turned.body["model"].clone();
    let named = ask(&app, "/v1/score", &json!({"input": TEXT, "model": model})).await;
    assert_eq!(spam(&named), spam(&turned));
    let unknown = ask(&app, "/v1/score", &json!({"input": TEXT, "model": "none"})).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND, "{}", unknown.text);
    assert_eq!(unknown.body["error"]["code"], "unknown_model");
    let told = unknown.body["error"]["message"].as_str().unwrap();
    assert!(told.contains("\"plain\"") && told.contains("\"turned\""), "{told}");
}

#[tokio::test]
async fn every_contract_that_names_a_model_gets_that_one() {
    let (one, other) = (folder(|_| {}), folder(negate));
    let (app, _) = two(one.path(), other.path());
    let (plain, turned) = (spam(&app, "plain").await, spam(&app, "turned").await);
    assert!((plain - turned).abs() > 1e-3);
    let inputs = json!([{"name": "t", "datatype": "BYTES", "shape": [1], "data": [TEXT]}]);
    for (path, body, place) in [
        (
            "/v1/moderations",
            json!({"input": TEXT, "model": "turned"}),
            "/results/0/category_scores/spam",
        ),
        ("/classify", json!({"input": TEXT, "model": "turned"}), "/data/0/probs/0"),
        ("/classify", json!({"input": TEXT, "model": "hosted_vllm/turned"}), "/data/0/probs/0"),
        (
            "/v1/score",
            json!({"input": TEXT, "model": "openai/turned"}),
            "/results/0/categories/spam/score",
        ),
        ("/v1/models/turned:predict", json!({"instances": [TEXT]}), "/predictions/0/spam"),
        ("/v2/models/turned/infer", json!({"inputs": inputs}), "/outputs/0/data/0"),
    ] {
        let answer = ask(&app, path, &body).await;
        let score = answer.body.pointer(place).and_then(Value::as_f64);
        let score = score.unwrap_or_else(|| panic!("{path}: {}", answer.text));
        assert!((score - turned).abs() < 1e-5, "{path}: {score} for {turned}");
    }
    // The name of a vendor's model falls back to the default; a name in the header must exist.
    let vendors = json!({"input": TEXT, "model": "text-moderation-latest"});
    assert_eq!(ask(&app, "/v1/moderations", &vendors).await.status, StatusCode::OK);
    let mut request = super::request("/predict", &json!({"inputs": TEXT}));
    request.headers_mut().insert("x-moderato-model", "none".parse().unwrap());
    assert_eq!(super::send(app, request).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn one_model_is_exchanged_and_the_other_stays() {
    let (one, other) = (folder(|_| {}), folder(negate));
    let (app, loader) = two(one.path(), other.path());
    let before = spam(&app, "plain").await;
    let body = json!({"name": "turned", "source": one.path()});
    let exchanged = admin_by(&app, loader.clone(), "/admin/models/load", &body).await;
    assert_eq!(exchanged.status, StatusCode::OK, "{}", exchanged.text);
    assert_eq!(exchanged.body["name"], "turned");
    assert!((spam(&app, "turned").await - before).abs() < 1e-6);
    assert!((spam(&app, "plain").await - before).abs() < 1e-6);
    let body = json!({"name": "none", "source": one.path()});
    let unknown = admin_by(&app, loader, "/admin/models/load", &body).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_reload_takes_all_models_or_none() {
    let (one, other) = (folder(|_| {}), folder(negate));
    let (app, loader) = two(one.path(), other.path());
    let before = app.models().slots().iter().map(|slot| slot.serving().unwrap());
    let before: Vec<_> = before.collect();
    std::fs::write(other.path().join("model.safetensors"), b"half").unwrap();
    assert!(app.models().reload(loader.clone()).await.is_err());
    for (slot, before) in app.models().slots().iter().zip(&before) {
        assert!(Arc::ptr_eq(&slot.serving().unwrap(), before), "{:?}", slot.name());
    }
    std::fs::copy(one.path().join("model.safetensors"), other.path().join("model.safetensors"))
        .unwrap();
    app.models().reload(loader).await.unwrap();
    for (slot, before) in app.models().slots().iter().zip(&before) {
        assert!(!Arc::ptr_eq(&slot.serving().unwrap(), before), "{:?}", slot.name());
    }
}

#[tokio::test]
async fn a_reload_waits_for_another_one() {
    let (one, other) = (folder(|_| {}), folder(negate));
    let (app, loader) = two(one.path(), other.path());
    let models = app.models();
    let (first, second) = tokio::join!(models.reload(loader.clone()), models.reload(loader));
    first.unwrap();
    second.unwrap();
}

#[tokio::test]
async fn a_shadow_is_compared_and_answers_nobody() {
    let (one, other) = (folder(|_| {}), folder(negate));
    let (app, loader) = two(one.path(), one.path());
    let before = spam(&app, "plain").await;
    let body = json!({"source": other.path(), "shadow_fraction": 0.5});
    let staged = admin_by(&app, loader.clone(), "/admin/models/load", &body).await;
    assert_eq!(staged.status, StatusCode::OK, "{}", staged.text);
    assert_eq!(staged.body["serving"]["source"], one.path().to_str().unwrap());
    assert_eq!(staged.body["shadow"]["fraction"], 0.5);
    for _ in 0..10 {
        assert!((spam(&app, "plain").await - before).abs() < 1e-6);
    }
    let shadow = app.models().default_slot().overview().shadow.unwrap();
    while shadow.comparison().n_texts < 5 {
        tokio::task::yield_now().await;
    }
    let nothing = json!({});
    let promoted = admin_by(&app, loader.clone(), "/admin/models/shadow/promote", &nothing).await;
    assert_eq!(promoted.body["serving"]["source"], other.path().to_str().unwrap());
    assert_eq!(promoted.body["shadow"], Value::Null);
    let after = spam(&app, "plain").await;
    assert!((after - before).abs() > 1e-3);
    let comparison = shadow.comparison();
    assert_eq!((comparison.n_texts, comparison.n_failed), (5, 0), "half of ten");
    let spam = &comparison.categories[0];
    assert_eq!(spam.category, "spam");
    assert!((spam.max_difference - (after - before).abs()).abs() < 1e-5, "{spam:?}");
    assert!((spam.sum_difference - 5.0 * spam.max_difference).abs() < 1e-4, "{spam:?}");
    let metrics = super::send(app.clone(), Request::get("/metrics").body(Body::empty()).unwrap());
    let metrics = metrics.await.text;
    for line in [
        "moderato_shadow_texts_total{result=\"compared\"} 5",
        "moderato_shadow_score_difference_count{category=\"spam\"} 5",
    ] {
        assert!(metrics.contains(line), "no {line} in\n{metrics}");
    }
    let gone = admin_by(&app, loader, "/admin/models/shadow/discard", &nothing).await;
    assert_eq!(gone.status, StatusCode::CONFLICT);
    assert_eq!(gone.body["error"]["code"], "no_shadow");
}

#[tokio::test]
async fn a_share_that_is_none_is_refused() {
    let one = folder(|_| {});
    let (app, loader) = two(one.path(), one.path());
    for share in [json!(0), json!(1.5), json!("half")] {
        let body = json!({"source": one.path(), "shadow_fraction": share});
        let answer = admin_by(&app, loader.clone(), "/admin/models/load", &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text);
        assert_eq!(answer.body["error"]["param"], "shadow_fraction");
    }
}

/// Creates a service of two models that share one loader.
fn two(plain: &Path, turned: &Path) -> (App, Loader) {
    let names = vec!["plain".to_owned(), "turned".to_owned()];
    let metrics = Arc::new(Metrics::new());
    let app = App::with_models(support::HTTP, Arc::clone(&metrics), Lifecycle::new(), names);
    let loader = loader();
    for (slot, path) in app.models().slots().iter().zip([plain, turned]) {
        let source = Source::Folder(path.into());
        let engine = loader.load(slot.name(), &source, Arc::clone(&metrics)).unwrap();
        slot.swap(Arc::new(engine), Some(source));
    }
    (app, loader)
}
