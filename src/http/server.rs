//! The listener: accepts connections and enforces their limits and timeouts.

mod answer;
mod drive;
mod progress;
mod socket;
mod tls;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::sync::Semaphore;
use tokio::sync::watch;
use tracing::warn;

pub use self::socket::Socket;
use self::socket::Stream;
use self::socket::is_client_abort;
pub use self::tls::Tls;
use crate::http::problem::Problem;
use crate::metrics::Metrics;

/// Limits and timeouts of connections.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionSettings {
    /// Maximum number of open connections.
    pub max_connections: usize,
    /// Maximum size of the request line and headers in bytes.
    pub max_header_bytes: usize,
    /// Maximum time for each of: a TLS handshake, the arrival of the first byte of a new
    /// connection, and the arrival of a request's headers after their first byte.
    pub header_timeout: Duration,
    /// Maximum time between a response and the next request.
    pub idle_timeout: Duration,
    /// Maximum time that sending a response may block because the client does not read it.
    pub write_timeout: Duration,
}

impl Default for ConnectionSettings {
    fn default() -> Self {
        Self {
            max_connections: 4096,
            max_header_bytes: 16_384,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
        }
    }
}

/// A listening socket and the settings of its connections.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    settings: ConnectionSettings,
    tls: Option<Tls>,
}

/// The state that all connections of a listener share.
#[derive(Debug, Clone)]
struct ConnectionContext {
    router: Router,
    settings: ConnectionSettings,
    tls: Option<Tls>,
    metrics: Arc<Metrics>,
    permits: Arc<Semaphore>,
    refusals: Arc<Semaphore>, // a refused connection stays open until its response is sent
    shutdown: watch::Receiver<Shutdown>,
}

/// The stage of the listener's shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shutdown {
    /// The shutdown has not begun.
    Serving,
    /// Every response closes its connection; idle connections may still send a request.
    Draining,
    /// Idle connections are closed.
    Closing,
}

impl Listener {
    /// Creates a listener on a socket, with TLS if `tls` is given.
    pub fn new(socket: impl Into<Socket>, settings: ConnectionSettings, tls: Option<Tls>) -> Self {
        Self { socket: socket.into(), settings, tls }
    }

    /// Serves connections until `stop` resolves; open connections may then finish their current
    /// request.
    ///
    /// Returns when the last connection has ended.
    pub(super) async fn serve(
        self,
        router: Router,
        metrics: Arc<Metrics>,
        stop: impl Future<Output = ()>,
    ) {
        let Self { socket, settings, tls } = self;
        let n_permits = settings.max_connections.min(MAX_CONNECTIONS);
        let permits = Arc::new(Semaphore::new(n_permits));
        let refusals = Arc::new(Semaphore::new(MAX_REFUSALS));
        let (sender, shutdown) = watch::channel(Shutdown::Serving);
        let server = ConnectionContext {
            router,
            settings,
            tls,
            metrics,
            permits: Arc::clone(&permits),
            refusals,
            shutdown,
        };
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                accepted = socket.accept() => server.receive(accepted).await,
            }
        }
        sender.send_replace(Shutdown::Draining);
        if !socket.outlives_process() {
            for accepted in socket.close() {
                server.receive(accepted).await;
            }
        }
        let n_permits = u32::try_from(n_permits).unwrap_or(u32::MAX);
        // The semaphore is never closed, so this completes only when every connection has ended.
        let mut ended = pin!(permits.acquire_many(n_permits));
        if tokio::time::timeout(IDLE_DRAIN_TIME, &mut ended).await.is_err() {
            sender.send_replace(Shutdown::Closing);
            let _all = ended.await;
        }
    }
}

impl ConnectionContext {
    async fn receive(&self, accepted: std::io::Result<Stream>) {
        match accepted {
            Ok(Stream::Tcp(stream)) => {
                // Responses are small and nothing follows them, so Nagle's algorithm would only add
                // latency.
                let _ = stream.set_nodelay(true);
                self.admit(stream);
            }
            #[cfg(unix)]
            Ok(Stream::Unix(stream)) => self.admit(stream),
            // The client closed the connection before it was accepted.
            Err(fault) if is_client_abort(&fault) => {}
            Err(fault) => {
                // Usually the process has run out of file descriptors; closing connections release
                // some.
                warn!("a connection could not be accepted: {fault}");
                self.metrics.count_refused_connection("accept_failed");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }

    /// Serves a connection, or refuses it if too many are open.
    fn admit<S>(&self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            let (server, guard) = (self.clone(), self.metrics.track_connection());
            tokio::spawn(async move {
                server.handle(stream).await;
                drop((permit, guard));
            });
            return;
        }
        self.metrics.count_refused_connection("too_many_connections");
        let refusal = Arc::clone(&self.refusals).try_acquire_owned();
        if let (Ok(refusal), None) = (refusal, &self.tls) {
            let server = self.clone();
            tokio::spawn(async move {
                server.refuse(stream, Problem::too_many_connections()).await;
                drop(refusal);
            });
        }
    }

    async fn handle<S>(self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Some(tls) = self.tls.clone() else {
            return drive::serve(&self, stream).await;
        };
        match tokio::time::timeout(self.settings.header_timeout, tls.accept(stream)).await {
            Ok(Ok(stream)) => drive::serve(&self, stream).await,
            Ok(Err(_)) | Err(_) => self.metrics.count_refused_connection("tls_failed"),
        }
    }
}

/// How long idle connections stay open while draining: a client may send a request before it
/// learns that the server is shutting down.
const IDLE_DRAIN_TIME: Duration = Duration::from_millis(200);
/// Well below the number of permits that a semaphore can hold on any platform.
const MAX_CONNECTIONS: usize = 1 << 24;
/// Maximum number of refusals sent concurrently; further connections are closed without a response.
const MAX_REFUSALS: usize = 64;
/// The pause after a failed accept: long enough not to spin, short enough to go unnoticed.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);
