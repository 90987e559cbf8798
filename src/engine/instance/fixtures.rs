//! Engines with a fake forward pass.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use ndarray::Array2;
use tokio::task::JoinHandle;

use crate::batch::Batch;
use crate::engine::deadline::Deadline;
use crate::engine::instance::Engine;
use crate::engine::scored_input::ScoredInput;
use crate::engine::settings::EngineSettings;
use crate::error::Result;
use crate::model::Artifact;
use crate::model::Dtype;
use crate::model::Forward;
use crate::model::HubSettings;
use crate::model::LoadSettings;
use crate::model::Logits;
use crate::model::Model;
use crate::model::Overrides;
use crate::model::Placement;
use crate::model::Source;
use crate::text::Limits;
use crate::text::Text;

/// A fake forward pass.
#[derive(Debug)]
pub(in crate::engine) enum Fake {
    Zeros,
    Panics,
    /// Blocks until a message arrives or the sender is dropped.
    Waits(Mutex<mpsc::Receiver<()>>),
}

impl Forward for Fake {
    fn forward(&self, batch: &Batch) -> Result<Logits> {
        match self {
            Self::Zeros => {}
            Self::Panics => panic!("a panic on purpose"),
            Self::Waits(opened) => _ = opened.lock().unwrap().recv(),
        }
        Ok(Logits(Array2::zeros((batch.n_windows(), 4))))
    }
}

/// Starts an engine in a group of its own.
pub(in crate::engine) fn engine(fake: Fake) -> Arc<Engine> {
    Arc::new(Engine::start(model(fake), SETTINGS, Arc::default()).unwrap())
}

/// Loads the tiny model, with a fake forward pass.
pub(in crate::engine) fn model(fake: Fake) -> Model {
    let settings = LoadSettings {
        placement: Placement::Cpu,
        dtype: Dtype::F32,
        threads: 1,
        replicas: 1,
        overlap: 64,
        normalise: false,
    };
    let artifact = Artifact::open(&source(), Overrides::default(), HubSettings::offline());
    let model = Model::load(artifact.unwrap(), &settings).unwrap();
    Model { replicas: vec![Box::new(fake)], warm_up: None, ..model }
}

pub(in crate::engine) fn source() -> Source {
    Source::Folder(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny-bert").into())
}

pub(in crate::engine) fn texts(text: &str) -> Vec<Text> {
    Text::all(vec![text.into()], &Limits { max_texts: 1, max_chars: 1000 }).unwrap()
}

/// Returns a text of `n_tokens` tokens or slightly more.
pub(in crate::engine) async fn text_of_tokens(engine: &Engine, n_tokens: usize) -> String {
    for n_words in 1.. {
        let text = "tea ".repeat(n_words);
        if engine.score(texts(&text), None).await.unwrap()[0].n_tokens >= n_tokens {
            return text;
        }
    }
    unreachable!("a longer text has more tokens")
}

pub(in crate::engine) fn spawn(
    engine: &Arc<Engine>,
    text: &str,
) -> JoinHandle<Result<Vec<ScoredInput>>> {
    let (engine, texts) = (Arc::clone(engine), texts(text));
    tokio::spawn(async move { engine.score(texts, Some(in_time())).await })
}

pub(in crate::engine) fn in_time() -> Deadline {
    Deadline::after(Duration::from_mins(1))
}

pub(in crate::engine) const SETTINGS: EngineSettings = EngineSettings {
    batch_tokens: 512,
    queue_tokens: 40,
    queue_time: Duration::MAX,
    max_request_tokens: 40,
    tokenize_permits: 2,
    span_tokens: 0,
};
