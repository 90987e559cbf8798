//! Every instrument, with its help text.

mod shadow;

use std::time::Duration;

use metrics::Counter;
use metrics::Gauge;
use metrics::Histogram;
use metrics_exporter_prometheus::Matcher;
use metrics_exporter_prometheus::PrometheusBuilder;
use metrics_exporter_prometheus::PrometheusHandle;
use metrics_exporter_prometheus::PrometheusRecorder;

/// The instruments of one process, and what renders them.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    unlabelled: Instruments,
}

/// The instruments without labels, looked up once.
struct Instruments {
    queue_wait: Histogram,
    batch_tokens: Histogram,
    batch_windows: Histogram,
    forward: Histogram,
    tokens: Counter,
    texts: Counter,
    abandoned: Counter,
    keys_kept: Counter,
    queue_tokens: Gauge,
    queue_requests: Gauge,
}

impl Metrics {
    /// Instruments that all stand at zero.
    pub fn new() -> Self {
        let recorder = builder().build_recorder();
        let handle = recorder.handle();
        let register = || {
            describe();
            let histogram = |name| metrics::histogram!(name);
            Instruments {
                queue_wait: histogram(QUEUE_WAIT),
                batch_tokens: histogram(BATCH_TOKENS),
                batch_windows: histogram(BATCH_WINDOWS),
                forward: histogram(FORWARD),
                tokens: metrics::counter!(TOKENS),
                texts: metrics::counter!(TEXTS),
                abandoned: metrics::counter!(ABANDONED),
                keys_kept: metrics::counter!(KEYS_KEPT),
                queue_tokens: metrics::gauge!(QUEUE_TOKENS),
                queue_requests: metrics::gauge!(QUEUE_REQUESTS),
            }
        };
        let unlabelled = metrics::with_local_recorder(&recorder, register);
        Self { recorder, handle, unlabelled }
    }

    /// Everything in the Prometheus text format.
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Moves old samples out of the buffers; to be called every few seconds.
    pub fn maintain(&self) {
        self.handle.run_upkeep();
    }

    /// Counts an answered request; `route` is the pattern, never the path as typed.
    pub fn answered(&self, route: &str, method: &str, status: u16, elapsed: Duration) {
        let labels = [
            ("route", route.to_owned()),
            ("method", method.to_owned()),
            ("status", status.to_string()),
        ];
        self.with(|| {
            metrics::counter!(HTTP_REQUESTS, &labels).increment(1);
            metrics::histogram!(HTTP_DURATION, &labels[..1]).record(elapsed);
        });
    }

    /// Counts an error that was answered.
    pub fn failed(&self, code: &'static str) {
        self.with(|| metrics::counter!(ERRORS, "code" => code).increment(1));
    }

    /// Counts a violated category.
    pub fn flagged(&self, category: &str) {
        let category = category.to_owned();
        self.with(|| metrics::counter!(FLAGGED, "category" => category).increment(1));
    }

    /// Counts a change of the file of keys that could not be followed.
    pub fn keys_kept(&self) {
        self.unlabelled.keys_kept.increment(1);
    }

    /// Names the model that serves, with a constant 1.
    pub fn serving(&self, model: &str, policy: &str) {
        let labels = [("model", model.to_owned()), ("policy", policy.to_owned())];
        self.with(|| metrics::gauge!(MODEL_INFO, &labels).set(1.0));
    }

    /// The opposite: this model serves no more.
    pub fn served(&self, model: &str, policy: &str) {
        let labels = [("model", model.to_owned()), ("policy", policy.to_owned())];
        self.with(|| metrics::gauge!(MODEL_INFO, &labels).set(0.0));
    }

    /// Counts an attempt to exchange the model, `exchanged` or `failed`.
    pub fn swapped(&self, result: &'static str, elapsed: Duration) {
        self.with(|| {
            metrics::counter!(SWAPS, "result" => result).increment(1);
            metrics::histogram!(SWAP_DURATION, "result" => result).record(elapsed);
        });
    }

    /// Counts a request into the queue until the guard is dropped.
    pub fn queued(&self, n_tokens: usize) -> QueuedGuard {
        let guard = QueuedGuard {
            tokens: self.unlabelled.queue_tokens.clone(),
            requests: self.unlabelled.queue_requests.clone(),
            n_tokens: n_tokens as f64,
        };
        guard.tokens.increment(guard.n_tokens);
        guard.requests.increment(1.0);
        guard
    }

    /// Records a batch on its way into the model.
    pub fn packed(&self, n_windows: usize, n_tokens: usize) {
        self.unlabelled.batch_windows.record(n_windows as f64);
        self.unlabelled.batch_tokens.record(n_tokens as f64);
    }

    /// Records a forward pass.
    pub fn forwarded(&self, elapsed: Duration) {
        self.unlabelled.forward.record(elapsed);
    }

    /// Records how long a request waited for its first batch.
    pub fn waited(&self, elapsed: Duration) {
        self.unlabelled.queue_wait.record(elapsed);
    }

    /// Counts scored texts and their tokens.
    pub fn scored(&self, n_texts: usize, n_tokens: usize) {
        self.unlabelled.texts.increment(n_texts as u64);
        self.unlabelled.tokens.increment(n_tokens as u64);
    }

    /// Counts a request that nobody waited for any more, or that came too late.
    pub fn abandoned(&self) {
        self.unlabelled.abandoned.increment(1);
    }

