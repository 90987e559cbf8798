//! Settings for traces, from the flags and from the environment variables that OpenTelemetry
//! specifies for every program.
//!
//! An invalid flag is refused. An invalid variable is logged and ignored, as the specification
//! requires, so that no variable can prevent the start.

mod headers;

use tracing::info;
use tracing::warn;

use crate::cli::args::TraceArgs;
use crate::cli::environment::Environment;
use crate::error::Result;
use crate::http::TraceSettings;
use crate::http::Traces;

/// Opens the exporter; returns `None` without a collector, or if a variable turns traces off.
pub(super) fn traces(args: &TraceArgs, environment: &Environment) -> Result<Option<Traces>> {
    let Some(settings) = settings(args, environment) else {
        return Ok(None);
    };
    match Traces::open(settings) {
        Ok(traces) => Ok(Some(traces)),
        Err(fault) if endpoint_flag(args).is_some() => Err(fault),
        Err(fault) => {
            let reason = fault.chain();
            warn!(reason, "the collector in the environment cannot be used: no traces are sent");
            Ok(None)
        }
    }
}

fn settings(args: &TraceArgs, environment: &Environment) -> Option<TraceSettings> {
    // Read first: without a collector there are no warnings about the other variables.
    let endpoint = endpoint(args, environment)?;
    if is_off(environment) {
        info!("the environment turns traces off");
        return None;
    }
    check_protocol(environment);
    let Sampling { ratio, follows_callers } = match args.ratio {
        Some(ratio) => Sampling { ratio, follows_callers: true },
        None => Sampling::read(environment),
    };
    Some(TraceSettings {
        endpoint,
        headers: headers::read(environment),
        service_name: service_name(args, environment),
        queue_size: queue_size(environment),
        ratio,
        follows_callers,
    })
}

/// Returns the URL to POST traces to. Only the variable specific to traces holds the full URL;
/// `/v1/traces` is appended to the others.
fn endpoint(args: &TraceArgs, environment: &Environment) -> Option<String> {
    let below = |base: &str| format!("{}/v1/traces", base.trim_end_matches('/'));
    let own = || environment.text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").map(str::to_owned);
    let common = || environment.text("OTEL_EXPORTER_OTLP_ENDPOINT").map(below);
    endpoint_flag(args).map(below).or_else(own).or_else(common)
}

fn endpoint_flag(args: &TraceArgs) -> Option<&str> {
    args.endpoint.as_deref().map(str::trim).filter(|endpoint| !endpoint.is_empty())
}

/// Returns whether OpenTelemetry as a whole, or only its traces, is turned off.
fn is_off(environment: &Environment) -> bool {
    const DISABLED: &str = "OTEL_SDK_DISABLED";
    const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
    // By the specification only this word is true; any other value is false.
    let disabled = environment.text(DISABLED).unwrap_or("false");
    if disabled.eq_ignore_ascii_case("true") {
        return true;
    }
    if !disabled.eq_ignore_ascii_case("false") {
        warn_ignored(DISABLED, disabled, "true or false");
    }
    let exporters = environment.text(EXPORTER).unwrap_or("otlp");
    let mut words = exporters.split(',').map(|word| word.trim().to_ascii_lowercase());
    if words.clone().all(|word| word == "none") {
        return true;
    }
    if !words.all(|word| word == "otlp") {
        warn_ignored(EXPORTER, exporters, "otlp or none");
    }
    false
}

fn check_protocol(environment: &Environment) {
    let names = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
    let chosen = names.into_iter().find_map(|name| Some((name, environment.text(name)?)));
    if let Some((name, protocol)) = chosen
        && !protocol.eq_ignore_ascii_case("http/protobuf")
    {
        warn_ignored(name, protocol, "http/protobuf, which is what is sent");
    }
}

/// Returns the name under which the collector lists this service.
fn service_name(args: &TraceArgs, environment: &Environment) -> String {
    let attribute = || {
        let attributes = environment.text("OTEL_RESOURCE_ATTRIBUTES")?;
        let mut pairs = attributes.split(',').filter_map(|pair| pair.split_once('='));
        let (_, name) = pairs.find(|(key, _)| key.trim() == "service.name")?;
        Some(name.trim()).filter(|name| !name.is_empty())
    };
    let typed = args.service_name.as_deref().filter(|name| !name.trim().is_empty());
    let name = typed.or_else(|| environment.text("OTEL_SERVICE_NAME")).or_else(attribute);
    name.unwrap_or("moderato").to_owned()
}

/// Returns the maximum number of queued spans, bounded because the exporter accepts any number and
/// allocates memory for it.
fn queue_size(environment: &Environment) -> usize {
    const QUEUE: &str = "OTEL_BSP_MAX_QUEUE_SIZE";
    const MAX_QUEUE_SIZE: usize = 1 << 20;
    let Some(value) = environment.text(QUEUE) else { return DEFAULT_QUEUE_SIZE };
    let size = value.parse().ok().filter(|size| (1..=MAX_QUEUE_SIZE).contains(size));
    size.unwrap_or_else(|| {
        warn_ignored(QUEUE, value, "a number of spans from 1 to 1048576");
        DEFAULT_QUEUE_SIZE
    })
}

/// Which requests are traced.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sampling {
    ratio: f64,
    follows_callers: bool,
}

impl Sampling {
    /// Reads `OTEL_TRACES_SAMPLER`, and `OTEL_TRACES_SAMPLER_ARG` for samplers with an argument.
    fn read(environment: &Environment) -> Self {
        let default = Self { ratio: 1.0, follows_callers: true };
        let Some(sampler) = environment.text(SAMPLER) else {
            if let Some(argument) = environment.text(ARGUMENT) {
                warn_ignored(ARGUMENT, argument, "OTEL_TRACES_SAMPLER beside it");
            }
            return default;
        };
        let lower = sampler.to_ascii_lowercase();
        let (root, follows_callers) = match lower.strip_prefix("parentbased_") {
            Some(root) => (root, true),
            None => (lower.as_str(), false),
        };
        let ratio = match root {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => ratio(environment),
            _ => {
                let expected = "always_on, always_off or traceidratio, or one of them after \
                                parentbased_";
                warn_ignored(SAMPLER, sampler, expected);
                return default;
            }
        };
        Self { ratio, follows_callers }
    }
}

/// Returns the fraction of requests to trace; 1 if the variable is unset or invalid.
fn ratio(environment: &Environment) -> f64 {
    let Some(argument) = environment.text(ARGUMENT) else {
        return 1.0;
    };
    let ratio = argument.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.unwrap_or_else(|| {
        warn_ignored(ARGUMENT, argument, "a number from 0 to 1");
        1.0
    })
}

fn warn_ignored(variable: &str, value: &str, expected: &str) {
    warn!(variable, value, "a variable of OpenTelemetry is ignored: expected {expected}");
}

/// The default in the specification.
const DEFAULT_QUEUE_SIZE: usize = 2048;
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";

#[cfg(test)]
mod tests;
