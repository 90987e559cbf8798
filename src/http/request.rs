//! The processing of a request from its body to verdicts, shared by all contracts.

pub(super) mod action;
pub(super) mod audit_entry;
pub(super) mod contract;
pub(super) mod count;
pub(super) mod error_format;
pub(super) mod input;
pub(super) mod json_request;
pub(super) mod judged;
pub(super) mod labels;
pub(super) mod messages;
pub(super) mod named_model;
pub(super) mod one_or_many;
pub(super) mod scoring;
mod sequence;
