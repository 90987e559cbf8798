//! `/admin/models`: which models serve, others in their place or in their shadow, and back; on a
//! listener of its own.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::body::HttpBody;
use axum::extract::FromRef;
use axum::extract::FromRequest;
use axum::extract::Request;
use axum::extract::State;
use axum::routing::get;
use axum::routing::post;
use serde::Serialize;
use serde_json::Value;

use crate::engine::Difference;
use crate::engine::LoadRequest;
use crate::engine::Loader;
use crate::engine::PreviousModel;
use crate::engine::Serving;
use crate::engine::Shadow;
use crate::engine::Slot;
use crate::engine::Staged;
use crate::error::Error;
use crate::error::Result;
use crate::http::app::App;
use crate::http::clock::unix_seconds;
use crate::http::gate::Area;
use crate::http::gate::guarded;
use crate::http::posted::Posted;
use crate::http::problem::Problem;
use crate::json;
use crate::json::Fields;
use crate::model::Source;
use crate::policy::Policy;

/// What administrators ask for needs a way to load models.
#[derive(Debug, Clone)]
pub(super) struct Admin {
    app: App,
    loader: Loader,
}

impl FromRef<Admin> for App {
    fn from_ref(admin: &Admin) -> Self {
        admin.app.clone()
    }
}

/// All models, the default first.
#[derive(Debug, Serialize)]
struct ModelsAnswer {
    models: Vec<SlotAnswer>,
}

/// What serves in one slot, served before, is on its way, and is compared.
#[derive(Debug, Serialize)]
struct SlotAnswer {
    /// The operator's name for it, if there is one.
    name: Option<String>,
    serving: Option<ServingAnswer>,
    previous: Option<PreviousAnswer>,
    staged: Option<StagedAnswer>,
    shadow: Option<ShadowAnswer>,
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

/// A model that scores without being answered with.
#[derive(Debug, Serialize)]
struct ShadowAnswer {
    model: String,
    source: String,
    sha256: String,
    since: u64,
    fraction: f64,
    n_texts: u64,
    n_dropped: u64,
    n_failed: u64,
    categories: Vec<DifferenceAnswer>,
}

/// How the two models differ in one category.
#[derive(Debug, Serialize)]
struct DifferenceAnswer {
    category: String,
    /// The share of the texts that violate it, from 0 to 1.
    flag_rate_serving: f64,
    flag_rate_shadow: f64,
    n_disagreed: u64,
    /// Of the scores, without the sign.
    mean_difference: f64,
    max_difference: f64,
}

/// The routes of administrators.
pub(super) fn routes(app: App, loader: Loader) -> Router {
    let routes = Router::new()
        .route("/admin/models", get(show))
        .route("/admin/models/load", post(load))
        .route("/admin/models/rollback", post(roll_back))
        .route("/admin/models/shadow/promote", post(promote))
        .route("/admin/models/shadow/discard", post(discard));
    guarded(&app, Area::Admin, routes).with_state(Admin { app, loader })
}

async fn show(State(Admin { app, .. }): State<Admin>) -> Json<ModelsAnswer> {
    Json(ModelsAnswer { models: app.models().slots().iter().map(SlotAnswer::of).collect() })
}

async fn load(
    State(Admin { app, loader }): State<Admin>,
    posted: Posted,
) -> Result<Json<SlotAnswer>, Problem> {
    let mut fields = Fields::of(posted.body, &["name", "source", "sha256", "shadow_fraction"])?;
    let slot = slot(&app, &mut fields)?;
    let source = json::string("source", fields.require("source")?)?;
    let source: Source = source.parse().map_err(|_| Error::InvalidValue {
        param: "source".into(),
        expected: "embedded, a folder that exists or ORG/NAME[@REVISION]".into(),
    })?;
    let sha256 = fields.take("sha256").map(|hash| json::string("sha256", hash)).transpose()?;
    let shadow = fields.take("shadow_fraction").map(|value| fraction(&value)).transpose()?;
    slot.load(loader, LoadRequest { source, sha256, shadow }).await.map_err(Problem::told)?;
    Ok(Json(SlotAnswer::of(&slot)))
}

async fn roll_back(
    State(Admin { loader, .. }): State<Admin>,
    Chosen(slot): Chosen,
) -> Result<Json<SlotAnswer>, Problem> {
    slot.roll_back(loader).await.map_err(Problem::told)?;
    Ok(Json(SlotAnswer::of(&slot)))
}

async fn promote(Chosen(slot): Chosen) -> Result<Json<SlotAnswer>, Problem> {
    slot.promote()?;
    Ok(Json(SlotAnswer::of(&slot)))
}

async fn discard(Chosen(slot): Chosen) -> Result<Json<SlotAnswer>, Problem> {
    slot.discard()?;
    Ok(Json(SlotAnswer::of(&slot)))
}

/// The slot that a body names which has nothing else to say; without a body the default.
struct Chosen(Arc<Slot>);

impl FromRequest<Admin> for Chosen {
    type Rejection = Problem;

