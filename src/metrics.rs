//! Every instrument, with its help text.

mod audit;
mod catalogue;
mod connections;
mod engine;
mod log;
mod models;
mod process;
mod queue;
mod shadow;
mod verdicts;

use std::time::Duration;

use metrics::Counter;
use metrics::Gauge;
use metrics::Histogram;
use metrics_exporter_prometheus::Matcher;
use metrics_exporter_prometheus::PrometheusBuilder;
use metrics_exporter_prometheus::PrometheusHandle;
use metrics_exporter_prometheus::PrometheusRecorder;

pub use self::catalogue::Instrument;
pub use self::catalogue::Kind;
pub use self::connections::ConnectionGuard;
pub use self::log::DroppedLines;
use self::process::Process;
pub use self::queue::QueuedGuard;
use self::verdicts::Verdicts;

/// The instruments of one process, and what renders them.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    unlabelled: Instruments,
    verdicts: Verdicts,
    dropped_lines: DroppedLines,
}

impl Metrics {
    /// Instruments that all stand at zero.
    pub fn new() -> Self {
        Self::with_dropped_lines(DroppedLines::default())
    }

    /// The same beside a log that has counted before.
    pub fn with_dropped_lines(dropped_lines: DroppedLines) -> Self {
        let recorder = builder().build_recorder();
        let handle = recorder.handle();
        let unlabelled = metrics::with_local_recorder(&recorder, || {
            describe();
            let version = env!("CARGO_PKG_VERSION");
            metrics::gauge!(catalogue::BUILD_INFO, "version" => version).set(1.0);
            Instruments::register()
        });
        let verdicts = Verdicts::default();
        Self { recorder, handle, unlabelled, verdicts, dropped_lines }
    }

    /// All instruments there are, also those that nothing was recorded in yet.
    pub fn instruments() -> &'static [Instrument] {
        catalogue::ALL
    }

    /// Everything in the Prometheus text format.
    pub fn render(&self) -> String {
        self.with(|| Process::read().record());
        self.record_dropped_lines();
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
            metrics::counter!(catalogue::HTTP_REQUESTS, &labels).increment(1);
            metrics::histogram!(catalogue::HTTP_DURATION, &labels[..1]).record(elapsed);
        });
    }

    /// Counts an error that was answered.
    pub fn failed(&self, code: &'static str) {
        self.with(|| metrics::counter!(catalogue::ERRORS, "code" => code).increment(1));
    }

    /// Counts a change of the file of keys that could not be followed.
    pub fn keys_kept(&self) {
        self.unlabelled.keys_kept.increment(1);
    }

    /// Tells whether requests are wanted.
    pub fn ready(&self, is_ready: bool) {
        self.unlabelled.ready.set(if is_ready { 1.0 } else { 0.0 });
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

/// The instruments without labels, looked up once.
struct Instruments {
    queue_wait: Histogram,
    batch_tokens: Histogram,
    batch_windows: Histogram,
    batch_fill: Histogram,
    forward: Histogram,
    tokenise: Histogram,
    text_windows: Histogram,
    tokens: Counter,
    texts: Counter,
    abandoned: Counter,
    not_finite: Counter,
    shadow_crashes: Counter,
    keys_kept: Counter,
    tls_kept: Counter,
    log_dropped: Counter,
    connections: Gauge,
    audited: Counter,
    audit_dropped: Counter,
    audit_faults: Counter,
    audit_failing: Gauge,
    queue_tokens: Gauge,
    queue_requests: Gauge,
    ready: Gauge,
}

impl Instruments {
    fn register() -> Self {
        let histogram = |name| metrics::histogram!(name);
        let counter = |name| metrics::counter!(name);
        let gauge = |name| metrics::gauge!(name);
        Self {
            queue_wait: histogram(catalogue::QUEUE_WAIT),
            batch_tokens: histogram(catalogue::BATCH_TOKENS),
            batch_windows: histogram(catalogue::BATCH_WINDOWS),
            batch_fill: histogram(catalogue::BATCH_FILL),
            forward: histogram(catalogue::FORWARD),
            tokenise: histogram(catalogue::TOKENISE),
            text_windows: histogram(catalogue::TEXT_WINDOWS),
            tokens: counter(catalogue::TOKENS),
            texts: counter(catalogue::TEXTS),
            abandoned: counter(catalogue::ABANDONED),
            not_finite: counter(catalogue::NON_FINITE),
            shadow_crashes: counter(catalogue::SHADOW_CRASHES),
            keys_kept: counter(catalogue::KEYS_KEPT),
            tls_kept: counter(catalogue::TLS_KEPT),
            log_dropped: counter(catalogue::LOG_DROPPED),
            connections: gauge(catalogue::CONNECTIONS),
            audited: counter(catalogue::AUDITED),
            audit_dropped: counter(catalogue::AUDIT_DROPPED),
            audit_faults: counter(catalogue::AUDIT_FAULTS),
            audit_failing: gauge(catalogue::AUDIT_FAILING),
            queue_tokens: gauge(catalogue::QUEUE_TOKENS),
            queue_requests: gauge(catalogue::QUEUE_REQUESTS),
            ready: gauge(catalogue::READY),
        }
    }
}

fn builder() -> PrometheusBuilder {
    catalogue::ALL.iter().fold(PrometheusBuilder::new(), |builder, instrument| {
        let Kind::Histogram(bounds) = instrument.kind else { return builder };
        builder
            .set_buckets_for_metric(Matcher::Full(instrument.name.into()), bounds)
            .expect("no list of bounds in the catalogue is empty")
    })
}

fn describe() {
    for &Instrument { name, kind, help, .. } in catalogue::ALL {
        match kind {
            Kind::Counter => metrics::describe_counter!(name, help),
            Kind::Gauge => metrics::describe_gauge!(name, help),
            Kind::Histogram(_) => metrics::describe_histogram!(name, help),
        }
    }
}

#[cfg(test)]
mod tests;
