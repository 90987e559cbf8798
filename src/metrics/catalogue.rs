//! The catalogue of metrics: the name, kind, labels and help text of each.

/// The definition of a metric, as dashboards and alerts use it.
#[derive(Debug, Clone, Copy)]
pub struct Instrument {
    /// The rendered name; histograms append `_bucket`, `_sum` or `_count`.
    pub name: &'static str,
    /// The type of the metric.
    pub kind: Kind,
    /// The names of the labels, without `le`.
    pub labels: &'static [&'static str],
    /// The help text.
    pub help: &'static str,
}

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A value that only increases.
    Counter,
    /// A value that goes up and down.
    Gauge,
    /// Counts of observed values by bucket.
    Histogram,
}

impl Kind {
    /// Returns the name of the type in the Prometheus text format.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
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
    help: &'static str,
) -> Instrument {
    Instrument { name, kind: Kind::Histogram, labels, help }
}

/// All metrics. No label holds text from a client: the values are routes, statuses, codes, and
/// names from models and policies.
pub(super) const ALL: &[Instrument] = &[
    HTTP_REQUESTS,
    HTTP_DURATION,
    CONNECTIONS,
    CONNECTIONS_REFUSED,
    ERRORS,
    JUDGED,
    FLAGGED,
    SCORE,
    ACTIONS,
    QUEUE_TOKENS,
    QUEUE_REQUESTS,
    QUEUE_WAIT,
    ABANDONED,
    GIVEN_UP,
    BATCH_TOKENS,
    BATCH_WINDOWS,
    BATCH_FILL,
    FORWARD,
    TOKENISE,
    TOKENS,
    TEXTS,
    TEXT_WINDOWS,
    NON_FINITE,
    KEYS_RELOAD_FAILURES,
    MODEL_INFO,
    SWAPS,
    SWAP_DURATION,
    LOG_DROPPED,
    AUDIT_LINES,
    AUDIT_DROPPED,
    AUDIT_WRITE_FAILURES,
    TLS_RELOAD_FAILURES,
    AUDIT_FAILING,
    SHADOW_TEXTS,
    SHADOW_CRASHES,
    SHADOW_FLAGGED,
    SHADOW_DISAGREED,
    SHADOW_DIFFERENCE,
    BUILD_INFO,
    READY,
    RESIDENT,
    CPU_SECONDS,
    START_TIME,
    OPEN_FDS,
    MAX_FDS,
];

pub(super) const HTTP_REQUESTS: Instrument = counter(
    "moderato_http_requests_total",
    &["route", "method", "status"],
    "Requests answered, by route, method and status.",
);
pub(super) const HTTP_DURATION: Instrument = histogram(
    "moderato_http_request_duration_seconds",
    &["route"],
    "Time from headers to answer, by route.",
);
pub(super) const CONNECTIONS: Instrument =
    gauge("moderato_http_connections", &[], "Open connections.");
pub(super) const CONNECTIONS_REFUSED: Instrument = counter(
    "moderato_http_connections_refused_total",
    &["reason"],
    "Connections refused or closed by the server: too_many_connections, accept_failed, tls_failed, \
         headers_too_slow, headers_too_large or answer_not_taken.",
);
pub(super) const ERRORS: Instrument =
    counter("moderato_errors_total", &["code"], "Error responses, by code.");
pub(super) const JUDGED: Instrument = counter(
    "moderato_texts_judged_total",
    &["category"],
    "Texts judged by a category, by category.",
);
pub(super) const FLAGGED: Instrument = counter(
    "moderato_texts_flagged_total",
    &["category"],
    "Texts that violated a category, by category.",
);
pub(super) const SCORE: Instrument =
    histogram("moderato_text_scores", &["category"], "Scores of judged texts, by category.");
pub(super) const ACTIONS: Instrument = counter(
    "moderato_texts_actions_total",
    &["action"],
    "Judged texts, by the action of the verdict.",
);
pub(super) const QUEUE_TOKENS: Instrument =
    gauge("moderato_queue_tokens", &[], "Tokens of requests not yet answered by the engine.");
pub(super) const QUEUE_REQUESTS: Instrument =
    gauge("moderato_queue_requests", &[], "Requests not yet answered by the engine.");
pub(super) const QUEUE_WAIT: Instrument =
    histogram("moderato_queue_wait_seconds", &[], "Time from admission to the first batch.");
pub(super) const ABANDONED: Instrument = counter(
    "moderato_queue_abandoned_total",
    &[],
    "Requests dropped from the queue before any of their batches ran.",
);
pub(super) const GIVEN_UP: Instrument = counter(
    "moderato_requests_given_up_total",
    &["reason"],
    "Requests given up before they were answered: client_gone, or too_late for their deadline.",
);
pub(super) const BATCH_TOKENS: Instrument =
    histogram("moderato_batch_tokens", &[], "Tokens in a batch.");
