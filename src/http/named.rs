//! The model that a path names.

use axum::extract::FromRequestParts;
use axum::extract::Path;
use axum::http::request::Parts;

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
    /// Refuses what does not serve.
    pub(super) fn check(&self, app: &App) -> Result<()> {
        let engine = app.engine()?;
        let card = engine.card();
        let is_ours = [&card.name, &card.reference()].contains(&&self.name);
        match &self.version {
            _ if !is_ours => Err(unknown(&self.name, &card.name)),
            Some(version) if version != card.version() => Err(unknown(version, card.version())),
            _ => Ok(()),
        }
    }
}

fn unknown(name: &str, known: &str) -> Error {
    // A name may be anything, a whole text too; the first characters tell which it is.
    Error::UnknownModel { name: name.chars().take(40).collect(), known: known.to_owned() }
}
