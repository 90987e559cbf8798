//! All integration tests, in one binary.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod artifact;
mod checkpoint;
mod cli;
mod deploy;
mod engine;
mod evaluation;
mod golden;
mod heads;
mod http;
mod hub;
mod layers;
mod replicas;
mod support;
