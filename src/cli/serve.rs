//! `moderato serve`: bind, load, serve, drain.

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;
use std::time::Instant;

use tokio::sync::oneshot;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::error;
use tracing::info;
use tracing::warn;

use crate::cli::ExitCode;
use crate::cli::allocator;
use crate::cli::args::AccessArgs;
use crate::cli::args::ConnectionArgs;
use crate::cli::args::ServeArgs;
use crate::cli::config::EngineConfig;
use crate::cli::config::QueueLimits;
use crate::cli::environment::Environment;
use crate::cli::inherited::Inherited;
use crate::cli::listen::ListenAddresses;
use crate::cli::reload::Reloader;
use crate::cli::reload::WatchedFiles;
use crate::cli::supervisor::Supervisor;
use crate::cli::telemetry;
use crate::error::Error;
use crate::error::Result;
use crate::http;
use crate::http::Access;
use crate::http::App;
use crate::http::Audit;
use crate::http::AuditSettings;
use crate::http::ConnectionSettings;
use crate::http::Drain;
use crate::http::HttpSettings;
use crate::http::KeyFile;
use crate::http::Listener;
use crate::http::Socket;
use crate::http::Tls;
use crate::http::Traces;
use crate::lifecycle;
use crate::lifecycle::Lifecycle;
use crate::lifecycle::Phase;
use crate::lifecycle::Reloads;
use crate::lifecycle::Repetitions;
use crate::lifecycle::Terminations;
use crate::metrics::DroppedLines;
use crate::metrics::Metrics;
use crate::model::HubSettings;

/// The state of the process besides its arguments.
pub(super) struct Process<'a> {
    pub(super) environment: &'a Environment,
    pub(super) inherited: Inherited,
    pub(super) dropped_lines: DroppedLines, // of the log
}

pub(super) async fn run(
    args: ServeArgs,
    hub: HubSettings,
    process: Process<'_>,
) -> Result<ExitCode> {
    allocator::tune();
    let Process { environment, mut inherited, dropped_lines } = process;
    let metrics = Arc::new(Metrics::with_dropped_lines(&dropped_lines));
    let keys = open_keys(&args.access, &metrics)?;
    let access =
        keys.as_ref().map(|keys| Access::from_args(&args.access, keys.keyring())).transpose()?;
    let audit = AuditSettings::from_args(&args.audit);
    let audit = audit.map(|log| Audit::open(log, Arc::clone(&metrics))).transpose()?;
    let traces = telemetry::traces(&args.traces, environment)?;
    let tls = open_tls(&args.connections)?;
    let addresses = ListenAddresses::resolve(&args, &mut inherited).await?;
    addresses.check_admin(access.is_some() && tls.is_some())?;
    let (terminations, reloads) = handle_signals()?;
    let settings = HttpSettings::from_args(&args, access, audit.clone(), traces.clone());
    let (drain, connections) =
        (Drain::from_args(&args), ConnectionSettings::from_args(&args.connections));
    let config = engine_config(args, hub)?;
    let (clients, admin) = addresses.bind().await?;
    warn_if_open(&clients, keys.as_ref());
    let listener = |socket: Socket| Listener::new(socket, connections, tls.clone());
    let app = App::with_models(settings, Arc::clone(&metrics), Lifecycle::new(), config.names());
    let files = WatchedFiles { keys, tls: tls.clone(), metrics: Arc::clone(&metrics) };
    tokio::spawn(files.clone().watch());
    let supervisor = Supervisor::find(environment);
    let (loader, notifier) = (config.loader.clone(), supervisor.clone());
    let reloader = Reloader { files, app: app.clone(), loader, supervisor: notifier };
    tokio::spawn(reloader.follow(reloads));
    let mut admins = JoinSet::new();
    if let Some(socket) = admin {
        admins.spawn(http::serve_admin(listener(socket), app.clone(), config.loader.clone()));
    }
    let done = serve(listener(clients), app, config, drain, count(terminations), supervisor).await;
    // Also removes the file of the admin socket, if there is one.
    admins.shutdown().await;
    close(audit, traces).await;
    done.map(exit_code)
}

/// Logs whether every accepted request was answered, and returns the exit code that says so.
fn exit_code(all_answered: bool) -> ExitCode {
    if !all_answered {
        error!("some requests were not answered before the end");
        return ExitCode::OutOfGrace;
    }
    info!("every accepted request was answered");
    ExitCode::Success
}

fn open_keys(args: &AccessArgs, metrics: &Arc<Metrics>) -> Result<Option<KeyFile>> {
    let path = args.api_keys_file.as_deref();
    path.map(|path| KeyFile::open(path, Arc::clone(metrics))).transpose()
}

