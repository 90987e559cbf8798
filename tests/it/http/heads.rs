//! How the scores of a model are computed: reported, and kept when the model is swapped.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use axum::http::StatusCode;
use moderato::engine::Loader;
use moderato::http::App;
use moderato::lifecycle::Lifecycle;
use moderato::metrics::Metrics;
use moderato::model::HeadSettings;
use moderato::model::Source;
use moderato::score::Activation;
use serde_json::Value;
use serde_json::json;

use super::swap::admin_by;
use super::swap::loader;
use crate::heads::two_labels;
use crate::support;

#[tokio::test]
async fn models_say_how_scores_are_made_and_what_decided_it() {
    let silent = two_labels(&json!({"0": "safe", "1": "unsafe"}));
    let declared = support::tiny();
    let sigmoid = HeadSettings { activation: Some(Activation::Sigmoid), ..HeadSettings::default() };
    for (path, head, activation, source) in [
        (silent.path(), HeadSettings::default(), "softmax", "default"),
        (silent.path(), sigmoid.clone(), "sigmoid", "flag"),
        (declared.as_path(), HeadSettings::default(), "sigmoid", "config.json"),
        (declared.as_path(), sigmoid, "sigmoid", "flag"),
    ] {
        let loader = Loader { heads: BTreeMap::from([(None, head)]), ..loader() };
        let source_of_model = Source::Folder(path.into());
        let engine = loader.load(None, &source_of_model, Arc::default()).unwrap();
        let app = support::starting();
        app.models().default_slot().swap(Arc::new(engine), Some(source_of_model));
        let [model] = &models(&app).await[..] else { panic!("one model") };
        assert_eq!(model["activation"], activation, "{model}");
        assert_eq!(model["activation_source"], source, "{model}");
    }
}

#[tokio::test]
async fn a_setting_belongs_to_the_name_of_a_model_whatever_serves_under_it() {
    let one = two_labels(&json!({"0": "LABEL_0", "1": "LABEL_1"}));
    let other = two_labels(&json!({"0": "LABEL_0", "1": "LABEL_1"}));
    let head = HeadSettings {
        activation: Some(Activation::Sigmoid),
        benign_labels: vec!["LABEL_0".into()],
    };
    let loader = Loader { heads: BTreeMap::from([(Some("b".into()), head)]), ..loader() };
    let metrics = Arc::new(Metrics::new());
    let names = vec!["a".to_owned(), "b".to_owned()];
    let app = App::with_models(support::HTTP, Arc::clone(&metrics), Lifecycle::new(), names);
    let source = Source::Folder(one.path().into());
    for slot in app.models().slots() {
        let engine = loader.load(slot.name(), &source, Arc::clone(&metrics)).unwrap();
        slot.swap(Arc::new(engine), Some(source.clone()));
    }
    let expected = json!([["a", "softmax", "default", []], ["b", "sigmoid", "flag", ["LABEL_0"]],]);
    assert_eq!(heads(&app).await, expected, "at start");
    for name in ["a", "b"] {
        let body = json!({"name": name, "source": other.path()});
        let answer = admin_by(&app, loader.clone(), "/admin/models/load", &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    }
    assert_eq!(heads(&app).await, expected, "after an exchange");
    app.models().reload(loader.clone()).await.unwrap();
    assert_eq!(heads(&app).await, expected, "after a reload");
    let body = json!({"name": "b"});
    let answer = admin_by(&app, loader, "/admin/models/rollback", &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(heads(&app).await, expected, "after a rollback");
}

#[tokio::test]
async fn a_model_without_the_benign_label_of_its_name_does_not_take_the_place_of_another() {
    let (one, other) = (two_labels(&Value::Null), two_labels(&json!({"0": "calm", "1": "loud"})));
    let head = HeadSettings { activation: None, benign_labels: vec!["LABEL_0".into()] };
    let loader = Loader { heads: BTreeMap::from([(None, head)]), ..loader() };
    let source = Source::Folder(one.path().into());
    let app = support::starting();
    let engine = loader.load(None, &source, Arc::default()).unwrap();
    app.models().default_slot().swap(Arc::new(engine), Some(source));
    let body = json!({"source": other.path()});
    let answer = admin_by(&app, loader, "/admin/models/load", &body).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.text);
    assert!(answer.text.contains("its labels are calm, loud"), "{}", answer.text);
}

async fn models(app: &App) -> Vec<Value> {
    let request = Request::get("/v1/models").body(Body::empty()).unwrap();
    super::send(app.clone(), request).await.body["data"].as_array().unwrap().clone()
}

/// Returns the name, activation, its source and the ignored labels of each model.
async fn heads(app: &App) -> Value {
    let mut heads = Vec::new();
    for (model, slot) in models(app).await.iter().zip(app.models().slots()) {
        let ignored = slot.serving().unwrap().policy().ignored_labels.clone();
        heads.push(json!([
            model["name"],
            model["activation"],
            model["activation_source"],
            ignored
        ]));
    }
    heads.into()
}
