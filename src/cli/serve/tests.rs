use std::ffi::OsString;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

use super::*;
use crate::batch::Batch;
use crate::cli::args::Args;
use crate::cli::args::Command;
use crate::engine::Engine;
use crate::model::Artifact;
use crate::model::Forward;
use crate::model::Logits;
use crate::model::Model;
use crate::model::Overrides;

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_the_model_fails_the_request_and_ends_the_process_with_an_internal_error() {
    let args = serve_args();
    let (connections, drain) =
        (ConnectionSettings::from_args(&args.connections), Drain::from_args(&args));
    let settings = HttpSettings::from_args(&args, None, None, None);
    let config = engine_config(args, HubSettings::offline()).unwrap();
    let metrics = Arc::new(Metrics::new());
    let names = config.names();
    let app = App::with_models(settings, Arc::clone(&metrics), Lifecycle::new(), names);
    let engine = panicking_engine(&config, metrics);
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let listener = Listener::new(socket, connections, None);
    let (_signals, signal) = watch::channel(0);
    let supervisor = Supervisor::find(&Environment::from_process());
    let serving = tokio::spawn(serve(listener, app.clone(), config, drain, signal, supervisor));
    app.lifecycle().reached(Phase::Ready).await;
    app.models().default_slot().swap(Arc::new(engine), None);

    let body = r#"{"input": "good morning"}"#;
    let mut client = TcpStream::connect(address).await.unwrap();
    let head = "POST /v1/score HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
    let length = body.len();
    let request =
        format!("{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 500"), "{response}");
    assert!(response.contains("engine_stopped"), "{response}");

    let result = tokio::time::timeout(TIMEOUT, serving).await.unwrap().unwrap();
    let fault = result.unwrap_err();
    assert!(matches!(fault, Error::Stopped), "{fault:?}");
    assert_eq!(ExitCode::from(&fault), ExitCode::Internal);
    assert_eq!(app.lifecycle().phase(), Phase::Draining);
}

fn serve_args() -> ServeArgs {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny-bert");
    let arguments = ["moderato", "serve", "--model", model].map(OsString::from);
    let args = Args::read(arguments, &Environment::from_process()).unwrap();
    match args.command {
        Command::Serve(args) => *args,
        other => panic!("{other:?}"),
    }
}

/// Creates an engine whose model panics on the first request.
fn panicking_engine(config: &EngineConfig, metrics: Arc<Metrics>) -> Engine {
    let source = &config.models[0].source;
    let artifact = Artifact::open(source, Overrides::default(), HubSettings::offline()).unwrap();
    let model = Model::load(artifact, &config.loader.load).unwrap();
    let replicas: Vec<Box<dyn Forward>> = vec![Box::new(Panicking)];
    Engine::join(Model { replicas, ..model }, &config.loader.group, metrics).unwrap()
}

#[derive(Debug)]
struct Panicking;

impl Forward for Panicking {
    fn forward(&self, _: &Batch) -> Result<Logits> {
        panic!("a panic on purpose")
    }
}

/// Timeout for a test that would otherwise hang.
const TIMEOUT: Duration = Duration::from_mins(1);