pub(super) const BATCH_WINDOWS: Instrument =
    histogram("moderato_batch_windows", &[], "Windows in a batch; a short text is one window.");
pub(super) const BATCH_FILL: Instrument = histogram(
    "moderato_batch_fill_ratio",
    &[],
    "Tokens in a batch, as a fraction of --max-batch-tokens.",
);
pub(super) const FORWARD: Instrument =
    histogram("moderato_engine_forward_seconds", &[], "Time of a forward pass.");
pub(super) const TOKENISE: Instrument = histogram(
    "moderato_engine_tokenise_seconds",
    &[],
    "Time to tokenise a request, waiting for a thread included.",
);
pub(super) const TOKENS: Instrument =
    counter("moderato_engine_tokens_total", &[], "Tokens of scored texts.");
pub(super) const TEXTS: Instrument = counter("moderato_engine_texts_total", &[], "Scored texts.");
pub(super) const TEXT_WINDOWS: Instrument =
    histogram("moderato_text_windows", &[], "Windows per scored text.");
pub(super) const NON_FINITE: Instrument = counter(
    "moderato_logits_not_finite_total",
    &[],
    "Requests failed because the model gave NaN or infinity.",
);
pub(super) const KEYS_RELOAD_FAILURES: Instrument = counter(
    "moderato_keys_reload_failures_total",
    &[],
    "Failed reloads of the key file; the old keys stay in use.",
);
pub(super) const MODEL_INFO: Instrument = gauge(
    "moderato_model_info",
    &["model", "policy"],
    "1 for the serving model and policy, 0 for earlier ones.",
);
pub(super) const SWAPS: Instrument = counter(
    "moderato_model_swaps_total",
    &["result"],
    "Attempts to swap the model, by result: swapped or failed.",
);
pub(super) const SWAP_DURATION: Instrument = histogram(
    "moderato_model_swap_duration_seconds",
    &["result"],
    "Time from the request for a swap until the model serves or has failed.",
);
pub(super) const LOG_DROPPED: Instrument = counter(
    "moderato_log_lines_dropped_total",
    &[],
    "Log lines lost because stderr was too slow or could not be written.",
);
pub(super) const AUDIT_LINES: Instrument =
    counter("moderato_audit_lines_total", &[], "Lines passed to the audit log.");
pub(super) const AUDIT_DROPPED: Instrument = counter(
    "moderato_audit_lines_dropped_total",
    &[],
    "Lines lost because the audit log could not take them.",
);
pub(super) const AUDIT_WRITE_FAILURES: Instrument =
    counter("moderato_audit_write_failures_total", &[], "Failed attempts to write the audit log.");
pub(super) const TLS_RELOAD_FAILURES: Instrument = counter(
    "moderato_tls_reload_failures_total",
    &[],
    "Failed reloads of the certificate or its key; the old ones stay in use.",
);
pub(super) const AUDIT_FAILING: Instrument =
    gauge("moderato_audit_failing", &[], "1 while the audit log cannot be written.");
pub(super) const SHADOW_TEXTS: Instrument = counter(
    "moderato_shadow_texts_total",
    &["result"],
    "Texts selected for the shadow, by result: compared, dropped or failed.",
);
pub(super) const SHADOW_CRASHES: Instrument =
    counter("moderato_shadow_crashes_total", &[], "Shadows removed because their model panicked.");
pub(super) const SHADOW_FLAGGED: Instrument = counter(
    "moderato_shadow_texts_flagged_total",
    &["category", "model"],
    "Compared texts that violate a category, by model: serving or shadow.",
);
pub(super) const SHADOW_DISAGREED: Instrument = counter(
    "moderato_shadow_texts_disagreed_total",
    &["category"],
    "Compared texts that only one of the two models flags in a category.",
);
pub(super) const SHADOW_DIFFERENCE: Instrument = histogram(
    "moderato_shadow_score_difference",
    &["category"],
    "The shadow's score minus that of the serving model, from -1 to 1.",
);
pub(super) const BUILD_INFO: Instrument =
    gauge("moderato_build_info", &["version"], "1 for the running version.");
pub(super) const READY: Instrument =
    gauge("moderato_ready", &[], "1 while ready for requests, 0 while starting or draining.");
pub(super) const RESIDENT: Instrument =
    gauge("process_resident_memory_bytes", &[], "Resident memory of the process.");
pub(super) const CPU_SECONDS: Instrument =
    counter("process_cpu_seconds_total", &[], "CPU time of the process, user and system.");
pub(super) const START_TIME: Instrument =
    gauge("process_start_time_seconds", &[], "Start time of the process, in seconds since 1970.");
pub(super) const OPEN_FDS: Instrument = gauge("process_open_fds", &[], "Open file descriptors.");
pub(super) const MAX_FDS: Instrument =
    gauge("process_max_fds", &[], "Maximum number of open file descriptors.");
