use super::*;

#[test]
fn only_the_variable_for_traces_names_the_whole_url() {
    for (flag, own, common, expected) in [
        (None, "", "", None),
        (None, "", "http://c:4318", Some("http://c:4318/v1/traces")),
        (None, "", " http://c:4318/base/ ", Some("http://c:4318/base/v1/traces")),
        (None, "http://t:9/any", "http://c:4318", Some("http://t:9/any")),
        (None, "http://t:9/", "", Some("http://t:9/")),
        (Some("http://f:1/"), "http://t:9", "http://c:2", Some("http://f:1/v1/traces")),
        (Some(""), "", "http://c:4318", Some("http://c:4318/v1/traces")),
    ] {
        let args = TraceArgs { endpoint: flag.map(str::to_owned), ..ARGS };
        let environment = Environment::from([(TRACES, own), (COMMON, common)]);
        let settings = settings(&args, &environment);
        let endpoint = settings.map(|settings| settings.endpoint);
        assert_eq!(endpoint.as_deref(), expected, "{flag:?} {own} {common}");
    }
}

#[test]
fn traces_are_off_where_a_variable_says_so() {
    for (variable, value, is_on) in [
        ("OTEL_SDK_DISABLED", "true", false),
        ("OTEL_SDK_DISABLED", "TRUE", false),
        ("OTEL_SDK_DISABLED", "false", true),
        ("OTEL_SDK_DISABLED", "1", true), // by the specification
        ("OTEL_SDK_DISABLED", "", true),
        ("OTEL_TRACES_EXPORTER", "none", false),
        ("OTEL_TRACES_EXPORTER", "None", false),
        ("OTEL_TRACES_EXPORTER", "otlp", true),
        ("OTEL_TRACES_EXPORTER", "console, otlp", true),
        ("OTEL_TRACES_EXPORTER", "zipkin", true),
        ("OTEL_TRACES_EXPORTER", " ", true),
    ] {
        let environment = Environment::from([(COMMON, "http://c:4318"), (variable, value)]);
        let is_sent = settings(&ARGS, &environment).is_some();
        assert_eq!(is_sent, is_on, "{variable}={value}");
    }
}

#[test]
fn samplers_are_those_of_the_specification_and_a_flag_is_stronger() {
    for (flag, sampler, argument, ratio, follows_callers) in [
        (None, "", "", 1.0, true),
        (None, "always_on", "0.5", 1.0, false),
        (None, "always_off", "", 0.0, false),
        (None, "traceidratio", "0.25", 0.25, false),
        (None, "parentbased_always_on", "", 1.0, true),
        (None, "parentbased_always_off", "0.5", 0.0, true),
        (None, "ParentBased_TraceIdRatio", " 0.25 ", 0.25, true),
        (None, "traceidratio", "", 1.0, false),
        (None, "traceidratio", "abc", 1.0, false),
        (None, "parentbased_traceidratio", "1.5", 1.0, true),
        (None, "parentbased_traceidratio", "nan", 1.0, true),
        (None, "xray", "0.25", 1.0, true),
        (None, "", "0.25", 1.0, true), // ignored without a sampler
        (Some(0.5), "always_off", "abc", 0.5, true),
    ] {
        let args = TraceArgs { ratio: flag, ..ARGS };
        let variables = [(COMMON, "http://c:4318"), (SAMPLER, sampler), (ARGUMENT, argument)];
        let settings = settings(&args, &Environment::from(variables)).unwrap();
        let sampling =
            Sampling { ratio: settings.ratio, follows_callers: settings.follows_callers };
        let expected = Sampling { ratio, follows_callers };
        assert_eq!(sampling, expected, "{flag:?} {sampler} {argument}");
    }
}

#[test]
fn the_service_has_the_name_of_the_flag_the_variable_or_the_attribute() {
    for (typed, variable, attributes, expected) in [
        (None, "", "", "moderato"),
        (None, "", "a=b, service.name = guard ,c=d", "guard"),
        (None, "", "service.name=", "moderato"),
        (None, "named", "service.name=guard", "named"),
        (Some("typed"), "named", "service.name=guard", "typed"),
        (Some(" "), " ", "service.name=guard", "guard"),
    ] {
        let args = TraceArgs { service_name: typed.map(str::to_owned), ..ARGS };
        let environment = Environment::from([
            ("OTEL_SERVICE_NAME", variable),
            ("OTEL_RESOURCE_ATTRIBUTES", attributes),
        ]);
        let found = service_name(&args, &environment);
        assert_eq!(found, expected, "{typed:?} {variable} {attributes}");
    }
}

#[test]
fn a_queue_of_senseless_size_stops_nothing() {
    for (size, expected) in [
        ("", DEFAULT_QUEUE_SIZE),
        ("100", 100),
        ("0", DEFAULT_QUEUE_SIZE),
        ("-1", DEFAULT_QUEUE_SIZE),
        ("many", DEFAULT_QUEUE_SIZE),
        ("18446744073709551615", DEFAULT_QUEUE_SIZE),
    ] {
        let environment =
            Environment::from([(COMMON, "http://c:4318"), ("OTEL_BSP_MAX_QUEUE_SIZE", size)]);
        let settings = settings(&ARGS, &environment).unwrap();
        assert_eq!(settings.queue_size, expected, "{size:?}");
        Traces::open(settings).unwrap();
    }
}

#[test]
fn a_collector_that_cannot_be_used_stops_a_start_only_if_it_was_typed() {
    for endpoint in ["localhost:4318", "ftp://collector", "http://", "http://a b"] {
        for variable in [TRACES, COMMON] {
            let environment = Environment::from([(variable, endpoint)]);
            assert!(matches!(traces(&ARGS, &environment), Ok(None)), "{variable}={endpoint}");
        }
        let args = TraceArgs { endpoint: Some(endpoint.to_owned()), ..ARGS };
        assert!(traces(&args, &Environment::from([])).is_err(), "{endpoint}");
    }
}

const ARGS: TraceArgs = TraceArgs { endpoint: None, service_name: None, ratio: None };
const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const COMMON: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
