//! What instruments there are: name, labels and help of each.

/// An instrument as dashboards and alerts know it.
#[derive(Debug, Clone, Copy)]
pub struct Instrument {
    /// As it is rendered; a histogram's is followed by `_bucket`, `_sum` or `_count`.
    pub name: &'static str,
    /// What it does.
    pub kind: Kind,
    /// The names of its labels, `le` not among them.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub help: &'static str,
}

/// What an instrument does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts values up to each of these bounds.
    Histogram(&'static [f64]),
}

impl Kind {
    /// As Prometheus calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Instrument {
    Instrument { name, kind: Kind::Counter, labels, help }
}

const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Instrument {
    Instrument { name, kind: Kind::Gauge, labels, help }
}

const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    bounds: &'static [f64],
    help: &'static str,
) -> Instrument {
    Instrument { name, kind: Kind::Histogram(bounds), labels, help }
}

/// Every one of them. No label holds what a client has sent: its values are routes, statuses, codes
/// and the names in our own files.
pub(super) const ALL: &[Instrument] = &[
    counter(
        HTTP_REQUESTS,
        &["route", "method", "status"],
        "Requests answered, by route, method and status.",
    ),
    histogram(HTTP_DURATION, &["route"], SECONDS, "Time from headers to answer, by route."),
    gauge(CONNECTIONS, &[], "Open connections."),
    counter(
        CONNECTIONS_REFUSED,
        &["reason"],
        "Connections not accepted or ended by us: too_many_connections, accept_failed, tls_failed, \
         headers_too_slow, headers_too_large or answer_not_taken.",
    ),
    counter(ERRORS, &["code"], "Errors answered, by code: the reasons of all refusals."),
    counter(JUDGED, &["category"], "Texts held against a category, by category."),
    counter(FLAGGED, &["category"], "Texts that violated a category, by category."),
    histogram(SCORE, &["category"], SCORES, "Scores of judged texts, by category."),
    counter(ACTIONS, &["action"], "Judged texts, by the action that their verdict asks for."),
    gauge(QUEUE_TOKENS, &[], "Tokens of requests not yet answered by the engine."),
    gauge(QUEUE_REQUESTS, &[], "Requests not yet answered by the engine."),
    histogram(QUEUE_WAIT, &[], SECONDS, "Time from admission to the first batch."),
    counter(ABANDONED, &[], "Requests dropped from the queue before they cost anything."),
    counter(
        GIVEN_UP,
        &["reason"],
        "Requests that nobody waited for any more: client_gone, or too_late for their deadline.",
    ),
    histogram(BATCH_TOKENS, &[], TOKENS_OF_BATCHES, "Tokens in a batch."),
    histogram(BATCH_WINDOWS, &[], WINDOWS, "Windows (a short text is one) in a batch."),
    histogram(BATCH_FILL, &[], RATIOS, "Tokens in a batch, as a part of --batch-tokens."),
    histogram(FORWARD, &[], SECONDS, "Time of a forward pass."),
    histogram(TOKENISE, &[], SECONDS, "Time to tokenise a request, waiting for a thread included."),
    counter(TOKENS, &[], "Tokens of scored texts."),
    counter(TEXTS, &[], "Scored texts."),
    histogram(TEXT_WINDOWS, &[], WINDOWS, "Windows that a scored text was read in."),
    counter(NON_FINITE, &[], "Requests refused because the model gave a logit that is no number."),
    counter(KEYS_KEPT, &[], "Faulty changes of the file of keys; the old ones stay."),
    gauge(
        MODEL_INFO,
        &["model", "policy"],
        "1 for the model and the policy that serve, 0 for those that served before.",
    ),
    counter(SWAPS, &["result"], "Attempts to exchange the model, by result: exchanged or failed."),
    histogram(
        SWAP_DURATION,
        &["result"],
        SWAP_SECONDS,
        "From asking for a model to its serving, or to its failure.",
    ),
    counter(
        LOG_DROPPED,
        &[],
        "Lines of the log that are lost: stderr was too slow for them or could not be written.",
    ),
    counter(AUDITED, &[], "Lines handed to the audit log."),
    counter(AUDIT_DROPPED, &[], "Lines that the audit log could not take and that are lost."),
    counter(AUDIT_FAULTS, &[], "Failed attempts to write the audit log."),
    counter(TLS_KEPT, &[], "Faulty changes of the certificate or its key; the old ones stay."),
    gauge(AUDIT_FAILING, &[], "1 while the audit log cannot be written."),
    counter(
        SHADOW_TEXTS,
        &["result"],
        "Texts of the shadow's share, by what became of them: compared, dropped or failed.",
    ),
    counter(SHADOW_CRASHES, &[], "Shadows that were taken out because their model panicked."),
    counter(
        SHADOW_FLAGGED,
        &["category", "model"],
        "Texts compared that violate a category, by the model that serves and by its shadow.",
    ),
    counter(
        SHADOW_DISAGREED,
        &["category"],
        "Texts compared of which only one of the two models says that they violate a category.",
    ),
    histogram(
        SHADOW_DIFFERENCE,
        &["category"],
        DIFFERENCES,
        "The shadow's score less that of the model that serves, from -1 to 1.",
    ),
    gauge(BUILD_INFO, &["version"], "1 for the version that runs."),
    gauge(READY, &[], "1 while requests are wanted, 0 while starting or draining."),
    gauge(RESIDENT, &[], "Memory that the process holds, in RAM."),
    // Not a counter, as elsewhere: ours count in whole numbers.
    gauge(CPU_SECONDS, &[], "Time that the process has computed, on all cores together."),
    gauge(START_TIME, &[], "When the process began, in seconds since 1970."),
    gauge(OPEN_FDS, &[], "Open files, sockets among them."),
    gauge(MAX_FDS, &[], "How many there may be."),
];

