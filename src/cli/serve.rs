//! `moderato serve`: bind, load, serve, drain.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tracing::error;
use tracing::info;
use tracing::warn;

use crate::cli::ExitCode;
use crate::cli::args::ServeArgs;
use crate::cli::config::EngineConfig;
use crate::error::Error;
use crate::error::Result;
use crate::http;
use crate::http::Access;
use crate::http::App;
use crate::http::Drain;
use crate::http::HttpSettings;
use crate::http::KeyFile;
use crate::lifecycle;
use crate::lifecycle::Lifecycle;
use crate::lifecycle::Phase;
use crate::metrics::Metrics;
use crate::model::HubSettings;

pub(super) async fn run(args: ServeArgs, hub: HubSettings) -> Result<ExitCode> {
    let (drain, address) = (Drain::of(&args), args.listen);
    let metrics = Arc::new(Metrics::new());
    let keys = args.access.api_keys_file.as_deref();
    let keys = keys.map(|path| KeyFile::open(path, Arc::clone(&metrics))).transpose()?;
    let access = keys.as_ref().map(|keys| Access::of(&args.access, keys.keyring())).transpose()?;
    let settings = HttpSettings::of(&args, access);
    let config = EngineConfig::new(args.model, &args.limits, args.queue_tokens.get(), hub)?
        .with_span_tokens(args.span_tokens);
    let listen_error = |fault: std::io::Error| Error::Listen {
        address: address.to_string(),
        source: Arc::new(fault),
    };
    let termination = lifecycle::termination().map_err(listen_error)?;
    let listener = TcpListener::bind(address).await.map_err(listen_error)?;
    let bound = listener.local_addr().map_err(listen_error)?;
    info!(address = %bound, "listening");
    watch_over(keys, bound);

    let app = App::new(settings, Arc::clone(&metrics), Lifecycle::new());
    keep_up(&metrics);
    let (failed, failure) = oneshot::channel();
    tokio::spawn(run_engine(config, app.clone(), metrics, failed));
    let fault = Arc::new(OnceLock::new());
    let shutdown = wait_for_end(termination, failure, Arc::clone(&fault));
    let in_time = http::serve(listener, app, drain, shutdown).await.map_err(listen_error)?;
    if let Some(fault) = fault.get() {
        return Err(Error::clone(fault));
    }
    if !in_time {
        error!("some requests were not answered within the grace period");
        return Ok(ExitCode::OutOfGrace);
    }
    info!("every accepted request was answered");
    Ok(ExitCode::Success)
}

/// Follows the changes of the keys, or says what it means that there are none.
fn watch_over(keys: Option<KeyFile>, bound: SocketAddr) {
    match keys {
        Some(keys) => drop(tokio::spawn(keys.keep_fresh())),
        None if bound.ip().is_loopback() => {}
        None => warn!("whoever reaches this address may ask: there is no --api-keys-file"),
    }
}

/// Loads the model and watches over it; sends the fault that ends it, the only way it ends.
async fn run_engine(
    config: EngineConfig,
    app: App,
    metrics: Arc<Metrics>,
    failed: oneshot::Sender<Error>,
) {
    let loading = tokio::task::spawn_blocking(move || config.start(metrics));
    let fault = match loading.await {
        Ok(Ok(engine)) => {
            app.install(engine);
            app.lifecycle().enter(Phase::Ready);
            info!("ready");
            if let Ok(engine) = app.engine() {
                engine.stopped().await;
            }
            Error::Stopped
        }
        Ok(Err(fault)) => fault,
        // It panicked; the panic has been reported where it happened.
        Err(_) => Error::Stopped,
    };
    // Gone only if the server has ended meanwhile.
    let _ = failed.send(fault);
}

/// Waits for a signal or for the engine's fault, which it leaves behind.
async fn wait_for_end(
    termination: impl Future<Output = &'static str>,
    failure: oneshot::Receiver<Error>,
    fault: Arc<OnceLock<Error>>,
) {
    tokio::select! {
        signal = termination => info!(signal, "draining"),
        failure = failure => {
            let failure = failure.unwrap_or(Error::Stopped);
            error!(code = failure.code(), "the engine failed");
            fault.get_or_init(|| failure);
        }
    }
}

/// Keeps the buffers of the histograms small, also when nobody reads them.
fn keep_up(metrics: &Arc<Metrics>) {
    const EVERY: Duration = Duration::from_secs(5);
    let metrics = Arc::clone(metrics);
    tokio::spawn(async move {
        let mut interval = tokio::time::interval(EVERY);
        loop {
            interval.tick().await;
            metrics.maintain();
        }
    });
}
