//! Shared test support: the fixture model, the program, an engine with a fake model.

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
use moderato::model::Placement;
use moderato::model::PolicyFile;
use moderato::model::Source;
use moderato::text::Limits;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use tempfile::TempDir;
use tokio::net::TcpListener;

/// Returns the path of a file, relative to the root of the repository.
pub(crate) fn repo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Returns the folder of the tiny random model: 4 labels, windows of 128 tokens.
pub(crate) fn tiny() -> PathBuf {
    repo("tests/fixtures/tiny-bert")
}

/// A policy for the tiny model with two categories, one of them with two labels, each with a clause
/// that has a label, and with names that use labels.
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

/// Copies the tiny model to a folder that a test may damage.
pub(crate) fn tiny_copy() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(tiny()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

/// Returns a command that runs the program without inherited settings.
pub(crate) fn moderato() -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_moderato"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MODERATO_")) {
        command.env_remove(name);
    }
    command
}

/// Loads the tiny model.
pub(crate) fn tiny_model() -> Model {
    load(&Source::Folder(tiny()))
}

/// Loads the model in a folder.
pub(crate) fn model_of(folder: &Path) -> Model {
    load(&Source::Folder(folder.to_owned()))
}

/// Loads the embedded model.
pub(crate) fn embedded_model() -> Model {
    load(&Source::Embedded)
}

/// Loads the tiny model with the operator's policies.
pub(crate) fn model_with_policies(policies: Vec<PolicyFile>) -> Model {
    model_under(&tiny(), policies)
}

/// Loads the model in a folder with the operator's policies.
pub(crate) fn model_under(folder: &Path, policies: Vec<PolicyFile>) -> Model {
    load_under(&Source::Folder(folder.to_owned()), policies)
}

fn load(source: &Source) -> Model {
    load_under(source, Vec::new())
}

fn load_under(source: &Source, policies: Vec<PolicyFile>) -> Model {
    let own = Overrides { policies, ..Overrides::default() };
    let artifact = Artifact::open(source, own, HubSettings::offline()).unwrap();
    Model::load(artifact, &LOAD).unwrap()
}

/// Loads the embedded model with the given settings.
pub(crate) fn embedded_model_with(settings: &LoadSettings) -> Model {
    let own = Overrides::default();
    let artifact = Artifact::open(&Source::Embedded, own, HubSettings::offline()).unwrap();
    Model::load(artifact, settings).unwrap()
}

/// Loads the tiny model with a different forward pass.
pub(crate) fn model_with(forward: impl Forward + 'static) -> Model {
    Model { replicas: vec![Box::new(forward)], warm_up: None, ..tiny_model() }
}

/// Settings that suit all tests.
pub(crate) const LOAD: LoadSettings = LoadSettings {
    placement: Placement::Cpu,
    dtype: Dtype::F32,
    threads: 2,
    replicas: 1,
    overlap: 64,
    normalise: true,
};

/// Settings that suit all tests except those of the limits.
pub(crate) const ENGINE: EngineSettings = EngineSettings {
    batch_tokens: 512,
    queue_tokens: 65_536,
    queue_time: Duration::MAX,
    max_request_tokens: 16_384,
    tokenize_permits: 2,
    span_tokens: 8192,
};

/// Settings that suit all tests except those of the limits.
pub(crate) const HTTP: HttpSettings = HttpSettings {
    limits: Limits { max_texts: 8, max_chars: 20_000 },
    max_body_bytes: 100_000,
    timeout: Duration::from_mins(1),
    media: moderato::http::Media::Refused,
    access: None,
    audit: None,
    traces: None,
};

/// Returns a listener with the default limits of the program.
pub(crate) fn listener(tcp: TcpListener) -> Listener {
    Listener::new(tcp, ConnectionSettings::default(), None)
}

/// Creates a ready service with a model.
pub(crate) fn app(model: Model) -> App {
    app_with(model, ENGINE, HTTP)
}

/// Creates a ready service with a model and the given settings.
pub(crate) fn app_with(model: Model, engine: EngineSettings, http: HttpSettings) -> App {
    let metrics = Arc::new(Metrics::new());
    let app = App::new(http, Arc::clone(&metrics), Lifecycle::new());
    app.install(Engine::start(model, engine, metrics).unwrap());
    app.lifecycle().enter(Phase::Ready);
    app
}

/// Creates a service that waits for its first model.
pub(crate) fn starting() -> App {
    App::new(HTTP, Arc::new(Metrics::new()), Lifecycle::new())
}

/// Replaces the classifier in a folder with one of zero weights, whose logits are `biases`.
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

/// Splits the weights in a folder into two shards with an index.
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
