//! The listener: which connections are let in, and how long each may take for what.

mod answer;
mod drive;
mod progress;
mod tls;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::sync::watch;
use tracing::warn;

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
    tcp: TcpListener,
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
    pub fn new(tcp: TcpListener, settings: ConnectionSettings, tls: Option<Tls>) -> Self {
        Self { tcp, settings, tls }
    }

    /// Serves connections until `stop`; from then on each may finish the request that it is at.
    /// Resolves when the last connection has ended.
    pub(super) async fn serve(
        self,
        router: Router,
        metrics: Arc<Metrics>,
        stop: impl Future<Output = ()>,
    ) {
        let Self { tcp, settings, tls } = self;
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
                accepted = tcp.accept() => house.receive(accepted).await,
            }
        }
        drain.send_replace(true);
        // Whom the system has let in, or is about to, is answered too.
        shut_the_door(&tcp);
        let mut handshakes = pin!(tokio::time::sleep(LINGER));
        loop {
            tokio::select! {
                () = &mut handshakes => break,
                accepted = tcp.accept() => house.receive(accepted).await,
            }
        }
        for accepted in backlog(tcp) {
            house.receive(accepted).await;
        }
        let n_places = u32::try_from(n_places).unwrap_or(u32::MAX);
        // Never closed, so it only ends with all places free.
        let _all = places.acquire_many(n_places).await;
    }
}

impl House {
    async fn receive(&self, accepted: std::io::Result<(TcpStream, SocketAddr)>) {
        let stream = match accepted {
            Ok((stream, _)) => stream,
            // It has ended before it began.
            Err(fault) if is_of_the_client(&fault) => return,
            Err(fault) => {
                // Of files, as a rule; those that close make room.
                warn!("a connection could not be accepted: {fault}");
                self.metrics.connection_refused("accept_failed");
                tokio::time::sleep(AFTER_FAULT).await;
                return;
            }
        };
        // Answers are small, and nothing comes after them.
        let _ = stream.set_nodelay(true);
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

    async fn handle(self, stream: TcpStream) {
        let Some(tls) = self.tls.clone() else {
            return drive::serve(&self, stream).await;
        };
        match tokio::time::timeout(self.settings.header_timeout, tls.accept(stream)).await {
            Ok(Ok(stream)) => drive::serve(&self, stream).await,
            Ok(Err(_)) | Err(_) => self.metrics.connection_refused("tls_failed"),
        }
    }
}

/// Connections that wait to be accepted; the socket ends with them. The system is asked itself: what
/// the runtime knows of a socket is a moment old.
fn backlog(tcp: TcpListener) -> impl Iterator<Item = std::io::Result<(TcpStream, SocketAddr)>> {
    let tcp = tcp.into_std().inspect_err(|fault| warn!("who waits is not answered: {fault}")).ok();
    std::iter::from_fn(move || match tcp.as_ref()?.accept() {
        Err(fault) if !is_of_the_client(&fault) => None,
        accepted => Some(accepted.and_then(|(stream, address)| {
            stream.set_nonblocking(true)?;
            Ok((TcpStream::from_std(stream)?, address))
        })),
    })
}

/// Has the system begin no new connection, so that nobody comes between the last look at who waits
/// and the end of the socket, who would take us for one that answers. They hear nothing at first,
/// and are refused when they knock again, a second later. Those that have begun get through.
#[cfg(target_os = "linux")]
fn shut_the_door(tcp: &TcpListener) {
    use socket2::SockFilter;

    // In the words of bpf(4), of a TCP header.
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_IF_SET: u16 = 0x45;
    const RETURN: u16 = 0x06;
    let drop_what_begins = [
        SockFilter::new(LOAD_BYTE, 0, 0, FLAGS),
        SockFilter::new(JUMP_IF_SET, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ];
    if let Err(fault) = socket2::SockRef::from(tcp).attach_filter(&drop_what_begins) {
        warn!("whoever connects at this moment may find no answer: {fault}");
    }
}

#[cfg(not(target_os = "linux"))]
fn shut_the_door(_: &TcpListener) {}

fn is_of_the_client(fault: &std::io::Error) -> bool {
    use ErrorKind::ConnectionAborted;
    use ErrorKind::ConnectionRefused;
    use ErrorKind::ConnectionReset;

    matches!(fault.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
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
