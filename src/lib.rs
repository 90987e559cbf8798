//! moderato scores text against every category of a usage policy.

pub mod error;
pub mod json;
pub mod lifecycle;
pub mod metrics;
pub mod policy;
pub mod text;
