//! The HTTP service: routes, and serving them until told to stop.

mod action;
mod admin;
mod app;
mod ask;
mod audit;
mod chat_moderations;
mod classifications;
mod clock;
mod connections;
mod context;
mod dialect;
mod fms;
mod gate;
mod health;
mod hugging_face;
mod input;
mod judged;
mod keyring;
mod kserve_v1;
mod kserve_v2;
mod labels;
mod litellm;
mod messages;
mod models;
mod moderations;
mod named;
mod observe;
mod openapi;
mod perspective;
mod policy;
mod posted;
mod problem;
mod replay;
mod score;
mod tei;
mod traces;
mod vllm;
mod watched;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware;
use axum::middleware::map_response;
use axum::routing::get;
use axum::routing::post;
use tower_http::catch_panic::CatchPanicLayer;

pub use self::app::App;
pub use self::app::HttpSettings;
pub use self::audit::Audit;
pub use self::audit::AuditSettings;
pub use self::audit::OnFailure;
pub use self::connections::ConnectionSettings;
pub use self::connections::Listener;
pub use self::connections::Socket;
pub use self::connections::Tls;
pub use self::gate::Access;
pub use self::gate::Area;
use self::gate::guarded;
pub use self::keyring::KeyFile;
pub use self::keyring::Keyring;
use self::problem::Problem;
pub use self::replay::Replay;
pub use self::replay::Replayed;
pub use self::traces::TraceSettings;
pub use self::traces::Traces;
use crate::engine::Loader;
use crate::lifecycle::Phase;

/// All routes over one app. Each is in an area, and so behind the gate.
pub fn router(app: App) -> Router {
    let own = Router::new()
        .route("/v1/score", post(score::score))
        .route("/v1/models", get(models::list))
        .route("/v1/policy", get(policy::show));
    let health = Router::new()
        .route("/health", get(health::ready))
        .route("/health/startup", get(health::started))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready));
    let metrics = Router::new().route("/metrics", get(observe::metrics));
    let routes = Router::new()
        .merge(guarded(&app, Area::Service, own))
        .merge(guarded(&app, Area::Health, health))
        .merge(guarded(&app, Area::Metrics, metrics))
        .merge(guarded(&app, Area::Docs, openapi::pages()))
        .merge(contracts(&app))
        .with_state(app.clone());
    layered(routes, app)
}

/// What every route gets: an id, a line in the log, a place in the metrics, an answer in any case.
fn layered(routes: Router, app: App) -> Router {
    routes
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(CatchPanicLayer::custom(|_| problem::panicked()))
        .layer(middleware::from_fn_with_state(app, observe::observe))
}

/// The routes of administrators, which may exchange the model; for a listener of their own.
pub fn admin_router(app: App, loader: Loader) -> Router {
    layered(admin::routes(app.clone(), loader), app)
}

/// The routes of other services; the gate is within what puts its refusals in their words.
fn contracts(app: &App) -> Router<App> {
    let ours = Router::new()
        .route("/v1/moderations", post(moderations::moderate))
        .route("/v1/chat/moderations", post(chat_moderations::moderate))
        .route("/v1/classifications", post(classifications::classify))
        .route("/v1/chat/classifications", post(classifications::classify_chat))
        .route("/classify", post(vllm::classify))
        .route("/beta/litellm_basic_guardrail_api", post(litellm::decide));
    let tei = Router::new().route("/predict", post(tei::predict)).route("/info", get(tei::info));
    let detector = Router::new().route("/api/v1/text/contents", post(fms::contents));
    let google = Router::new().route("/v1alpha1/comments:analyze", post(perspective::analyze));
    guarded(app, Area::Service, ours)
        .merge(guarded(app, Area::Service, tei).layer(map_response(dialect::tei)))
        .merge(guarded(app, Area::Service, detector).layer(map_response(dialect::detector)))
        .merge(guarded(app, Area::Perspective, google).layer(map_response(dialect::google)))
        .merge(inference(app))
}

/// The routes whose errors are those of the Open Inference Protocol.
fn inference(app: &App) -> Router<App> {
    let health = Router::new()
        .route("/v2/health/live", get(kserve_v2::live))
        .route("/v2/health/ready", get(kserve_v2::ready));
    let mut routes = Router::new()
        .route("/", post(hugging_face::classify))
        .route("/models/{*name}", post(hugging_face::classify_by_model))
        .route("/v1/models/{name}", get(kserve_v1::status).post(kserve_v1::predict))
        .route("/v2", get(kserve_v2::server));
    for model in ["/v2/models/{name}", "/v2/models/{name}/versions/{version}"] {
        routes = routes
            .route(model, get(kserve_v2::model))
            .route(&format!("{model}/ready"), get(kserve_v2::model_ready))
            .route(&format!("{model}/infer"), post(kserve_v2::infer));
    }
    guarded(app, Area::Service, routes)
        .merge(guarded(app, Area::Health, health))
        .layer(map_response(dialect::inference))
}

/// Serves until `shutdown` resolves, then drains: readiness falls, after `delay` no connection is
/// accepted any more, and every accepted request is answered. False if `grace` was not enough.
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
        // The other end is gone only if serving has ended by itself.
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

/// Serves the routes of administrators until the process ends.
pub async fn serve_admin(listener: Listener, app: App, loader: Loader) {
    let metrics = Arc::clone(app.metrics());
    listener.serve(admin_router(app, loader), metrics, std::future::pending()).await;
}

/// How a server ends.
#[derive(Debug, Clone, Copy)]
pub struct Drain {
    /// From unready to accepting nothing: the time a load balancer needs to notice.
    pub delay: Duration,
    /// From then to the end, for requests that were accepted.
    pub grace: Duration,
}
