//! moderato scores text against every category of a usage policy.

pub mod batch;
pub mod cli;
pub mod encode;
pub mod engine;
pub mod error;
pub mod evaluate;
pub mod http;
pub mod json;
pub mod lifecycle;
pub mod metrics;
pub mod model;
pub mod policy;
pub mod score;
pub mod text;
