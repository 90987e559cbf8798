//! A service with API keys, for tests.

use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use moderato::http::Access;
use moderato::http::App;
use moderato::http::Area;
use moderato::http::HttpSettings;
use moderato::http::KeyFile;
use moderato::key::Secret;
use moderato::lifecycle::Lifecycle;
use moderato::lifecycle::Phase;
use moderato::metrics::Metrics;
use serde_json::json;
use tempfile::TempDir;

use super::Answer;
use super::request;
use super::send;
use crate::support;
use crate::support::HTTP;

/// The model behind the authentication.
pub(super) enum Model {
    /// None: accepted requests get the error that the server is starting.
    None,
    Tiny,
    Embedded,
}

/// A service with API keys, and the key file.
pub(super) struct Guarded {
    app: App,
    pub(super) file: KeyFile,
    pub(super) path: PathBuf,
    pub(super) metrics: Arc<Metrics>,
    _folder: TempDir,
}

impl Guarded {
    pub(super) fn new(model: Model, lines: &[String]) -> Self {
        Self::open(model, lines, &[Area::Health])
    }

    pub(super) fn open(model: Model, lines: &[String], open: &[Area]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.txt");
        std::fs::write(&path, lines.join("\n")).unwrap();
        let metrics = Arc::new(Metrics::new());
        let file = KeyFile::open(&path, Arc::clone(&metrics)).unwrap();
        let access = Access { keyring: file.keyring(), open: open.to_vec() };
        let settings = HttpSettings { access: Some(access), ..HTTP };
        let app = match model {
            Model::None => {
                let app = App::new(settings, Arc::clone(&metrics), Lifecycle::new());
                app.lifecycle().enter(Phase::Ready);
                app
            }
            Model::Tiny => support::app_with(support::tiny_model(), support::ENGINE, settings),
            Model::Embedded => {
                support::app_with(support::embedded_model(), support::ENGINE, settings)
            }
        };
        Self { app, file, path, metrics, _folder: folder }
    }

    /// Sends a request to the admin listener.
    pub(super) async fn send_admin(&self, request: Request<Body>) -> Answer {
        let router = moderato::http::admin_router(self.app.clone(), super::swap::loader());
        super::answer(router, request).await
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let answer = send(self.app.clone(), request).await;
        assert!(
            !answer.text.contains("mod-") && !answer.text.contains("sha256:"),
            "{}",
            answer.text
        );
        answer
    }

    pub(super) fn write(&self, lines: &[String]) {
        std::fs::write(&self.path, lines.join("\n")).unwrap();
    }

    pub(super) fn n_failures(&self) -> u32 {
        let metrics = self.metrics.render();
        let name = "moderato_keys_reload_failures_total ";
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.parse().unwrap()
    }
}

/// Returns the key for a name, the same in every run.
pub(super) fn secret(name: &str) -> Secret {
    let mut bytes = [0; 32];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    Secret::from_random(bytes)
}

pub(super) fn key(name: &str) -> String {
    secret(name).reveal().to_owned()
}

pub(super) fn hash(name: &str) -> String {
    secret(name).hash().to_string()
}

/// Returns a line of the key file.
pub(super) fn client(name: &str, quota: &str) -> String {
    format!("{name} client {} {quota}", hash(name))
}

pub(super) fn score() -> Request<Body> {
    request("/v1/score", &json!({"input": "good morning"}))
}

pub(super) fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

pub(super) fn with_key(mut request: Request<Body>, name: &str) -> Request<Body> {
    let value = format!("Bearer {}", key(name));
    request.headers_mut().insert("authorization", value.parse().unwrap());
    request
}
