//! The model that a path names.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::extract::Path;
use axum::http::request::Parts;

use crate::engine::Engine;
use crate::error::Error;
use crate::error::Result;
use crate::http::app::App;
use crate::http::problem::Problem;

/// `{name}` of a path, and `{version}` if it has one.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) name: String,
    version: Option<String>,
}

impl FromRequestParts<App> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let path = Path::<Vec<(String, String)>>::from_request_parts(parts, app).await;
        let Path(fields) = path.map_err(|_| Problem::not_found())?;
        let of = |key: &str| fields.iter().find(|(name, _)| name == key);
        let of = |key| of(key).map(|(_, value)| value.clone());
        Ok(Self { name: of("name").unwrap_or_default(), version: of("version") })
    }
}

impl Named {
    /// The engine of that name and version, or a refusal.
    pub(super) fn engine(&self, app: &App) -> Result<Arc<Engine>> {
        let engine = app.models().slot(Some(&self.name))?.serving()?;
        match self.version.as_deref() {
            Some(version) if version != engine.card().version() => {
                // Anything, a whole text too; the first characters tell which it is.
                let name = version.chars().take(40).collect();
                let known = vec![engine.card().version().to_owned()];
                Err(Error::UnknownModel { name, known })
            }
            _ => Ok(engine),
        }
    }
}
