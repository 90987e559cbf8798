//! OpenTelemetry traces of requests: their attributes, and the time spent in each phase.

use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use axum::http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::KeyValue;
use opentelemetry::propagation::Extractor;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::SpanKind;
use opentelemetry::trace::Status;
use opentelemetry::trace::TraceContextExt;
use opentelemetry::trace::Tracer;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::Protocol;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_otlp::WithHttpConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::BatchConfigBuilder;
use opentelemetry_sdk::trace::BatchSpanProcessor;
use opentelemetry_sdk::trace::Sampler;
use opentelemetry_sdk::trace::SdkTracer;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::warn;

use crate::engine::Phase;
use crate::error::Error;
use crate::error::Result;
use crate::http::telemetry::context::Cost;

/// Which requests are traced, and where the traces are sent.
#[derive(Debug, Clone)]
pub struct TraceSettings {
    /// URL of a collector that accepts OTLP over HTTP, such as `http://localhost:4318/v1/traces`.
    pub endpoint: String,
    /// Names and values of the headers sent to the collector.
    pub headers: Vec<(String, String)>,
    /// The service name reported to the collector.
    pub service_name: String,
    /// Maximum number of spans waiting for export, at least 1.
    pub queue_size: usize,
    /// Fraction of requests to trace, from 0 to 1.
    pub ratio: f64,
    /// Whether the sampling decision in a request's `traceparent` overrides `ratio`.
    pub follows_callers: bool,
}

/// Exports spans to a collector on a separate thread. Clones share the exporter. Requests never
/// wait for the collector: spans that it does not accept in time are lost.
#[derive(Debug, Clone)]
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// The span of one request, from its headers to its response.
#[derive(Debug)]
pub(in crate::http) struct Trace<'a> {
    tracer: &'a SdkTracer,
    context: Context,
    began: (Instant, SystemTime),
}

/// The attributes of a request's span; never its texts.
#[derive(Debug)]
pub(in crate::http) struct SpanAttributes<'a> {
    pub(in crate::http) request_id: &'a str,
    pub(in crate::http) status: u16,
    pub(in crate::http) code: Option<&'static str>,
    pub(in crate::http) cost: Option<Cost>,
    pub(in crate::http) phases: &'a [Phase],
}

impl Traces {
    /// Creates the exporter, without checking that the collector is reachable.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the endpoint is not an HTTP URL.
    pub fn open(settings: TraceSettings) -> Result<Self> {
        let TraceSettings { endpoint, headers, service_name, queue_size, ratio, follows_callers } =
            settings;
        let refused = |reason| Error::Config { name: "otlp-endpoint", reason };
        if !["http://", "https://"].iter().any(|scheme| endpoint.starts_with(scheme)) {
            return Err(refused(format!("{endpoint}: expected a URL with http or https")));
        }
        let exporter = SpanExporter::builder()
            .with_http()
            .with_endpoint(endpoint)
            .with_headers(headers.into_iter().collect())
            .with_protocol(Protocol::HttpBinary)
            .build()
            .map_err(|fault| refused(fault.to_string()))?;
        let sampler = Sampler::TraceIdRatioBased(ratio);
        let batches = BatchConfigBuilder::default().with_max_queue_size(queue_size).build();
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        let builder = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_resource(Resource::builder().with_service_name(service_name).build());
        let builder = if follows_callers {
            builder.with_sampler(Sampler::parent_based(sampler))
        } else {
            builder.with_sampler(sampler)
        };
        let provider = builder.build();
        let tracer = provider.tracer("moderato");
        Ok(Self { provider, tracer })
    }

    /// Exports the remaining spans, for a few seconds at most.
    pub async fn close(self) {
        let closing = tokio::task::spawn_blocking(move || {
            self.provider.shutdown_with_timeout(SHUTDOWN_TIMEOUT).map_err(|fault| fault.to_string())
        });
        if let Ok(Err(fault)) = closing.await {
            warn!("the last traces were not sent: {fault}");
        }
    }

    /// Starts the span of a request, as part of the trace that its headers name, if any.
    pub(in crate::http) fn begin(
        &self,
        headers: &HeaderMap,
        method: &'static str,
        route: &str,
    ) -> Trace<'_> {
        let began = (Instant::now(), SystemTime::now());
        let caller = TraceContextPropagator::new()
            .extract_with_context(&Context::new(), &HeaderExtractor(headers));
        let span = self
            .tracer
            .span_builder(format!("{method} {route}"))
            .with_kind(SpanKind::Server)
            .with_start_time(began.1)
            .with_attributes([
                KeyValue::new("http.request.method", method),
                KeyValue::new("http.route", route.to_owned()),
            ])
            .start_with_context(&self.tracer, &caller);
        Trace { tracer: &self.tracer, context: caller.with_span(span), began }
    }
}

impl Trace<'_> {
    /// Returns the trace id in hexadecimal.
    pub(in crate::http) fn id(&self) -> String {
        self.context.span().span_context().trace_id().to_string()
    }

    /// Ends the span, with a child span for each phase that the engine has recorded.
    pub(in crate::http) fn end(self, told: &SpanAttributes<'_>) {
        let span = self.context.span();
        if !span.is_recording() {
            return;
        }
        for phase in told.phases {
            let end = phase.start + phase.elapsed;
            let mut child = self
                .tracer
                .span_builder(phase.step.name())
                .with_start_time(self.wall(phase.start))
                .start_with_context(self.tracer, &self.context);
            opentelemetry::trace::Span::end_with_timestamp(&mut child, self.wall(end));
        }
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(told.status)));
        span.set_attribute(KeyValue::new("moderato.request_id", told.request_id.to_owned()));
        if let Some(Cost { n_texts, n_tokens }) = told.cost {
            span.set_attribute(KeyValue::new("moderato.n_texts", count(n_texts)));
            span.set_attribute(KeyValue::new("moderato.n_tokens", count(n_tokens)));
        }
        if let Some(code) = told.code {
            span.set_attribute(KeyValue::new("error.type", code));
        }
        // A client error is not an error of the server's span.
        if told.status >= 500 {
            span.set_status(Status::error(told.code.unwrap_or_default()));
        }
        span.end_with_timestamp(self.wall(Instant::now()));
    }

    fn wall(&self, instant: Instant) -> SystemTime {
        let (began, at) = self.began;
        at + instant.saturating_duration_since(began)
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Lets the propagator read request headers.
struct HeaderExtractor<'a>(&'a HeaderMap);

impl Extractor for HeaderExtractor<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(axum::http::HeaderName::as_str).collect()
    }
}

/// An unreachable collector must not delay the shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);
