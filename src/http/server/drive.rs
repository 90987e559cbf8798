//! Drives one connection from its first byte until it is closed.

use std::convert::Infallible;
use std::pin::Pin;
use std::pin::pin;
use std::task::Poll;

use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::response::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tower::ServiceExt;

use crate::http::problem::Problem;
use crate::http::server::ConnectionContext;
use crate::http::server::ConnectionSettings;
use crate::http::server::Shutdown;
use crate::http::server::progress::Overdue;
use crate::http::server::progress::Progress;
use crate::http::server::progress::TrackedBody;
use crate::http::server::progress::TrackedStream;

/// Why a connection ends.
enum End {
    /// The connection was closed normally.
    Closed,
    /// The connection stayed in one state for too long.
    Overdue(Overdue),
    /// The headers of a request were too large.
    TooLarge,
}

/// Serves the requests of a connection, one after the other.
pub(super) async fn serve<S>(server: &ConnectionContext, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let max_header_bytes = server.settings.max_header_bytes;
    let progress = Progress::new();
    let watched = TrackedStream { stream, progress: progress.clone(), max_header_bytes };
    let mut connection = http1::Builder::new()
        .max_headers(MAX_HEADERS)
        // Larger than `max_header_bytes`, which `TrackedStream` enforces with a proper error
        // response; the buffer may also hold part of a request's body.
        .max_buf_size(max_header_bytes.max(MIN_BUFFER_BYTES).saturating_mul(2))
        .serve_connection(TokioIo::new(watched), service(server, &progress));
    let end = drive(server, &mut connection, &progress).await;
    let stream = connection.into_parts().io.into_inner().stream;
    let metrics = &server.metrics;
    match end {
        End::Closed => server.close(stream).await,
        End::Overdue(Overdue::Idle) => {}
        End::Overdue(Overdue::Headers) => {
            metrics.count_refused_connection("headers_too_slow");
            let problem = Problem::headers_too_slow(server.settings.header_timeout);
            server.refuse(stream, problem).await;
        }
        End::Overdue(Overdue::Answer) => metrics.count_refused_connection("answer_not_taken"),
        End::TooLarge => {
            metrics.count_refused_connection("headers_too_large");
            server.refuse(stream, Problem::headers_too_large(max_header_bytes)).await;
        }
    }
}

/// Wraps the router in a service that marks the connection as busy while a request is answered.
fn service(
    server: &ConnectionContext,
    progress: &Progress,
) -> impl Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Unpin + Send>
+ Unpin
+ use<> {
    let (router, progress) = (server.router.clone(), progress.clone());
    let shutdown = server.shutdown.clone();
    service_fn(move |request: Request<Incoming>| {
        let busy = progress.begin();
        let watched = |body| Body::new(TrackedBody { body, progress: progress.clone() });
        let answering = router.clone().oneshot(request.map(watched));
        let shutdown = shutdown.clone();
        Box::pin(async move {
            let mut response: Response = answering.await?;
            if *shutdown.borrow() != Shutdown::Serving {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            // The body owns the guard: the connection is busy until the last byte of the response.
            let hold = move |fault| {
                let _ = &busy;
                fault
            };
            Ok::<_, Infallible>(response.map(|body| Body::new(body.map_err(hold))))
        }) as Pin<Box<dyn Future<Output = _> + Send>>
    })
}

/// Runs a connection until it ends or exceeds a limit; shuts it down gracefully when the listener
/// closes.
async fn drive<S, V>(
    server: &ConnectionContext,
    connection: &mut http1::Connection<TokioIo<TrackedStream<S>>, V>,
    progress: &Progress,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
    V: Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Unpin> + Unpin,
{
    let mut shutdown = server.shutdown.clone();
    tokio::select! {
        // A request that has arrived is read before the connection is closed.
        biased;
        end = run(&server.settings, connection, progress) => return end,
        // An error means that the listener was dropped; its connections are then closed too.
        _ = shutdown.wait_for(|&shutdown| shutdown == Shutdown::Closing) => {}
    }
    Pin::new(&mut *connection).graceful_shutdown();
    run(&server.settings, connection, progress).await
}

async fn run<S, V>(
    settings: &ConnectionSettings,
    connection: &mut http1::Connection<TokioIo<TrackedStream<S>>, V>,
    progress: &Progress,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
    V: Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Unpin> + Unpin,
{
    // Hyper's header timeout is not used: it also runs between requests, where `idle_timeout`
    // applies.
    let mut timer = pin!(tokio::time::sleep(settings.header_timeout));
    std::future::poll_fn(|context| {
        if connection.poll_without_shutdown(context).is_ready() {
            return Poll::Ready(End::Closed);
        }
        if progress.is_too_large() {
            return Poll::Ready(End::TooLarge);
        }
        let Some((at, overdue)) = progress.deadline(settings) else {
            return Poll::Pending;
        };
        if timer.deadline() != at {
            timer.as_mut().reset(at);
        }
        timer.as_mut().poll(context).map(|()| End::Overdue(overdue))
    })
    .await
}

/// Far more headers than clients send; hyper rejects requests with more, with an empty body.
const MAX_HEADERS: usize = 512;
/// The smallest buffer that hyper accepts.
const MIN_BUFFER_BYTES: usize = 8192;