/// Installs the handlers of signals.
fn handle_signals() -> Result<(Terminations, Reloads)> {
    let refuse =
        |fault: std::io::Error| Error::Config { name: "signals", reason: fault.to_string() };
    Ok((lifecycle::terminations().map_err(refuse)?, lifecycle::reloads().map_err(refuse)?))
}

fn warn_if_open(clients: &Socket, keys: Option<&KeyFile>) {
    if keys.is_none() && !clients.is_local() {
        warn!("anyone who can reach this address may use the server: there is no --api-keys-file");
    }
}

/// Serves until a signal or an engine failure, then drains; returns whether every request was
/// answered in time.
async fn serve(
    listener: Listener,
    app: App,
    config: EngineConfig,
    drain: Drain,
    signals: watch::Receiver<usize>,
    supervisor: Supervisor,
) -> Result<bool> {
    let (failed, failure) = oneshot::channel();
    tokio::spawn(run_engine(config, app.clone(), supervisor.clone(), failed));
    let fault = Arc::new(OnceLock::new());
    let shutdown = wait_for_end(signals.clone(), failure, Arc::clone(&fault), supervisor);
    let in_time = tokio::select! {
        in_time = http::serve(listener, app, drain, shutdown) => in_time,
        () = reached(signals, 2) => false,
    };
    fault.get().map_or(Ok(in_time), |fault| Err(Error::clone(fault)))
}

/// Opens the certificates and their key, if they are given.
fn open_tls(args: &ConnectionArgs) -> Result<Option<Tls>> {
    match (&args.tls_cert, &args.tls_key) {
        (Some(certificates), Some(key)) => Tls::open(certificates, key).map(Some),
        // Clap requires both or neither.
        _ => Ok(None),
    }
}

fn engine_config(args: ServeArgs, hub: HubSettings) -> Result<EngineConfig> {
    let queue = QueueLimits {
        n_tokens: args.max_queue_tokens.get(),
        time: Duration::from_millis(args.max_queue_ms),
    };
    let config = EngineConfig::new(args.model, &args.limits, queue, hub)?;
    Ok(config.with_span_tokens(args.max_span_tokens))
}

/// Writes the rest of the audit log and sends the remaining traces, after the last response.
async fn close(audit: Option<Audit>, traces: Option<Traces>) {
    if let Some(audit) = audit
        && !audit.close().await
    {
        error!("the audit log was not written to its end");
    }
    if let Some(traces) = traces {
        traces.close().await;
    }
}

/// Loads the models and waits for an engine to crash; returns only on an error, which is sent to
/// `failed`.
async fn run_engine(
    config: EngineConfig,
    app: App,
    supervisor: Supervisor,
    failed: oneshot::Sender<Error>,
) {
    let models = config.models.clone();
    let metrics = Arc::clone(app.metrics());
    let loading = tokio::task::spawn_blocking(move || config.start_all(&metrics));
    let fault = match loading.await {
        Ok(Ok(engines)) => {
            let slots = app.models().slots();
            for (slot, (engine, model)) in slots.iter().zip(engines.into_iter().zip(models)) {
                slot.swap(Arc::new(engine), Some(model.source));
            }
            app.lifecycle().enter(Phase::Ready);
            info!("ready");
            supervisor.ready();
            tokio::spawn(supervisor.keep_alive());
            app.models().crashed().await;
            Error::Stopped
        }
        Ok(Err(fault)) => fault,
        // Loading panicked; the panic hook has already logged the panic.
        Err(_) => Error::Stopped,
    };
    // The receiver is dropped only if the server has already ended.
    let _ = failed.send(fault);
}

/// Waits for a signal or an engine failure, which is stored in `fault`.
async fn wait_for_end(
    signals: watch::Receiver<usize>,
    failure: oneshot::Receiver<Error>,
    fault: Arc<OnceLock<Error>>,
    supervisor: Supervisor,
) {
    tokio::select! {
        () = reached(signals, 1) => {
            info!("draining");
            supervisor.stopping().await;
        }
        failure = failure => {
            let failure = failure.unwrap_or(Error::Stopped);
            error!(code = failure.code(), "the engine failed");
            fault.get_or_init(|| failure);
        }
    }
}

/// Counts termination signals, ignoring repetitions: the first starts the drain, the second ends
/// the process at once.
fn count(mut signals: Terminations) -> watch::Receiver<usize> {
    let (sender, receiver) = watch::channel(0);
    tokio::spawn(async move {
        let mut repetitions = Repetitions::default();
        loop {
            let signal = signals.next().await;
            let is_repetition = repetitions.has(Instant::now());
            info!(signal, is_repetition, "received a signal");
            if !is_repetition {
                sender.send_modify(|n_signals| *n_signals += 1);
            }
        }
    });
    receiver
}

async fn reached(mut signals: watch::Receiver<usize>, n_signals: usize) {
    if signals.wait_for(|&counted| counted >= n_signals).await.is_err() {
        // The counting task has ended: the runtime is shutting down.
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests;
