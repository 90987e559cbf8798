//! One connection, from its first byte to its end.

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
use tokio::time::Instant;
use tower::ServiceExt;

use crate::http::connections::House;
use crate::http::connections::LINGER;
use crate::http::connections::progress::Overdue;
use crate::http::connections::progress::Progress;
use crate::http::connections::progress::Watched;
use crate::http::problem::Problem;

/// How a connection ends.
enum End {
    /// By itself.
    Closed,
    /// It has been in one state for too long.
    Overdue(Overdue),
    /// With headers that are too large.
    TooLarge,
}

/// Serves the requests of a connection, one after the other.
pub(super) async fn serve<S>(house: &House, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let max_header_bytes = house.settings.max_header_bytes;
    let progress = Progress::new();
    let watched = Watched { stream, progress: progress.clone(), max_header_bytes };
    let mut connection = http1::Builder::new()
        .max_headers(MAX_HEADERS)
        // Ours is the bound that is answered; beyond that bytes of a body may be in there too.
        .max_buf_size(max_header_bytes.max(LEAST_BUFFER).saturating_mul(2))
        .serve_connection(TokioIo::new(watched), service(house, &progress));
    let end = drive(house, &mut connection, &progress).await;
    let stream = connection.into_parts().io.into_inner().stream;
    let metrics = &house.metrics;
    match end {
        End::Closed => house.close(stream).await,
        End::Overdue(Overdue::Idle) => {}
        End::Overdue(Overdue::Headers) => {
            metrics.connection_refused("headers_too_slow");
            let problem = Problem::headers_too_slow(house.settings.header_timeout);
            house.refuse(stream, problem).await;
        }
        End::Overdue(Overdue::Answer) => metrics.connection_refused("answer_not_taken"),
        End::TooLarge => {
            metrics.connection_refused("headers_too_large");
            house.refuse(stream, Problem::headers_too_large(max_header_bytes)).await;
        }
    }
}

/// The router, which tells the progress when it is at work.
fn service(
    house: &House,
    progress: &Progress,
) -> impl Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Unpin + Send>
+ Unpin
+ use<> {
    let (router, progress) = (house.router.clone(), progress.clone());
    let draining = house.draining.clone();
    service_fn(move |request: Request<Incoming>| {
        let busy = progress.begin();
        let answering = router.clone().oneshot(request.map(Body::new));
        let draining = draining.clone();
        Box::pin(async move {
            let mut response: Response = answering.await?;
            if *draining.borrow() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            // To the last byte of the answer.
            let hold = move |fault| {
                let _ = &busy;
                fault
            };
            Ok::<_, Infallible>(response.map(|body| Body::new(body.map_err(hold))))
        }) as Pin<Box<dyn Future<Output = _> + Send>>
    })
}

/// Goes on with a connection until it ends or may not go on.
async fn drive<S, V>(
    house: &House,
    connection: &mut http1::Connection<TokioIo<Watched<S>>, V>,
    progress: &Progress,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
    V: Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Unpin> + Unpin,
{
    let mut draining = house.draining.clone();
    let mut drain = pin!(async move {
        // An error is the end of the listener, after which nothing is accepted either.
        let _ = draining.wait_for(|&is_draining| is_draining).await;
        Instant::now() + LINGER
    });
    let mut farewell = Farewell::NotYet;
    let mut timer = pin!(tokio::time::sleep(house.settings.header_timeout));
    std::future::poll_fn(|context| {
        loop {
            if connection.poll_without_shutdown(context).is_ready() {
                return Poll::Ready(End::Closed);
            }
            if progress.is_too_large() {
                return Poll::Ready(End::TooLarge);
            }
            if let Farewell::NotYet = farewell
                && let Poll::Ready(until) = drain.as_mut().poll(context)
            {
                farewell = Farewell::From(until);
            }
            let lingers_until = match farewell {
                Farewell::From(until) if progress.is_idle() && Instant::now() < until => {
                    Some(until)
                }
                Farewell::From(_) => {
                    farewell = Farewell::Said;
                    Pin::new(&mut *connection).graceful_shutdown();
                    continue;
                }
                Farewell::NotYet | Farewell::Said => None,
            };
            let deadline = progress.deadline(&house.settings);
            let at = deadline.map(|(at, _)| at).into_iter().chain(lingers_until).min();
            let Some(at) = at else {
                return Poll::Pending;
            };
            if timer.deadline() != at {
                timer.as_mut().reset(at);
            }
            if timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            if let Some((_, overdue)) = deadline.filter(|(until, _)| *until <= at) {
                return Poll::Ready(End::Overdue(overdue));
            }
        }
    })
    .await
}

/// Whether the client was told that the next answer is the last.
enum Farewell {
    NotYet,
    /// With its next request, or then.
    From(Instant),
    Said,
}

/// Far more than clients send; more of them are refused without a body.
const MAX_HEADERS: usize = 512;
/// What hyper asks for at least.
const LEAST_BUFFER: usize = 8192;