pub(super) const HTTP_REQUESTS: &str = "moderato_http_requests_total";
pub(super) const HTTP_DURATION: &str = "moderato_http_request_duration_seconds";
pub(super) const CONNECTIONS: &str = "moderato_http_connections";
pub(super) const CONNECTIONS_REFUSED: &str = "moderato_http_connections_refused_total";
pub(super) const ERRORS: &str = "moderato_errors_total";
pub(super) const FLAGGED: &str = "moderato_texts_flagged_total";
pub(super) const JUDGED: &str = "moderato_texts_judged_total";
pub(super) const SCORE: &str = "moderato_text_scores";
pub(super) const ACTIONS: &str = "moderato_texts_actions_total";
pub(super) const QUEUE_TOKENS: &str = "moderato_queue_tokens";
pub(super) const QUEUE_REQUESTS: &str = "moderato_queue_requests";
pub(super) const QUEUE_WAIT: &str = "moderato_queue_wait_seconds";
pub(super) const ABANDONED: &str = "moderato_queue_abandoned_total";
pub(super) const GIVEN_UP: &str = "moderato_requests_given_up_total";
pub(super) const BATCH_TOKENS: &str = "moderato_batch_tokens";
pub(super) const BATCH_WINDOWS: &str = "moderato_batch_windows";
pub(super) const BATCH_FILL: &str = "moderato_batch_fill_ratio";
pub(super) const FORWARD: &str = "moderato_engine_forward_seconds";
pub(super) const TOKENISE: &str = "moderato_engine_tokenise_seconds";
pub(super) const TOKENS: &str = "moderato_engine_tokens_total";
pub(super) const TEXTS: &str = "moderato_engine_texts_total";
pub(super) const TEXT_WINDOWS: &str = "moderato_text_windows";
pub(super) const NON_FINITE: &str = "moderato_logits_not_finite_total";
pub(super) const KEYS_KEPT: &str = "moderato_keys_reload_failures_total";
pub(super) const TLS_KEPT: &str = "moderato_tls_reload_failures_total";
pub(super) const MODEL_INFO: &str = "moderato_model_info";
pub(super) const SWAPS: &str = "moderato_model_swaps_total";
pub(super) const SWAP_DURATION: &str = "moderato_model_swap_duration_seconds";
pub(super) const LOG_DROPPED: &str = "moderato_log_lines_dropped_total";
pub(super) const AUDITED: &str = "moderato_audit_lines_total";
pub(super) const AUDIT_DROPPED: &str = "moderato_audit_lines_dropped_total";
pub(super) const AUDIT_FAULTS: &str = "moderato_audit_write_failures_total";
pub(super) const AUDIT_FAILING: &str = "moderato_audit_failing";
pub(super) const SHADOW_TEXTS: &str = "moderato_shadow_texts_total";
pub(super) const SHADOW_CRASHES: &str = "moderato_shadow_crashes_total";
pub(super) const SHADOW_FLAGGED: &str = "moderato_shadow_texts_flagged_total";
pub(super) const SHADOW_DISAGREED: &str = "moderato_shadow_texts_disagreed_total";
pub(super) const SHADOW_DIFFERENCE: &str = "moderato_shadow_score_difference";
pub(super) const BUILD_INFO: &str = "moderato_build_info";
pub(super) const READY: &str = "moderato_ready";
pub(super) const RESIDENT: &str = "process_resident_memory_bytes";
pub(super) const CPU_SECONDS: &str = "process_cpu_seconds_total";
pub(super) const START_TIME: &str = "process_start_time_seconds";
pub(super) const OPEN_FDS: &str = "process_open_fds";
pub(super) const MAX_FDS: &str = "process_max_fds";

/// From a short text on a GPU to the default deadline.
const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// From a small model in a folder to a large one from afar.
const SWAP_SECONDS: &[f64] = &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
const TOKENS_OF_BATCHES: &[f64] =
    &[16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0];
const WINDOWS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
/// A window longer than the budget goes alone, and so above 1.
const RATIOS: &[f64] = &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 2.0];
/// Finer where most texts are, and where most thresholds are not.
const SCORES: &[f64] = &[0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99];
/// Fine about 0, where most are.
const DIFFERENCES: &[f64] =
    &[-0.5, -0.25, -0.1, -0.05, -0.02, -0.01, 0.0, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5];
