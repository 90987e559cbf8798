//! Shared by all targets: the tiny model, and a service that runs it.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use moderato::engine::Engine;
use moderato::engine::EngineSettings;
use moderato::error::Result;
use moderato::http::App;
use moderato::http::HttpSettings;
use moderato::http::Media;
use moderato::lifecycle::Lifecycle;
use moderato::lifecycle::Phase;
use moderato::metrics::Metrics;
use moderato::model::Artifact;
use moderato::model::Dtype;
use moderato::model::HubSettings;
use moderato::model::LoadSettings;
use moderato::model::Model;
use moderato::model::Overrides;
use moderato::model::Placement;
use moderato::model::Source;
use moderato::text::Limits;

/// Returns the folder of the tiny random model.
pub fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/tiny-bert")
}

/// Loads a model as the server does before a swap.
pub fn load(folder: &Path) -> Result<Model> {
    let source = Source::Folder(folder.to_owned());
    let artifact = Artifact::open(&source, Overrides::default(), HubSettings::offline())?;
    let settings = LoadSettings {
        placement: Placement::Cpu,
        dtype: Dtype::F32,
        threads: 1,
        replicas: 1,
        overlap: 64,
        normalise: true,
    };
    Model::load(artifact, &settings)
}

/// Returns all routes of a service that runs the tiny model and is ready.
pub fn service() -> axum::Router {
    let engine = EngineSettings {
        batch_tokens: 512,
        queue_tokens: 65_536,
        queue_time: Duration::MAX,
        max_request_tokens: 16_384,
        tokenize_permits: 1,
        span_tokens: 8192,
    };
    let http = HttpSettings {
        limits: Limits { max_texts: 8, max_chars: 20_000 },
        max_body_bytes: 100_000,
        timeout: Duration::from_mins(1),
        media: Media::Ignored,
        access: None,
        audit: None,
        traces: None,
    };
    let metrics = Arc::new(Metrics::new());
    let app = App::new(http, Arc::clone(&metrics), Lifecycle::new());
    let model = load(&tiny()).expect("the tiny model is sound");
    app.install(Engine::start(model, engine, metrics).expect("its settings are sound"));
    app.lifecycle().enter(Phase::Ready);
    moderato::http::router(app)
}
