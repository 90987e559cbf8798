//! What several test modules need: the fixture, the program, an engine with a fake model.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use moderato::engine::Engine;
use moderato::engine::EngineSettings;
use moderato::http::App;
use moderato::http::ConnectionSettings;
use moderato::http::HttpSettings;
use moderato::http::Listener;
use moderato::lifecycle::Lifecycle;
use moderato::lifecycle::Phase;
use moderato::metrics::Metrics;
use moderato::model::Artifact;
use moderato::model::Dtype;
use moderato::model::Forward;
use moderato::model::HubSettings;
use moderato::model::LoadSettings;
use moderato::model::Model;
use moderato::model::Overrides;
use moderato::model::OwnPolicy;
use moderato::model::Placement;
use moderato::model::Source;
use moderato::text::Limits;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use tempfile::TempDir;
use tokio::net::TcpListener;

/// A file below the root of the repository.
pub(crate) fn repo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The tiny random model: 4 labels, windows of 128 tokens.
pub(crate) fn tiny() -> PathBuf {
    repo("tests/fixtures/tiny-bert")
}

/// A policy of the tiny model with two categories, one of two labels and with a clause that has a
/// label, and with names that take it.
pub(crate) const CLAUSES: &str = r#"
    id = "clauses"
    name = "A policy with clauses"
    version = "1"
    [[categories]]
    id = "abuse"
    labels = ["insult", "spam"]
    title = "Abuse"
    summary = ""
    threshold = 0.0
    action = "flag"
    clauses = [
        { id = "any", text = "No abuse." },
        { id = "threats", text = "No threats.", label = "threat" },
    ]
    [[categories]]
    id = "adverts"
    label = "leak"
    title = "Adverts"
    summary = ""
    threshold = 1.0
    action = "block"
    clauses = [{ id = "leaks", text = "No leaks.", label = "leak" }]
    [[namespaces]]
    id = "theirs"
    models = ["theirs"]
    names = [
        { name = "harassment", relation = "derived", from = ["abuse"] },
        { name = "threat", relation = "exact", from = ["threat"], threshold = 0.0 },
        { name = "both", relation = "partly", all_of = ["abuse", "adverts"] },
    ]
"#;

/// A copy of the tiny model that a test may damage.
pub(crate) fn tiny_copy() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(tiny()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

/// The program itself.
pub(crate) fn moderato() -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_moderato"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MODERATO_")) {
        command.env_remove(name);
    }
    command
}

/// The tiny model, loaded.
pub(crate) fn tiny_model() -> Model {
    load(&Source::Folder(tiny()))
}

/// The model in a folder, loaded.
pub(crate) fn model_of(folder: &Path) -> Model {
    load(&Source::Folder(folder.to_owned()))
}

/// The model that the binary carries, loaded.
pub(crate) fn embedded_model() -> Model {
    load(&Source::Embedded)
}

/// The tiny model under policies of its operator.
pub(crate) fn model_with_policies(policies: Vec<OwnPolicy>) -> Model {
    model_under(&tiny(), policies)
}

/// The model in a folder under policies of its operator.
pub(crate) fn model_under(folder: &Path, policies: Vec<OwnPolicy>) -> Model {
    load_under(&Source::Folder(folder.to_owned()), policies)
}

fn load(source: &Source) -> Model {
    load_under(source, Vec::new())
}

fn load_under(source: &Source, policies: Vec<OwnPolicy>) -> Model {
    let own = Overrides { policies, ..Overrides::default() };
    let artifact = Artifact::open(source, own, HubSettings::offline()).unwrap();
    Model::load(artifact, &LOAD).unwrap()
}

/// The model that the binary carries, loaded with settings of the caller.
pub(crate) fn embedded_model_with(settings: &LoadSettings) -> Model {
    let own = Overrides::default();
    let artifact = Artifact::open(&Source::Embedded, own, HubSettings::offline()).unwrap();
    Model::load(artifact, settings).unwrap()
}

