//! Swapping the model under load, and every reason to refuse a swap.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::http::Request;
use axum::http::StatusCode;
use moderato::engine::EngineGroup;
use moderato::engine::LoadRequest;
use moderato::engine::Loader;
use moderato::engine::Memory;
use moderato::error::Error;
use moderato::http::App;
use moderato::http::admin_router;
use moderato::model::Dtype;
use moderato::model::HubSettings;
use moderato::model::LoadSettings;
use moderato::model::Placement;
use moderato::model::Source;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

use super::Answer;
use super::contracts::ask;
use crate::support;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_is_answered_by_one_model_while_models_are_exchanged() {
    let (one, other) = (folder(|_| {}), folder(negate));
    let app = serving(one.path());
    let expected = [
        (name(one.path()), spam(&serving(one.path()), &name(one.path())).await),
        (name(other.path()), spam(&serving(other.path()), &name(other.path())).await),
    ];
    assert!((expected[0].1 - expected[1].1).abs() > 1e-3, "they can be told apart");
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (app, stop) = (app.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut answers = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    answers.push(ask(&app, "/v1/score", &json!({"input": TEXT})).await);
                }
                answers
            })
        })
        .collect();
    for round in 0..10 {
        let path = if round % 2 == 0 { other.path() } else { one.path() };
        let answer = load(&app, json!({"source": path})).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert_eq!(answer.body["serving"]["source"], path.to_str().unwrap());
    }
    stop.store(true, Ordering::Relaxed);
    let mut seen = [0, 0];
    for client in clients {
        for answer in client.await.unwrap() {
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
            let model = answer.body["model"].as_str().unwrap();
            let place = expected.iter().position(|(name, _)| model.starts_with(name)).unwrap();
            let score = answer.body["results"][0]["categories"]["spam"]["score"].as_f64().unwrap();
            let due = expected[place].1;
            assert!((score - due).abs() < 1e-5, "{model} gave {score} for {due}");
            seen[place] += 1;
        }
    }
    assert!(seen.iter().all(|&n| n > 0), "{seen:?}");
}

#[tokio::test]
async fn what_fails_leaves_the_old_model_serving_and_says_why() {
    let one = folder(|_| {});
    let broken = folder(|path| {
        std::fs::write(path.join("model.safetensors"), b"half").unwrap();
    });
    let strange = folder(|path| {
        std::fs::write(path.join("self_test.jsonl"), SELF_TEST.replace("0.5", "0.0")).unwrap();
    });
    let app = serving(one.path());
    let before = ask(&app, "/v1/score", &json!({"input": TEXT})).await;
    for (body, status, message) in [
        (json!({"source": broken.path()}), 422, "expected"),
        (json!({"source": "./nowhere"}), 422, "./nowhere: reading failed"),
        (json!({"source": strange.path()}), 422, "for spam of text 1"),
        (json!({"source": one.path(), "sha256": "00"}), 422, "weights of SHA-256 00"),
        (json!({"source": "not a source"}), 400, "source must be"),
        (json!({}), 400, "source is missing"),
    ] {
        let answer = load(&app, body).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
        let told = answer.body["error"]["message"].as_str().unwrap();
        assert!(told.contains(message), "{told}");
    }
    let after = ask(&app, "/v1/score", &json!({"input": TEXT})).await;
    assert_eq!(after.body["results"], before.body["results"]);
    let shown = show(&app).await;
    let slot = &shown.body["models"][0];
    assert_eq!(slot["staged"]["status"], "failed", "{}", shown.text);
    assert_eq!(slot["previous"], Value::Null);
}

#[tokio::test]
async fn a_folder_of_any_name_takes_the_place_and_comes_back() {
    let (one, parent) = (folder(|_| {}), tempfile::tempdir().unwrap());
    let odd = parent.path().join("x=a,b@c");
    std::fs::rename(folder(|_| {}).keep(), &odd).unwrap();
    let app = serving(&odd);
    load(&app, json!({"source": one.path()})).await;
    let back = admin(&app, "/admin/models/rollback", &json!({})).await;
    assert_eq!(back.body["serving"]["source"], odd.to_str().unwrap(), "{}", back.text);
}

