//! A model that is asked for.

use crate::model::Source;

/// Which model to load, and what for.
#[derive(Debug, Clone)]
pub struct LoadRequest {
    /// Where it comes from.
    pub source: Source,
    /// What its weights must be, if it matters.
    pub sha256: Option<String>,
    /// Which share of the traffic it is to score in the shadow of the one that serves, instead of
    /// taking its place.
    pub shadow: Option<f64>,
}
