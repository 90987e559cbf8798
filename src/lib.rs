//! moderato scores text against every category of a usage policy.
//!
//! # Stages of a request
//!
//! | stage | type | module |
//! | --- | --- | --- |
//! | body | the request type of a contract | [`http`] |
//! | inputs | [`text::Input`], a text or a conversation | [`mod@text`] |
//! | windows | [`tokenize::Encoded`], with byte offsets | [`tokenize`], on the blocking pool |
//! | queued | a job: every window of a request, or none | [`engine`], its scheduler |
//! | packed | [`batch::Batch`], windows end to end, without padding | [`batch`] |
//! | forward | [`model::Logits`], (window, label) | [`model`], on a worker of the [`engine`] |
//! | calibrated, pooled | [`score::TextScores`], per label of the model | [`score`] |
//! | judged | [`score::Verdict`], per category of the policy | [`score::Rules`] |
//! | written | the response type of a contract, or a line of JSON | [`http`], [`cli`] |
//!
//! The command line starts at "inputs" and ends at "written".
//!
//! # Layers
//!
//! | layer | modules | scope |
//! | --- | --- | --- |
//! | 6 | [`cli`], [`http`] | input and output |
//! | 5 | [`engine`] | threads, queue, tokio |
//! | 4 | [`model`] | arithmetic |
//! | 3 | [`batch`] | numbers only |
//! | 2 | [`tokenize`], [`score`], [`mod@evaluate`] | pure functions |
//! | 1 | [`policy`], [`mod@text`], [`text_file`], [`json`], [`key`], [`metrics`], [`lifecycle`], [`progress_bar`] | vocabulary |
//! | 0 | [`error`] | uses no other module |
//!
//! A module uses only lower layers and its own children. Modules of one layer do not use each
//! other, except that `cli` starts `http` and sends it requests. The same rules hold between the
//! files of `engine`. Each foreign crate is used only in the modules assigned to it.
//! `tests/it/layers.rs` checks all of this.
//!
//! # Where to find
//!
//! - the required contents of a model folder, and how they are checked: `model/artifact.rs`,
//!   `model/config.rs`, `model/weights.rs`; tensor names of published checkpoints:
//!   `model/checkpoint.rs`; where a model comes from: `model/source.rs`, `model/hub.rs` (the hub
//!   client is below it), `model/embedded.rs`
//! - the forward pass on the CPU: `model/cpu.rs`, built from the operations in `model/ops.rs`, with
//!   the inner loops in `model/ops/kernel.rs`; on GPUs, with candle: `model/tensor.rs`
//! - how threads share a batch: `model/cpu/partition.rs`; how replicas share weights:
//!   `model/replicas.rs`
//! - how model families differ: `model/family.rs`, `model/parameters.rs`
//! - how a text or a conversation is encoded: `tokenize/encoded_input.rs`; which obfuscation is
//!   undone: `text/normalise.rs`; why a text has no control tokens: `tokenize/control.rs`
//! - how labels map to categories, clauses and names of other services: `score/mapping.rs`,
//!   `score/rules.rs`; the format of `policy.toml`: `policy.rs`; the self-test:
//!   `model/self_test.rs`
//! - the contracts of other services: one file each in `http/contracts/`; the path they share:
//!   `http/request/scoring.rs`; their error formats: `http/request/error_format.rs`; how their
//!   categories map to ours: `policy/namespace.rs`
//! - which sentences carry a violation: `engine/spans.rs`, `score/span.rs`
//! - which model serves, and how models are swapped: `engine/slot.rs`; how a model is loaded:
//!   `engine/loader.rs`; what keeps a load from delaying requests: `model/load_priority.rs`; the
//!   routes that swap models: `http/pages/admin.rs`
//! - what is queued, what is refused and what is computed next: `engine/scheduler.rs`, which only
//!   decides; how keys share a model: `engine/fair_queue.rs`; the threads around the scheduler:
//!   `engine/dispatcher.rs`, `engine/worker.rs`; how tokenisation is shared:
//!   `engine/tokenization.rs`
//! - authentication: `http/auth.rs`, with the keys in `http/auth/keyring.rs`; keys and their
//!   quotas: `key.rs`, `key/quota.rs`
//! - how text files are read (byte order marks, UTF-16): `text_file.rs`; lines of JSON and broken
//!   Unicode in them: `cli/bulk.rs`, `cli/record.rs`, `json.rs`
//! - the status code of each error: `http/problem.rs`; the exit code: [`cli::ExitCode`]
//! - connections, their limits, TLS and shutdown: `http/server.rs`; addresses to listen on, and
//!   binding them: `cli/args/listen.rs`, `cli/listen.rs`, `http/server/socket.rs`
//! - what is recorded of requests: `http/telemetry/request_log.rs`, `http/telemetry/audit.rs`,
//!   `http/telemetry/traces.rs`
//! - startup and shutdown: `cli/serve.rs`; reloading files: `cli/reload.rs`,
//!   `text_file/watched.rs`; notifications to systemd: `cli/supervisor.rs`; the log on stderr:
//!   `cli/log.rs`; progress bars: `progress_bar.rs`
//! - environment variables other than those of flags: `cli/environment.rs`; those of the hub:
//!   `cli/hub.rs`; those of OpenTelemetry: `cli/telemetry.rs`
//! - every metric with its help: `metrics/catalogue.rs`; every flag: `cli/args.rs`

pub mod batch;
pub mod cli;
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
pub mod tokenize;
