//! Environment variables as deployments set them: empty variables, several words for true, and the
//! variables specified by OpenTelemetry.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::net::TcpListener;
use std::process::Command;
use std::process::Output;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use super::quiet;
use super::serve::Server;
use super::serve::program;
use super::stderr;
use crate::support;

#[test]
fn an_empty_variable_of_a_flag_is_an_unset_one() {
    let help = support::moderato().args(["serve", "--help"]).output().unwrap().stdout;
    let help = String::from_utf8(help).unwrap();
    let variables =
        help.lines().filter_map(|line| line.trim().strip_prefix("[env: ")?.split_once('='));
    let names: Vec<_> = variables.map(|(name, _)| name).chain(["MODERATO_ON_ERROR"]).collect();
    assert!(names.len() > 30, "{names:?}");
    for value in ["", " "] {
        let mut command = support::moderato();
        command.args(["score", "Good morning", "--model"]).arg(support::tiny());
        let output = command.envs(names.iter().map(|name| (name, value))).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{value:?}: {}", stderr(&output));
        let mut server = serve(&names.iter().map(|name| (*name, value)).collect::<Vec<_>>());
        server.wait_for("ready");
        server.stop();
    }
}

/// The value is out of range, so that the error names the flag that received it.
#[test]
fn former_names_of_flags_and_variables_still_count_where_the_present_one_is_not_set() {
    for (former, present, value) in [
        ("batch-tokens", "max-batch-tokens", "0"),
        ("queue-tokens", "max-queue-tokens", "0"),
        ("queue-ms", "max-queue-ms", "0"),
        ("span-tokens", "max-span-tokens", "-"),
        ("timeout-ms", "request-timeout-ms", "0"),
        ("grace-ms", "shutdown-timeout-ms", "86400001"),
    ] {
        let variable = |flag: &str| format!("MODERATO_{}", flag.replace('-', "_").to_uppercase());
        let serve = || {
            let mut command = support::moderato();
            command.args(["serve", "--listen", "256.0.0.1:0"]);
            command
        };
        let by_flag = serve().arg(format!("--{former}={value}")).output().unwrap();
        let by_variable = serve().env(variable(former), value).output().unwrap();
        for output in [by_flag, by_variable] {
            assert_eq!(output.status.code(), Some(64), "{former}");
            assert!(stderr(&output).contains(&format!("--{present}")), "{}", stderr(&output));
        }
        let both = serve().env(variable(former), value).env(variable(present), "9").output();
        assert!(!stderr(&both.unwrap()).contains(&format!("--{present}")), "{former}");
    }
}

#[test]
fn a_flag_is_set_by_any_word_for_yes_and_not_by_one_for_no() {
    for (value, status) in [
        ("1", 200),
        ("true", 200),
        ("True", 200),
        ("TRUE", 200),
        ("yes", 200),
        ("on", 200),
        ("0", 400),
        ("false", 400),
        ("no", 400),
        ("Off", 400),
        ("", 400),
    ] {
        assert_eq!(status_of_an_image(value), Some(status), "{value}");
    }
    for (variable, flag) in
        [("MODERATO_IGNORE_IMAGES", "--ignore-images"), ("MODERATO_NORMALISE", "--normalise")]
    {
        let output = batch_of_an_image(variable, "perhaps");
        assert_eq!(output.status.code(), Some(64), "{variable}");
        assert!(stderr(&output).contains(flag), "{}", stderr(&output));
    }
    for value in ["True", "on", "0", "NO"] {
        let output = quiet().env("MODERATO_NORMALISE", value).args(["score", "tea"]).output();
        assert_eq!(output.unwrap().status.code(), Some(0), "{value}");
    }
}

#[test]
fn without_a_collector_no_variable_of_opentelemetry_stops_a_start_or_is_told() {
    let mut server = serve(&NONSENSE);
    server.wait_for("ready");
    assert!(!server.seen.contains("OTEL_"), "{}", server.seen);
    server.stop();
}

#[test]
fn with_a_collector_nonsense_is_told_by_name_and_left_alone() {
    let collector = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")];
    let mut server = serve(&[&NONSENSE[..], &collector].concat());
    server.wait_for("ready");
    let told = warnings(&server);
    for variable in REPORTED {
        let is_told = told.iter().any(|warning| warning["variable"] == variable);
        assert!(is_told, "{variable}: {}", server.seen);
    }
    assert!(!server.seen.contains("hidden"), "a header may be a key: {}", server.seen);
    server.stop();
    for variable in ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] {
        let mut server = serve(&[(variable, "localhost:4317")]);
        server.wait_for("ready");
        let mut warnings = warnings(&server).into_iter();
        let is_named = warnings.any(|warning| {
            warning["reason"].as_str().is_some_and(|reason| reason.contains("localhost:4317"))
        });
        assert!(is_named, "{variable}: {}", server.seen);
        server.stop();
    }
}

