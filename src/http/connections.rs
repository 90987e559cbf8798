//! The listener: which connections are let in, and how long each may take for what.

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
use self::socket::is_of_the_client;
pub use self::tls::Tls;
use crate::http::problem::Problem;
use crate::metrics::Metrics;

/// What connections may take.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionSettings {
    /// How many may be open.
    pub max_connections: usize,
    /// Bytes of a request before its body.
    pub max_header_bytes: usize,
    /// From the first byte of a request to the end of its headers; from accepting a connection to
    /// its first byte; for a TLS handshake.
    pub header_timeout: Duration,
    /// From an answer to the next request.
    pub idle_timeout: Duration,
    /// For taking an answer, from when it no longer fits between us and the client.
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

/// A socket that listens, and what connections on it may take.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    settings: ConnectionSettings,
    tls: Option<Tls>,
}

/// What all connections of a listener share.
#[derive(Debug, Clone)]
struct House {
    router: Router,
    settings: ConnectionSettings,
    tls: Option<Tls>,
    metrics: Arc<Metrics>,
    places: Arc<Semaphore>,
    refusals: Arc<Semaphore>, // a refusal is a connection too, for a moment
    draining: watch::Receiver<bool>,
}

impl Listener {
    /// A socket whose connections may take so much; with TLS if there is any.
    pub fn new(socket: impl Into<Socket>, settings: ConnectionSettings, tls: Option<Tls>) -> Self {
        Self { socket: socket.into(), settings, tls }
    }

    /// Serves connections until `stop`; from then on each may finish the request that it is at.
    /// Resolves when the last connection has ended.
    pub(super) async fn serve(
        self,
        router: Router,
        metrics: Arc<Metrics>,
        stop: impl Future<Output = ()>,
    ) {
        let Self { socket, settings, tls } = self;
        let n_places = settings.max_connections.min(MOST_CONNECTIONS);
        let places = Arc::new(Semaphore::new(n_places));
        let refusals = Arc::new(Semaphore::new(MOST_REFUSALS));
        let (drain, draining) = watch::channel(false);
        let house = House {
            router,
            settings,
            tls,
            metrics,
            places: Arc::clone(&places),
            refusals,
            draining,
        };
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                accepted = socket.accept() => house.receive(accepted).await,
            }
        }
        drain.send_replace(true);
        if !socket.outlives_us() {
            house.receive_last(socket).await;
        }
        let n_places = u32::try_from(n_places).unwrap_or(u32::MAX);
        // Never closed, so it only ends with all places free.
        let _all = places.acquire_many(n_places).await;
    }
}

impl House {
    /// Ends a socket. Connections that wait in its backlog are answered too.
    async fn receive_last(&self, socket: Socket) {
        socket.shut();
        let mut handshakes = pin!(tokio::time::sleep(LINGER));
        loop {
            tokio::select! {
                () = &mut handshakes => break,
                accepted = socket.accept() => self.receive(accepted).await,
            }
        }
        for accepted in socket.backlog() {
            self.receive(accepted).await;
        }
    }

    async fn receive(&self, accepted: std::io::Result<Stream>) {
        match accepted {
            Ok(Stream::Tcp(stream)) => {
                // Answers are small, and nothing comes after them.
                let _ = stream.set_nodelay(true);
                self.admit(stream);
            }
            #[cfg(unix)]
            Ok(Stream::Unix(stream)) => self.admit(stream),
            // It has ended before it began.
            Err(fault) if is_of_the_client(&fault) => {}
            Err(fault) => {
                // Of files, as a rule; those that close make room.
                warn!("a connection could not be accepted: {fault}");
                self.metrics.connection_refused("accept_failed");
                tokio::time::sleep(AFTER_FAULT).await;
            }
        }
    }

    /// Serves a connection if there is a place for it.
    fn admit<S>(&self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            let (house, guard) = (self.clone(), self.metrics.connection());
            tokio::spawn(async move {
                house.handle(stream).await;
                drop((place, guard));
            });
            return;
        }
        self.metrics.connection_refused("too_many_connections");
        let refusal = Arc::clone(&self.refusals).try_acquire_owned();
        if let (Ok(refusal), None) = (refusal, &self.tls) {
            let house = self.clone();
            tokio::spawn(async move {
                house.refuse(stream, Problem::too_many_connections()).await;
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
            Ok(Err(_)) | Err(_) => self.metrics.connection_refused("tls_failed"),
        }
    }
}

/// While draining: for connections that have begun, and for requests on idle ones. To a client all is
/// as ever until it hears otherwise.
const LINGER: Duration = Duration::from_millis(200);
/// Well below what a semaphore can count, on any machine.
const MOST_CONNECTIONS: usize = 1 << 24;
/// Beyond them, who is refused is not told why.
const MOST_REFUSALS: usize = 64;
/// Long enough not to spin, short enough that nobody notices.
const AFTER_FAULT: Duration = Duration::from_millis(100);
