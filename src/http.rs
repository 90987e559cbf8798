//! The HTTP service: routes, and serving them until told to stop.

mod app;
mod health;
mod input;
mod models;
mod moderations;
mod observe;
mod openapi;
mod policy;
mod posted;
mod problem;
mod score;

use std::time::Duration;

use axum::Router;
use axum::middleware;
use axum::routing::get;
use axum::routing::post;
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;

pub use self::app::App;
pub use self::app::HttpSettings;
use self::problem::Problem;
use crate::lifecycle::Phase;

/// All routes over one app.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/v1/score", post(score::score))
        .route("/v1/moderations", post(moderations::moderate))
        .route("/v1/models", get(models::list))
        .route("/v1/policy", get(policy::show))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(observe::metrics))
        .merge(openapi::pages())
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(CatchPanicLayer::custom(|_| problem::panicked()))
        .layer(middleware::from_fn_with_state(app.clone(), observe::observe))
        .with_state(app)
}

/// Serves until `shutdown` resolves, then drains: readiness falls, after `delay` no connection is
/// accepted any more, and every accepted request is answered. False if `grace` was not enough.
pub async fn serve(
    listener: TcpListener,
    app: App,
    drain: Drain,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<bool> {
    let (started, draining) = tokio::sync::oneshot::channel();
    let lifecycle = app.lifecycle().clone();
    let stop_accepting = async move {
        shutdown.await;
        lifecycle.enter(Phase::Draining);
        tokio::time::sleep(drain.delay).await;
        // The other end is gone only if serving has ended by itself.
        let _ = started.send(());
    };
    let serving = axum::serve(listener, router(app)).with_graceful_shutdown(stop_accepting);
    let out_of_grace = async move {
        match draining.await {
            Ok(()) => tokio::time::sleep(drain.grace).await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        result = serving.into_future() => result.map(|()| true),
        () = out_of_grace => Ok(false),
    }
}

/// How a server ends.
#[derive(Debug, Clone, Copy)]
pub struct Drain {
    /// From unready to accepting nothing: the time a load balancer needs to notice.
    pub delay: Duration,
    /// From then to the end, for requests that were accepted.
    pub grace: Duration,
}
