//! The model named in a request path.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::extract::Path;
use axum::http::request::Parts;

use crate::engine::Engine;
use crate::error::Error;
use crate::error::Result;
use crate::error::shorten;
use crate::http::app::App;
use crate::http::problem::Problem;

/// The path parameters `{name}` and, if the route has it, `{version}`.
#[derive(Debug)]
pub(in crate::http) struct ModelPath {
    pub(in crate::http) name: String,
    version: Option<String>,
}

impl FromRequestParts<App> for ModelPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let path = Path::<Vec<(String, String)>>::from_request_parts(parts, app).await;
        let Path(fields) = path.map_err(|_| Problem::not_found())?;
        let of = |key: &str| fields.iter().find(|(name, _)| name == key);
        let of = |key| of(key).map(|(_, value)| value.clone());
        Ok(Self { name: of("name").unwrap_or_default(), version: of("version") })
    }
}

impl ModelPath {
    /// Returns the engine of that name and version, or an error if none serves.
    pub(in crate::http) fn engine(&self, app: &App) -> Result<Arc<Engine>> {
        let engine = app.slot(Some(&self.name))?.serving()?;
        match self.version.as_deref() {
            Some(version) if version != engine.card().version() => {
                let name = shorten(version);
                let known = vec![engine.card().version().to_owned()];
                Err(Error::UnknownModel { name, known })
            }
            _ => Ok(engine),
        }
    }
}