    fn with<T>(&self, record: impl FnOnce() -> T) -> T {
        metrics::with_local_recorder(&self.recorder, record)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// A request in the queue; leaves the gauges when dropped.
#[derive(Debug)]
pub struct QueuedGuard {
    tokens: Gauge,
    requests: Gauge,
    n_tokens: f64,
}

impl Drop for QueuedGuard {
    fn drop(&mut self) {
        self.tokens.decrement(self.n_tokens);
        self.requests.decrement(1.0);
    }
}

fn builder() -> PrometheusBuilder {
    let bucketed = [
        (QUEUE_WAIT, SECONDS),
        (FORWARD, SECONDS),
        (HTTP_DURATION, SECONDS),
        (BATCH_TOKENS, TOKEN_BUCKETS),
        (BATCH_WINDOWS, WINDOW_BUCKETS),
        (shadow::DIFFERENCE, shadow::DIFFERENCES),
    ];
    bucketed.into_iter().fold(PrometheusBuilder::new(), |builder, (name, buckets)| {
        builder
            .set_buckets_for_metric(Matcher::Full(name.into()), buckets)
            .expect("the bucket lists below are not empty")
    })
}

fn describe() {
    shadow::describe();
    metrics::describe_counter!(HTTP_REQUESTS, "Requests answered, by route, method and status.");
    metrics::describe_histogram!(HTTP_DURATION, "Time from headers to answer, by route.");
    metrics::describe_counter!(ERRORS, "Errors answered, by code.");
    metrics::describe_counter!(FLAGGED, "Texts that violated a category, by category.");
    metrics::describe_gauge!(QUEUE_TOKENS, "Tokens of requests not yet answered by the engine.");
    metrics::describe_gauge!(QUEUE_REQUESTS, "Requests not yet answered by the engine.");
    metrics::describe_histogram!(QUEUE_WAIT, "Time from admission to the first batch.");
    metrics::describe_counter!(
        ABANDONED,
        "Requests dropped from the queue: client gone or too late."
    );
    metrics::describe_histogram!(BATCH_TOKENS, "Tokens in a batch.");
    metrics::describe_histogram!(BATCH_WINDOWS, "Windows (a short text is one) in a batch.");
    metrics::describe_histogram!(FORWARD, "Time of a forward pass.");
    metrics::describe_counter!(TOKENS, "Tokens of scored texts.");
    metrics::describe_counter!(TEXTS, "Scored texts.");
    metrics::describe_counter!(KEYS_KEPT, "Faulty changes of the file of keys; the old ones stay.");
    metrics::describe_gauge!(
        MODEL_INFO,
        "1 for the model and the policy that serve, 0 for those that served before."
    );
    metrics::describe_counter!(SWAPS, "Attempts to exchange the model, by result.");
    metrics::describe_histogram!(
        SWAP_DURATION,
        "From asking for a model to its serving, or to its failure, in seconds."
    );
}

const HTTP_REQUESTS: &str = "moderato_http_requests_total";
const HTTP_DURATION: &str = "moderato_http_request_duration_seconds";
const ERRORS: &str = "moderato_errors_total";
const FLAGGED: &str = "moderato_texts_flagged_total";
const QUEUE_TOKENS: &str = "moderato_queue_tokens";
const QUEUE_REQUESTS: &str = "moderato_queue_requests";
const QUEUE_WAIT: &str = "moderato_queue_wait_seconds";
const ABANDONED: &str = "moderato_queue_abandoned_total";
const BATCH_TOKENS: &str = "moderato_batch_tokens";
const BATCH_WINDOWS: &str = "moderato_batch_windows";
const FORWARD: &str = "moderato_engine_forward_seconds";
const TOKENS: &str = "moderato_engine_tokens_total";
const TEXTS: &str = "moderato_engine_texts_total";
const KEYS_KEPT: &str = "moderato_keys_reload_failures_total";
const MODEL_INFO: &str = "moderato_model_info";
const SWAPS: &str = "moderato_model_swaps_total";
const SWAP_DURATION: &str = "moderato_model_swap_duration_seconds";

/// From a short text on a GPU to the default deadline.
const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const TOKEN_BUCKETS: &[f64] =
    &[16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0];
const WINDOW_BUCKETS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recorded_instrument_is_rendered_with_its_help() {
        let metrics = Metrics::new();
        metrics.answered("/v1/score", "POST", 200, Duration::from_millis(3));
        metrics.failed("empty_text");
        metrics.flagged("csam");
        metrics.serving("m@1", "p@1");
        metrics.packed(2, 30);
        metrics.forwarded(Duration::from_millis(2));
        metrics.waited(Duration::from_millis(1));
        metrics.scored(1, 20);
        metrics.abandoned();
        metrics.keys_kept();
        let guard = metrics.queued(20);
        let text = metrics.render();
        for line in [
            "moderato_http_requests_total{route=\"/v1/score\",method=\"POST\",status=\"200\"} 1",
            "moderato_http_request_duration_seconds_count{route=\"/v1/score\"} 1",
            "moderato_errors_total{code=\"empty_text\"} 1",
            "moderato_texts_flagged_total{category=\"csam\"} 1",
            "moderato_model_info{model=\"m@1\",policy=\"p@1\"} 1",
            "moderato_batch_tokens_sum 30",
            "moderato_engine_tokens_total 20",
            "moderato_queue_abandoned_total 1",
            "moderato_keys_reload_failures_total 1",
            "moderato_queue_tokens 20",
        ] {
            assert!(text.contains(line), "no {line} in\n{text}");
        }
        assert_eq!(text.matches("# HELP").count(), 15, "{text}");
        drop(guard);
        assert!(metrics.render().contains("moderato_queue_tokens 0"));
    }
}
