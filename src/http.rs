//! The HTTP service: routes, middleware and graceful shutdown.

mod app;
mod auth;
mod contracts;
mod pages;
mod problem;
mod replay;
mod request;
mod server;
mod telemetry;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::decompression::RequestDecompressionLayer;
use utoipa::openapi::OpenApi;

pub use self::app::App;
pub use self::app::HttpSettings;
pub use self::app::Media;
pub use self::auth::Access;
pub use self::auth::Area;
pub use self::auth::KeyFile;
pub use self::auth::Keyring;
use self::problem::Problem;
pub use self::replay::Replay;
pub use self::replay::Replayed;
pub use self::server::ConnectionSettings;
pub use self::server::Listener;
pub use self::server::Socket;
pub use self::server::Tls;
pub use self::telemetry::Audit;
pub use self::telemetry::AuditSettings;
pub use self::telemetry::OnFailure;
use self::telemetry::RequestLog;
pub use self::telemetry::TraceSettings;
pub use self::telemetry::Traces;
use crate::engine::Loader;
use crate::lifecycle::Phase;

/// Builds the router of all public routes.
pub fn router(app: App) -> Router {
    let mut description = OpenApi::default();
    let contracts = contracts::routes(&app, &mut description);
    let routes = pages::routes(&app, description).merge(contracts).with_state(app.clone());
    layered(routes, &app)
}

/// Builds the router of the admin routes, which swap models; for a separate listener.
pub fn admin_router(app: App, loader: Loader) -> Router {
    layered(pages::admin_routes(app.clone(), loader), &app)
}

/// Adds the layers that all routes share: request id, log line, metrics, decompression, and error
/// responses for unknown routes and panics.
fn layered(routes: Router, app: &App) -> Router {
    let log =
        RequestLog { metrics: Arc::clone(app.metrics()), traces: app.settings().traces.clone() };
    routes
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        // In one call, the outermost first: each call boxes the service and clones it per request.
        .layer((
            middleware::from_fn_with_state(log, telemetry::log_request),
            // Unsupported encodings are rejected where the body is read.
            RequestDecompressionLayer::new().pass_through_unaccepted(true),
            CatchPanicLayer::custom(|_| problem::panicked()),
        ))
}

/// Serves until `shutdown` resolves, then drains: the server becomes unready, stops accepting
/// connections after `drain.delay`, and answers every accepted request.
///
/// Returns false if draining takes longer than `drain.grace`.
pub async fn serve(
    listener: Listener,
    app: App,
    drain: Drain,
    shutdown: impl Future<Output = ()> + Send,
) -> bool {
    let (started, draining) = tokio::sync::oneshot::channel();
    let lifecycle = app.lifecycle().clone();
    let stop_accepting = async move {
        shutdown.await;
        lifecycle.enter(Phase::Draining);
        tokio::time::sleep(drain.delay).await;
        // The receiver is dropped only if `serving` has already completed.
        let _ = started.send(());
    };
    let metrics = Arc::clone(app.metrics());
    let serving = listener.serve(router(app), metrics, stop_accepting);
    let out_of_grace = async move {
        match draining.await {
            Ok(()) => tokio::time::sleep(drain.grace).await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = serving => true,
        () = out_of_grace => false,
    }
}

/// Serves the admin routes until the process ends.
pub async fn serve_admin(listener: Listener, app: App, loader: Loader) {
    let metrics = Arc::clone(app.metrics());
    listener.serve(admin_router(app, loader), metrics, std::future::pending()).await;
}

/// The two phases of a graceful shutdown.
#[derive(Debug, Clone, Copy)]
pub struct Drain {
    /// Time between becoming unready and closing the listener, so that load balancers notice.
    pub delay: Duration,
    /// Maximum time after `delay` for accepted requests to finish.
    pub grace: Duration,
}