/// The tiny model with another forward pass.
pub(crate) fn model_with(forward: impl Forward + 'static) -> Model {
    Model { replicas: vec![Box::new(forward)], warm_up: None, ..tiny_model() }
}

/// Settings that fit all tests.
pub(crate) const LOAD: LoadSettings = LoadSettings {
    placement: Placement::Cpu,
    dtype: Dtype::F32,
    threads: 2,
    replicas: 1,
    overlap: 64,
    normalise: true,
};

/// Settings that fit all tests but those of the limits.
pub(crate) const ENGINE: EngineSettings = EngineSettings {
    batch_tokens: 512,
    queue_tokens: 65_536,
    queue_time: Duration::MAX,
    max_request_tokens: 16_384,
    encode_threads: 2,
    span_tokens: 8192,
};

/// Settings that fit all tests but those of the limits.
pub(crate) const HTTP: HttpSettings = HttpSettings {
    limits: Limits { max_texts: 8, max_chars: 20_000 },
    max_body_bytes: 100_000,
    timeout: Duration::from_mins(1),
    ignore_images: false,
    access: None,
    audit: None,
    traces: None,
};

/// A socket with the limits of the program.
pub(crate) fn listener(tcp: TcpListener) -> Listener {
    Listener::new(tcp, ConnectionSettings::default(), None)
}

/// A service that is ready, over a model.
pub(crate) fn app(model: Model) -> App {
    app_with(model, ENGINE, HTTP)
}

/// The same with settings of its own.
pub(crate) fn app_with(model: Model, engine: EngineSettings, http: HttpSettings) -> App {
    let metrics = Arc::new(Metrics::new());
    let app = App::new(http, Arc::clone(&metrics), Lifecycle::new());
    app.install(Engine::start(model, engine, metrics).unwrap());
    app.lifecycle().enter(Phase::Ready);
    app
}

/// A service that is ready for its first model.
pub(crate) fn starting() -> App {
    App::new(HTTP, Arc::new(Metrics::new()), Lifecycle::new())
}

/// Puts another classifier into a folder, without weights: its logits are these biases.
pub(crate) fn replace_head(folder: &Path, biases: &[f32]) {
    let file = folder.join("model.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let width = tensors.tensor("classifier.weight").unwrap().shape()[1];
    let zeros = vec![0; biases.len() * width * 4];
    let biases: Vec<[u8; 4]> = biases.iter().map(|bias| bias.to_le_bytes()).collect();
    let tensor = |shape: Vec<usize>, bytes| TensorView::new(safetensors::Dtype::F32, shape, bytes);
    let head = [
        ("classifier.weight", tensor(vec![biases.len(), width], &zeros).unwrap()),
        ("classifier.bias", tensor(vec![biases.len()], biases.as_flattened()).unwrap()),
    ];
    let mut all: BTreeMap<_, _> = tensors.tensors().into_iter().collect();
    all.extend(head.map(|(name, tensor)| (name.to_owned(), tensor)));
    safetensors::serialize_to_file(all, None, &file).unwrap();
}

/// Splits the weights of a folder over two files with an index.
pub(crate) fn shard(folder: &Path) {
    let single = folder.join("model.safetensors");
    let bytes = std::fs::read(&single).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let files = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let mut weight_map = serde_json::Map::new();
    for (place, file) in files.iter().enumerate() {
        let mut part = tensors.tensors();
        part.sort_by(|one, other| one.0.cmp(&other.0));
        let part: Vec<_> = part.into_iter().skip(place).step_by(2).collect();
        weight_map.extend(part.iter().map(|(name, _)| (name.clone(), (*file).into())));
        safetensors::serialize_to_file(part, None, &folder.join(file)).unwrap();
    }
    let index = serde_json::json!({ "metadata": {}, "weight_map": weight_map });
    std::fs::write(folder.join("model.safetensors.index.json"), index.to_string()).unwrap();
    std::fs::remove_file(single).unwrap();
}
