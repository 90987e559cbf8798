//! A request to load a model.

use crate::model::Source;

/// The model to load, and its role.
#[derive(Debug, Clone)]
pub struct LoadRequest {
    /// Where the model comes from.
    pub source: Source,
    /// The SHA-256 that its weights must have, if any.
    pub sha256: Option<String>,
    /// The fraction of requests that it scores as a shadow; `None` to replace the serving model.
    pub shadow: Option<f64>,
}