#[test]
fn the_collector_is_told_at_the_url_for_traces_with_its_headers() {
    let collector = Collector::start();
    let endpoint = format!("http://{}/some/path", collector.address);
    let mut server = serve(&[
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", ""),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=our%20key"),
        ("OTEL_TRACES_SAMPLER", "always_on"),
        ("NO_PROXY", "127.0.0.1"),
    ]);
    server.wait_for("ready");
    server.post(r#"{"input": "Good morning"}"#);
    server.stop();
    let head = collector.heads.recv_timeout(PATIENCE).unwrap();
    assert!(head.starts_with("POST /some/path HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("x-key: our key\r\n"), "{head}");
}

#[test]
fn nothing_is_sent_where_a_variable_turns_traces_off() {
    for (variable, value) in [
        ("OTEL_SDK_DISABLED", "True"),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_TRACES_SAMPLER", "always_off"),
    ] {
        let collector = Collector::start();
        let endpoint = format!("http://{}", collector.address);
        let mut server = serve(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
            (variable, value),
            ("NO_PROXY", "127.0.0.1"),
        ]);
        server.wait_for("ready");
        server.post(r#"{"input": "Good morning"}"#);
        // Any remaining spans would have been sent at shutdown.
        server.stop();
        assert!(collector.heads.try_recv().is_err(), "{variable}");
    }
}

/// Serves the tiny model with the given variables.
fn serve(variables: &[(&str, &str)]) -> Server {
    let mut command = program(&["--listen", "127.0.0.1:0"]);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OTEL_")) {
        command.env_remove(name);
    }
    Server::from_command(command.envs(variables.iter().copied()))
}

fn warnings(server: &Server) -> Vec<Value> {
    let lines = server.seen.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["level"] == "WARN").collect()
}

fn status_of_an_image(ignore: &str) -> Option<u64> {
    let output = batch_of_an_image("MODERATO_IGNORE_IMAGES", ignore);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    answer["response"]["status_code"].as_u64()
}

/// Runs a batch of one moderation request with a text and an image.
fn batch_of_an_image(variable: &str, value: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("requests.jsonl");
    let image = json!({"type": "image_url", "image_url": {"url": "https://example.org/a.png"}});
    let input = json!([{"type": "text", "text": "Tea?"}, image]);
    let line = json!({
        "custom_id": "a", "method": "POST", "url": "/v1/moderations", "body": {"input": input},
    });
    std::fs::write(&path, line.to_string()).unwrap();
    let mut command: Command = quiet();
    command.args(["batch", "--input"]).arg(&path).env(variable, value).output().unwrap()
}

/// A trace collector, and the heads of the requests it has received.
struct Collector {
    address: String,
    heads: mpsc::Receiver<String>,
}

impl Collector {
    fn start() -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap().to_string();
        let (sender, heads) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in tcp.incoming().map_while(Result::ok) {
                let lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let head = lines.take_while(|line| !line.is_empty());
                let head = head.flat_map(|line| [line, "\r\n".into()]).collect();
                let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                // Before the response, after which the server may exit.
                if sender.send(head).is_err() {
                    return;
                }
                let _ = (&stream).write_all(answer.as_bytes());
            }
        });
        Self { address, heads }
    }
}

const PATIENCE: Duration = Duration::from_mins(1);

/// Invalid values.
const NONSENSE: [(&str, &str); 9] = [
    ("OTEL_SDK_DISABLED", "perhaps"),
    ("OTEL_TRACES_EXPORTER", "pigeon"),
    ("OTEL_TRACES_SAMPLER", "traceidratio"),
    ("OTEL_TRACES_SAMPLER_ARG", "abc"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "smoke"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "hidden"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "brotli"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"),
];
/// The variables that the program reads and reports itself; the others are left to the library.
const REPORTED: [&str; 5] = [
    "OTEL_SDK_DISABLED",
    "OTEL_TRACES_EXPORTER",
    "OTEL_TRACES_SAMPLER_ARG",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_HEADERS",
];
