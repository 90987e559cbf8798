//! moderato scores text against every category of a usage policy.
//!
//! # The journey of a request
//!
//! | step | type | made in |
//! | --- | --- | --- |
//! | body | a contract's request type | [`http`] |
//! | inputs | [`text::Text`] | [`mod@text`] |
//! | windows | [`encode::Encoded`], with byte offsets | [`encode`], on the blocking pool |
//! | queued | a job: all windows of a request, or none | [`engine`], its scheduler |
//! | packed | [`batch::Batch`], end to end, without padding | [`batch`] |
//! | forward | [`model::Logits`], (window, label) | [`model`], at a place of the [`engine`] |
//! | calibrated, pooled | [`score::TextScores`], per label of the model | [`score`] |
//! | judged | [`score::Verdict`], per category of the policy | [`score::Rules`] |
//! | written | a contract's response type, a line of JSON | [`http`], [`cli`] |
//!
//! The command line enters at "inputs" and leaves at "written".
//!
//! # One direction
//!
//! | layer | modules | knows |
//! | --- | --- | --- |
//! | 6 | [`cli`], [`http`] | the outside |
//! | 5 | [`engine`] | threads, queue, tokio |
//! | 4 | [`model`] | the arithmetic |
//! | 3 | [`batch`] | nothing but numbers |
//! | 2 | [`encode`], [`score`], [`mod@evaluate`] | pure |
//! | 1 | [`policy`], [`mod@text`], [`text_file`], [`json`], [`key`], [`metrics`], [`lifecycle`], [`progress_bar`] | vocabulary |
//! | 0 | [`error`] | nobody |
//!
//! A module names lower layers and its own children only; modules of one layer do not know each
//! other, but for `cli`, which starts `http` and asks it. The same holds between the files of `engine`. Every foreign crate has a home. All are a test:
//! `tests/it/layers.rs`.
//!
//! # Where to find
//!
//! - what a model folder must hold, and how it is checked: `model/artifact.rs`, `model/config.rs`,
//!   `model/weights.rs`; how published checkpoints name their tensors: `model/checkpoint.rs`; where a
//!   model comes from: `model/source.rs`, `model/hub.rs` (its client below it),
//!   `model/embedded.rs`
//! - the arithmetic on the CPU: `model/cpu.rs`, of the operations in `model/ops.rs`, of which
//!   `model/ops/kernel.rs` has the inner loops; on GPUs, with candle: `model/tensor.rs`
//! - how threads share a batch: `model/cpu/partition.rs`; how replicas share weights:
//!   `model/replicas.rs`
//! - how families of models differ: `model/family.rs`, `model/parameters.rs`
//! - what is read of a text or a conversation: `encode/reading.rs`; what a disguise is:
//!   `text/normalise.rs`; why a text has no control tokens: `encode/control.rs`
//! - how labels become categories, clauses and names of other services: `score/mapping.rs`,
//!   `score/rules.rs`; what `policy.toml` may hold: `policy.rs`; the self-test: `model/self_test.rs`
//! - the contracts of other services: a file each in `http/`; all go through `http/ask.rs`; their
//!   errors: `http/dialect.rs`; what stands for their categories: `policy/namespace.rs`
//! - which sentences carry a violation: `engine/spans.rs`, `score/span.rs`
//! - which model serves, and how another takes its place: `engine/slot.rs`; how one is loaded:
//!   `engine/loader.rs`; who may ask for it: `http/admin.rs`
//! - what waits, what is refused and what is computed next: `engine/scheduler.rs`, which only
//!   decides; how keys share a model: `engine/fair_queue.rs`; who asks it and who computes:
//!   `engine/dispatcher.rs`, `engine/place.rs`; who may tokenise: `engine/tokenization.rs`
//! - who may ask: `http/gate.rs`, of the keys that `http/keyring.rs` keeps fresh; what a key and its
//!   quota are: `key.rs`, `key/quota.rs`
//! - how text files are read (byte order marks, UTF-16): `text_file.rs`; lines of JSON and broken
//!   Unicode in them: `cli/bulk.rs`, `cli/record.rs`, `json.rs`
//! - which error has which status: `http/problem.rs`; which exit code: [`cli::ExitCode`]
//! - what connections may take, TLS, and how they end: `http/connections.rs`; which addresses there
//!   are and how they are bound: `cli/args/listen.rs`, `cli/listen.rs`, `http/connections/socket.rs`
//! - what is written down about requests: `http/observe.rs`, `http/audit.rs`, `http/traces.rs`
//! - starting and ending: `cli/serve.rs`; reading files again: `cli/reload.rs`, `http/watched.rs`;
//!   what systemd is told: `cli/supervisor.rs`; the log on stderr: `cli/log.rs`; progress bars:
//!   `progress_bar.rs`
//! - which variables are read beside those of flags: `cli/environment.rs`; of the hub: `cli/hub.rs`;
//!   of OpenTelemetry: `cli/telemetry.rs`
//! - every metric with its help: `metrics/catalogue.rs`; every flag: `cli/args.rs`

pub mod batch;
pub mod cli;
pub mod encode;
pub mod engine;
pub mod error;
pub mod evaluate;
pub mod http;
pub mod json;
pub mod key;
pub mod lifecycle;
pub mod metrics;
pub mod model;
pub mod policy;
pub mod progress_bar;
pub mod score;
pub mod text;
pub mod text_file;