    async fn from_request(request: Request, admin: &Admin) -> Result<Self, Problem> {
        let app = &admin.app;
        if request.body().is_end_stream() {
            return Ok(Self(Arc::clone(app.models().default_slot())));
        }
        let posted = Posted::from_request(request, admin).await?;
        let mut fields = Fields::of(posted.body, &["name"])?;
        Ok(Self(slot(app, &mut fields)?))
    }
}

/// The slot that is named, else the default.
fn slot(app: &App, fields: &mut Fields) -> Result<Arc<Slot>> {
    let name = fields.take("name").map(|name| json::string("name", name)).transpose()?;
    app.models().slot(name.as_deref()).cloned()
}

fn fraction(value: &Value) -> Result<f64> {
    let is_share = |share: &f64| *share > 0.0 && *share <= 1.0;
    value.as_f64().filter(is_share).ok_or_else(|| Error::InvalidValue {
        param: "shadow_fraction".into(),
        expected: "a number above 0 and up to 1".into(),
    })
}

impl SlotAnswer {
    fn of(slot: &Arc<Slot>) -> Self {
        let overview = slot.overview();
        Self {
            name: slot.name().map(str::to_owned),
            serving: overview.serving.map(|serving| ServingAnswer::of(&serving)),
            previous: overview.previous.map(PreviousAnswer::of),
            staged: overview.staged.map(StagedAnswer::of),
            shadow: overview.shadow.map(|shadow| ShadowAnswer::of(&shadow)),
        }
    }
}

impl ServingAnswer {
    fn of(Serving { engine, source, since }: &Serving) -> Self {
        Self {
            model: engine.card().reference(),
            source: source.as_ref().map(Source::to_string),
            sha256: engine.card().sha256.clone(),
            policies: engine.policies().map(Policy::reference).collect(),
            since: unix_seconds(*since),
        }
    }
}

impl PreviousAnswer {
    fn of(previous: PreviousModel) -> Self {
        Self {
            model: previous.reference,
            source: previous.source.to_string(),
            sha256: previous.sha256,
            since: unix_seconds(previous.since),
            until: unix_seconds(previous.until),
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

impl ShadowAnswer {
    fn of(shadow: &Shadow) -> Self {
        let (card, comparison) = (shadow.engine().card(), shadow.comparison());
        Self {
            model: card.reference(),
            source: shadow.source().to_string(),
            sha256: card.sha256.clone(),
            since: unix_seconds(shadow.since()),
            fraction: shadow.fraction(),
            n_texts: comparison.n_texts,
            n_dropped: comparison.n_dropped,
            n_failed: comparison.n_failed,
            categories: comparison.categories.into_iter().map(DifferenceAnswer::of).collect(),
        }
    }
}

impl DifferenceAnswer {
    fn of(difference: Difference) -> Self {
        let share = |n: f64| n / difference.n_texts.max(1) as f64;
        Self {
            flag_rate_serving: share(difference.n_flagged_serving as f64),
            flag_rate_shadow: share(difference.n_flagged_shadow as f64),
            n_disagreed: difference.n_disagreed,
            mean_difference: share(difference.sum_difference),
            max_difference: difference.max_difference,
            category: difference.category,
        }
    }
}
