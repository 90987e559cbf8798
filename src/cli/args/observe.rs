//! The arguments for the audit log and for traces.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::ValueEnum;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Audit")]
pub(in crate::cli) struct AuditArgs {
    /// File for one JSON line per scored request, without its texts [default: none]
    #[arg(id = "audit-log", long, env = "MODERATO_AUDIT_LOG", value_name = "FILE")]
    pub(in crate::cli) file: Option<PathBuf>,
    /// What to do with a request whose line cannot be written
    #[arg(
        id = "audit-on-failure",
        long,
        env = "MODERATO_AUDIT_ON_FAILURE",
        default_value = "refuse"
    )]
    pub(in crate::cli) on_failure: AuditFailure,
    /// Maximum bytes of that file; then a new one begins
    #[arg(id = "audit-max-bytes", long, env = "MODERATO_AUDIT_MAX_BYTES", value_name = "N")]
    #[arg(default_value = "104857600")]
    pub(in crate::cli) max_bytes: NonZeroU64,
    /// Number of full files to keep, as FILE.1 (the newest), FILE.2 and so on
    #[arg(
        id = "audit-keep",
        long,
        env = "MODERATO_AUDIT_KEEP",
        value_name = "N",
        default_value_t = 10
    )]
    pub(in crate::cli) keep: u16,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Traces")]
pub(in crate::cli) struct TraceArgs {
    /// Collector to send a trace of each request to, by OTLP over HTTP [default: none]
    #[arg(id = "otlp-endpoint", long, value_name = "URL")]
    #[arg(long_help = "Collector to send a trace of each request to, by OTLP over HTTP\n\n\
                       [env: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT]\n\
                       [default: none]")]
    pub(in crate::cli) endpoint: Option<String>,
    /// Name of this service in traces [default: moderato]
    #[arg(id = "otlp-service-name", long, value_name = "NAME")]
    #[arg(long_help = "Name of this service in traces\n\n\
                       [env: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES]\n\
                       [default: moderato]")]
    pub(in crate::cli) service_name: Option<String>,
    /// Fraction of the requests without a traceparent to trace, from 0 to 1 [default: 1]
    #[arg(id = "trace-ratio", long, value_name = "SHARE", value_parser = share)]
    #[arg(long_help = "Fraction of the requests without a traceparent to trace, from 0 to 1\n\n\
                       [env: OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG]\n\
                       [default: 1]")]
    pub(in crate::cli) ratio: Option<f64>,
}

fn share(typed: &str) -> Result<f64, String> {
    let share = typed.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum AuditFailure {
    /// Refuse it with 503
    Refuse,
    /// Answer it and count the line as dropped
    Drop,
}
