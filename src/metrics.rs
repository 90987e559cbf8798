//! All metrics, rendered for Prometheus.

mod audit;
mod catalogue;
mod connections;
mod engine;
mod http;
mod log;
mod models;
mod process;
mod queue;
mod registrar;
mod shadow;
mod verdicts;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;

use self::audit::AuditMetrics;
pub use self::catalogue::Instrument;
pub use self::catalogue::Kind;
pub use self::connections::ConnectionGuard;
use self::connections::ConnectionMetrics;
use self::engine::EngineMetrics;
use self::http::HttpMetrics;
pub use self::log::DroppedLines;
use self::models::ModelMetrics;
use self::process::ProcessCollector;
use self::queue::QueueMetrics;
pub use self::queue::QueuedGuard;
use self::registrar::Registrar;
pub use self::shadow::ShadowCategoryMetrics;
use self::shadow::ShadowMetrics;
pub use self::verdicts::CategoryMetrics;
use self::verdicts::VerdictMetrics;

/// The metrics of one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    http: HttpMetrics,
    connections: ConnectionMetrics,
    verdicts: VerdictMetrics,
    queue: QueueMetrics,
    engine: EngineMetrics,
    models: ModelMetrics,
    shadow: ShadowMetrics,
    audit: AuditMetrics,
}

impl Metrics {
    /// The media type of [`Metrics::render`].
    pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

    /// Creates metrics that are all zero.
    pub fn new() -> Self {
        Self::with_dropped_lines(&DroppedLines::default())
    }

    /// Creates metrics that include the count of dropped lines of an existing log.
    pub fn with_dropped_lines(dropped_lines: &DroppedLines) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ProcessCollector));
        let registrar = &mut Registrar(&mut registry);
        registrar.register(catalogue::LOG_DROPPED, dropped_lines.0.clone());
        let version = VersionLabels { version: env!("CARGO_PKG_VERSION") };
        registrar.gauges(catalogue::BUILD_INFO).get_or_create(&version).set(1);
        Self {
            http: HttpMetrics::register(registrar),
            connections: ConnectionMetrics::register(registrar),
            verdicts: VerdictMetrics::register(registrar),
            queue: QueueMetrics::register(registrar),
            engine: EngineMetrics::register(registrar),
            models: ModelMetrics::register(registrar),
            shadow: ShadowMetrics::register(registrar),
            audit: AuditMetrics::register(registrar),
            registry,
        }
    }

    /// Returns the catalogue of all metrics, including those without any recorded value.
    pub fn instruments() -> &'static [Instrument] {
        catalogue::ALL
    }

    /// Renders all metrics in the Prometheus text format.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Neither writing to a string nor encoding one of these metrics can fail.
        let _ = prometheus_text::encode(&mut text, &self.registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VersionLabels {
    version: &'static str,
}

/// Buckets in seconds, from a short text on a GPU to the default deadline.
const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

#[cfg(test)]
mod tests;
