//! `/admin/models`: which model serves, another in its place, and back; on a listener of its own.

use std::time::SystemTime;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use axum::routing::post;
use serde::Serialize;

use crate::engine::Engine;
use crate::engine::Loader;
use crate::engine::Past;
use crate::engine::Staged;
use crate::error::Error;
use crate::error::Result;
use crate::http::app::App;
use crate::http::clock::unix_seconds;
use crate::http::posted::Posted;
use crate::http::problem::Problem;
use crate::json;
use crate::json::Fields;
use crate::model::Source;

/// What administrators ask for needs a way to load models.
#[derive(Debug, Clone)]
pub(super) struct Admin {
    app: App,
    loader: Loader,
}

impl axum::extract::FromRef<Admin> for App {
    fn from_ref(admin: &Admin) -> Self {
        admin.app.clone()
    }
}

/// What serves, served before, and is on its way.
#[derive(Debug, Serialize)]
struct ModelsAnswer {
    serving: Option<ServingAnswer>,
    previous: Option<PreviousAnswer>,
    staged: Option<StagedAnswer>,
}

#[derive(Debug, Serialize)]
struct ServingAnswer {
    model: String,
    source: Option<String>,
    sha256: String,
    policies: Vec<String>,
    /// Seconds since 1970, as all times here.
    since: u64,
}

#[derive(Debug, Serialize)]
struct PreviousAnswer {
    model: String,
    source: String,
    sha256: String,
    since: u64,
    until: u64,
}

/// A model on its way, or the last that did not get there.
#[derive(Debug, Serialize)]
struct StagedAnswer {
    source: String,
    since: u64,
    /// `loading` or `failed`.
    status: &'static str,
    reason: Option<String>,
}

/// The routes of administrators.
pub(super) fn routes(app: App, loader: Loader) -> Router {
    Router::new()
        .route("/admin/models", get(show))
        .route("/admin/models/load", post(load))
        .route("/admin/models/rollback", post(roll_back))
        .with_state(Admin { app, loader })
}

async fn show(State(Admin { app, .. }): State<Admin>) -> Json<ModelsAnswer> {
    Json(ModelsAnswer::of(&app))
}

async fn load(
    State(Admin { app, loader }): State<Admin>,
    posted: Posted,
) -> Result<Json<ModelsAnswer>, Problem> {
    let mut fields = Fields::of(posted.body, &["source", "sha256"])?;
    let source = json::string("source", fields.require("source")?)?;
    let source: Source = source
        .parse()
        .map_err(|expected| Error::InvalidValue { param: "source".into(), expected })?;
    let sha256 = fields.take("sha256").map(|hash| json::string("sha256", hash)).transpose()?;
    let loaded = app.models().load(loader, source, sha256).await;
    loaded.map_err(Problem::told)?;
    Ok(Json(ModelsAnswer::of(&app)))
}

async fn roll_back(
    State(Admin { app, loader }): State<Admin>,
) -> Result<Json<ModelsAnswer>, Problem> {
    app.models().roll_back(loader).await.map_err(Problem::told)?;
    Ok(Json(ModelsAnswer::of(&app)))
}

impl ModelsAnswer {
    fn of(app: &App) -> Self {
        let overview = app.models().overview();
        Self {
            serving: overview
                .serving
                .map(|(engine, source, since)| ServingAnswer::of(&engine, source.as_ref(), since)),
            previous: overview.previous.map(PreviousAnswer::of),
            staged: overview.staged.map(StagedAnswer::of),
        }
    }
}

impl ServingAnswer {
    fn of(engine: &Engine, source: Option<&Source>, since: SystemTime) -> Self {
        Self {
            model: engine.card().reference(),
            source: source.map(Source::to_string),
            sha256: engine.card().sha256.clone(),
            policies: engine.policies().map(crate::policy::Policy::reference).collect(),
            since: unix_seconds(since),
        }
    }
}

impl PreviousAnswer {
    fn of(past: Past) -> Self {
        Self {
            model: past.reference,
            source: past.source.to_string(),
            sha256: past.sha256,
            since: unix_seconds(past.since),
            until: unix_seconds(past.until),
        }
    }
}

impl StagedAnswer {
    fn of(staged: Staged) -> Self {
        Self {
            source: staged.source.to_string(),
            since: unix_seconds(staged.since),
            status: if staged.fault.is_some() { "failed" } else { "loading" },
            reason: staged.fault.map(|fault| fault.chain()),
        }
    }
}