#[tokio::test]
async fn rolling_back_takes_the_model_before_unless_it_has_changed() {
    let (one, other) = (folder(|_| {}), folder(negate));
    let app = serving(one.path());
    let nothing = admin(&app, "/admin/models/rollback", &json!({})).await;
    assert_eq!(nothing.status, StatusCode::CONFLICT);
    assert_eq!(nothing.body["error"]["code"], "nothing_before");
    load(&app, json!({"source": other.path()})).await;
    // With a body or without.
    let mut request = super::request("/admin/models/rollback", &json!({}));
    *request.body_mut() = Body::empty();
    let back = super::answer(admin_router(app.clone(), loader()), request).await;
    assert_eq!(back.body["serving"]["source"], one.path().to_str().unwrap(), "{}", back.text);
    assert_eq!(back.body["previous"]["source"], other.path().to_str().unwrap());
    let weights = std::fs::read(one.path().join("model.safetensors")).unwrap();
    std::fs::write(other.path().join("model.safetensors"), weights).unwrap();
    let changed = admin(&app, "/admin/models/rollback", &json!({})).await;
    assert_eq!(changed.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", changed.text);
    assert!(changed.text.contains("weights of SHA-256"), "{}", changed.text);
}

#[tokio::test]
async fn an_engine_that_nobody_holds_any_more_is_gone() {
    let one = folder(|_| {});
    let app = serving(one.path());
    let old = Arc::downgrade(&app.engine().unwrap());
    load(&app, json!({"source": one.path()})).await;
    assert!(old.upgrade().is_none());
    let metrics = super::send(app, Request::get("/metrics").body(Body::empty()).unwrap()).await;
    let line = "moderato_model_swaps_total{result=\"swapped\"} 1";
    assert!(metrics.text.contains(line), "{}", metrics.text);
}

#[test]
fn a_model_that_does_not_fit_beside_the_one_that_serves_is_refused() {
    let (one, root) = (folder(|_| {}), tempfile::tempdir().unwrap());
    std::fs::create_dir(root.path().join("proc")).unwrap();
    let request =
        LoadRequest { source: Source::Folder(one.path().into()), sha256: None, shadow: None };
    for (available_kb, fits) in [(1, false), (1_000_000, true)] {
        let text = format!("MemAvailable: {available_kb} kB\n");
        std::fs::write(root.path().join("proc/meminfo"), text).unwrap();
        let loader = Loader { memory: Memory::below(root.path().into()), ..loader() };
        match loader.load_beside(None, &request, Arc::default()) {
            Ok(_) => assert!(fits, "{available_kb} kB"),
            Err(Error::Memory { available_mb: 0, .. }) => assert!(!fits, "{available_kb} kB"),
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// Copies the folder of the tiny model and changes the copy.
pub(super) fn folder(change: impl FnOnce(&Path)) -> TempDir {
    let folder = support::tiny_copy();
    std::fs::write(folder.path().join("self_test.jsonl"), SELF_TEST).unwrap();
    change(folder.path());
    folder
}

/// Negates the head's weights, so that the scores differ.
pub(super) fn negate(path: &Path) {
    let file = path.join("model.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    let n_header = 8 + usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    let header: Value = serde_json::from_slice(&bytes[8..n_header]).unwrap();
    let offsets = header["classifier.weight"]["data_offsets"].as_array().unwrap();
    let place = |at: usize| n_header + usize::try_from(offsets[at].as_u64().unwrap()).unwrap();
    let mut changed = bytes.clone();
    let width = match header["classifier.weight"]["dtype"].as_str().unwrap() {
        "F32" => 4,
        _ => 2,
    };
    for number in changed[place(0)..place(1)].chunks_exact_mut(width) {
        number[width - 1] ^= 0x80; // the sign bit, little-endian
    }
    std::fs::write(file, changed).unwrap();
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

pub(super) fn loader() -> Loader {
    let load = LoadSettings {
        placement: Placement::Cpu,
        dtype: Dtype::F32,
        threads: 1,
        replicas: 1,
        overlap: 64,
        normalise: true,
    };
    let hub = HubSettings::offline();
    let group = EngineGroup::new(support::ENGINE).unwrap();
    let memory = Memory::below("/".into());
    Loader { policies: Vec::new(), heads: BTreeMap::new(), hub, load, group, memory }
}

/// Creates a service with the model in a folder.
fn serving(path: &Path) -> App {
    let app = support::starting();
    let source = Source::Folder(path.into());
    let engine = loader().load(None, &source, Arc::default()).unwrap();
    app.models().default_slot().swap(Arc::new(engine), Some(source));
    app
}

/// Returns the spam score from the model of this name.
pub(super) async fn spam(app: &App, model: &str) -> f64 {
    let answer = ask(app, "/v1/score", &json!({"input": TEXT, "model": model})).await;
    answer.body["results"][0]["categories"]["spam"]["score"].as_f64().unwrap()
}

async fn load(app: &App, body: Value) -> Answer {
    admin(app, "/admin/models/load", &body).await
}

async fn show(app: &App) -> Answer {
    let request = Request::get("/admin/models").body(Body::empty()).unwrap();
    super::answer(admin_router(app.clone(), loader()), request).await
}

async fn admin(app: &App, path: &str, body: &Value) -> Answer {
    admin_by(app, loader(), path, body).await
}

pub(super) async fn admin_by(app: &App, loader: Loader, path: &str, body: &Value) -> Answer {
    super::answer(admin_router(app.clone(), loader), super::request(path, body)).await
}

pub(super) const TEXT: &str = "good morning";
const SELF_TEST: &str = r#"{"text": "good night", "scores": {"spam": 0.5}, "tolerance": 0.5}"#;
