//! `/admin/models`: lists, swaps and rolls back models, and manages shadow models; on a separate
//! listener.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::FromRef;
use axum::extract::FromRequest;
use axum::extract::Request;
use axum::extract::State;
use axum::routing::get;
use axum::routing::post;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de;

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
use crate::http::auth::AccessRule;
use crate::http::auth::Area;
use crate::http::auth::require_key;
use crate::http::problem::Problem;
use crate::http::request::json_request;
use crate::http::request::json_request::JsonRequest;
use crate::http::telemetry::clock::unix_seconds;
use crate::model::Source;
use crate::policy::Policy;

/// The state of the admin routes, which need a way to load models.
#[derive(Debug, Clone)]
pub(in crate::http) struct Admin {
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

/// The serving, previous, staged and shadow models of one slot.
#[derive(Debug, Serialize)]
struct SlotAnswer {
    /// The operator's name for the slot, if there is one.
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
    /// Seconds since the Unix epoch, like all times here.
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

/// A model that is loading, or the last that failed to load.
#[derive(Debug, Serialize)]
struct StagedAnswer {
    source: String,
    since: u64,
    /// `loading` or `failed`.
    status: &'static str,
    reason: Option<String>,
}

/// A model that scores mirrored texts without affecting responses.
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

/// How the serving model and the shadow differ in one category.
#[derive(Debug, Serialize)]
struct DifferenceAnswer {
    category: String,
    /// The fraction of texts that violate the category, from 0 to 1.
    flag_rate_serving: f64,
    flag_rate_shadow: f64,
    n_disagreed: u64,
    /// The mean absolute difference of the scores.
    mean_difference: f64,
    max_difference: f64,
}

/// Builds the admin routes.
pub(in crate::http) fn routes(app: App, loader: Loader) -> Router {
    let routes = Router::new()
        .route("/admin/models", get(show))
        .route("/admin/models/load", post(load))
        .route("/admin/models/rollback", post(roll_back))
        .route("/admin/models/shadow/promote", post(promote))
        .route("/admin/models/shadow/discard", post(discard));
    let access = app.settings().access.clone();
    require_key(access.as_ref(), AccessRule::for_area(Area::Admin), routes)
        .with_state(Admin { app, loader })
}

async fn show(State(Admin { app, .. }): State<Admin>) -> Json<ModelsAnswer> {
    Json(ModelsAnswer { models: app.models().slots().iter().map(SlotAnswer::new).collect() })
}

async fn load(
    State(Admin { app, loader }): State<Admin>,
    JsonRequest { body, .. }: JsonRequest<LoadBody>,
) -> Result<Json<SlotAnswer>, Problem> {
    let slot = app.models().slot(body.name.as_deref())?;
    let source: Source = body.source.parse().map_err(|_| Error::InvalidValue {
        param: "source".into(),
        expected: "embedded, a folder that exists or ORG/NAME[@REVISION]".into(),
    })?;
    let shadow = body.shadow_fraction.map(|Fraction(fraction)| fraction);
    let request = LoadRequest { source, sha256: body.sha256, shadow };
    slot.load(loader, request).await.map_err(Problem::told)?;
    Ok(Json(SlotAnswer::new(slot)))
}

async fn roll_back(
    State(Admin { loader, .. }): State<Admin>,
    SlotSelector(slot): SlotSelector,
) -> Result<Json<SlotAnswer>, Problem> {
    slot.roll_back(loader).await.map_err(Problem::told)?;
    Ok(Json(SlotAnswer::new(&slot)))
}

async fn promote(SlotSelector(slot): SlotSelector) -> Result<Json<SlotAnswer>, Problem> {
    slot.promote()?;
    Ok(Json(SlotAnswer::new(&slot)))
}

async fn discard(SlotSelector(slot): SlotSelector) -> Result<Json<SlotAnswer>, Problem> {
    slot.discard()?;
    Ok(Json(SlotAnswer::new(&slot)))
}

/// The slot that the request body names, or the default slot if there is no body.
struct SlotSelector(Arc<Slot>);

impl FromRequest<Admin> for SlotSelector {
    type Rejection = Problem;

    async fn from_request(request: Request, admin: &Admin) -> Result<Self, Problem> {
        let app = &admin.app;
        let (parts, body) = request.into_parts();
        let bytes = json_request::read(body, app.settings().max_body_bytes).await?;
        if bytes.is_empty() {
            return Ok(Self(Arc::clone(app.models().default_slot())));
        }
        let request = Request::from_parts(parts, bytes.into());
        let JsonRequest { body, .. } =
            JsonRequest::<SlotSelectorBody>::from_request(request, admin).await?;
        Ok(Self(app.models().slot(body.name.as_deref()).cloned()?))
    }
}

/// The model to load, and the name to load it under.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LoadBody {
    name: Option<String>,
    source: String,
    sha256: Option<String>,
    shadow_fraction: Option<Fraction>,
}

/// The name of the model to act on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SlotSelectorBody {
    name: Option<String>,
}

/// Above 0, up to 1.
#[derive(Debug)]
struct Fraction(f64);

impl<'de> Deserialize<'de> for Fraction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        if number > 0.0 && number <= 1.0 {
            Ok(Self(number))
        } else {
            Err(de::Error::custom("a number above 0 and up to 1"))
        }
    }
}

impl SlotAnswer {
    fn new(slot: &Arc<Slot>) -> Self {
        let overview = slot.overview();
        Self {
            name: slot.name().map(str::to_owned),
            serving: overview.serving.map(|serving| ServingAnswer::new(&serving)),
            previous: overview.previous.map(PreviousAnswer::new),
            staged: overview.staged.map(StagedAnswer::new),
            shadow: overview.shadow.map(|shadow| ShadowAnswer::new(&shadow)),
        }
    }
}

impl ServingAnswer {
    fn new(Serving { engine, source, since }: &Serving) -> Self {
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
    fn new(previous: PreviousModel) -> Self {
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
    fn new(staged: Staged) -> Self {
        Self {
            source: staged.source.to_string(),
            since: unix_seconds(staged.since),
            status: if staged.fault.is_some() { "failed" } else { "loading" },
            reason: staged.fault.map(|fault| fault.chain()),
        }
    }
}

impl ShadowAnswer {
    fn new(shadow: &Shadow) -> Self {
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
            categories: comparison.categories.into_iter().map(DifferenceAnswer::new).collect(),
        }
    }
}

impl DifferenceAnswer {
    fn new(difference: Difference) -> Self {
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
