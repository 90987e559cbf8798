//! The help text, and the flags that are also environment variables.

use insta::assert_snapshot;

use crate::support;

#[test]
fn help_names_the_commands() {
    assert_snapshot!(help(&[]), @r"
    Scores text against every category of a usage policy

    Usage: moderato [OPTIONS] <COMMAND>

    Commands:
      serve     Serve scores over HTTP
      score     Score texts from the command line or from a file
      batch     Answer a file of requests in the format of OpenAI's Batch API
      evaluate  Measure the quality of the scores on labelled texts
      policy    Show the policy that serves by default
      key       Create keys for the --api-keys-file of serve
      help      Print this message or the help of the given subcommand(s)

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Logging:
          --log <FILTER>
              Level to log at, or levels by module [default: info for serve, warn otherwise]

              [env: MODERATO_LOG=]

          --log-format <LOG_FORMAT>
              Format of the log, on stderr

              Possible values:
              - text: Lines for people
              - json: One JSON object per line

              [env: MODERATO_LOG_FORMAT=]
              [default: text]
    ");
}

#[test]
fn help_of_serve_names_the_address_the_model_and_the_limits() {
    let help = help(&["serve"]);
    assert_snapshot!(help.split("\nConnections:\n").next().unwrap(), @r"
    Serve scores over HTTP

    Usage: moderato serve [OPTIONS]

    Options:
          --listen <ADDRESS>
              Address to listen on: HOST:PORT (port 0 picks a free port and logs it), :PORT for all
              interfaces, unix:PATH[?mode=0660], or systemd:[NAME] for a socket from systemd

              [env: MODERATO_LISTEN=]
              [default: 127.0.0.1:8080]

          --admin-listen <ADDRESS>
              Address of the routes that swap the model; any but a local one needs keys and TLS

              [env: MODERATO_ADMIN_LISTEN=]

      -h, --help
              Print help (see a summary with '-h')

    Model:
          --model <SOURCE>
              embedded, a folder, or ORG/NAME[@REVISION] of a Hugging Face hub; for serve also
              NAME=SOURCE, several times, of which the first is the default

              [env: MODERATO_MODEL=]
              [default: embedded]

          --policy <FILE>
              A policy.toml to use instead of the model's own; the first of several is the default

              [env: MODERATO_POLICY=]

          --benign-label <LABEL>
              A label that stands for harmless texts, where there is no policy; with several models,
              NAME=LABEL

              [env: MODERATO_BENIGN_LABEL=]

          --activation <ACTIVATION>
              Activation, sigmoid or softmax, instead of the one in config.json; with several models,
              NAME=ACTIVATION

              [env: MODERATO_ACTIVATION=]

          --device <DEVICE>
              Device to compute on: cpu, cuda, cuda:N, metal or metal:N

              [env: MODERATO_DEVICE=]
              [default: cpu]

          --dtype <DTYPE>
              Data type to compute in: f32 or int8 (CPU only; faster, scores differ a little)

              [env: MODERATO_DTYPE=]
              [default: f32]

          --threads <N>
              Number of compute threads [default: the CPUs that the process may use]

              [env: MODERATO_THREADS=]

          --replicas <N>
              Copies of the model that compute in parallel on the CPU; they share its weights in memory
              and divide the threads

              [env: MODERATO_REPLICAS=]
              [default: 1]

          --max-batch-tokens <N>
              Maximum tokens in a batch [default: 256 per thread of a replica, 16384 on a GPU]

              [env: MODERATO_MAX_BATCH_TOKENS=]

          --overlap <N>
              Tokens that neighbouring windows of a long text share

              [env: MODERATO_OVERLAP=]
              [default: 64]

          --normalise <BOOL>
              Score obfuscated texts (zero-width characters, look-alikes, l33t, s p a c e d) normalised
              too

              [env: MODERATO_NORMALISE=]
              [default: true]
              [possible values: true, false]

    Limits:
          --max-chars <N>
              Maximum characters in a text

              [env: MODERATO_MAX_CHARS=]
              [default: 100000]

          --max-request-tokens <N>
              Maximum tokens in a request, over all windows of its texts

              [env: MODERATO_MAX_REQUEST_TOKENS=]
              [default: 32768]

          --max-span-tokens <N>
              Maximum extra tokens for finding the spans of a request

              [env: MODERATO_MAX_SPAN_TOKENS=]
              [default: 8192]

          --ignore-images
              Ignore images, audio and video instead of refusing the request

              [env: MODERATO_IGNORE_IMAGES=]

          --max-body-bytes <N>
              Maximum bytes of a request body

              [env: MODERATO_MAX_BODY_BYTES=]
              [default: 2097152]

          --max-texts <N>
              Maximum texts in a request

              [env: MODERATO_MAX_TEXTS=]
              [default: 256]

          --max-queue-tokens <N>
              Maximum tokens in the queue; beyond it, 503

              [env: MODERATO_MAX_QUEUE_TOKENS=]
              [default: 131072]

          --max-queue-ms <MS>
              Maximum time to process the queue, by the model's throughput, in milliseconds; beyond it,
              503

              [env: MODERATO_MAX_QUEUE_MS=]
              [default: 1500]

          --request-timeout-ms <MS>
              Maximum time for a request, in milliseconds; the header x-request-timeout-ms may lower it

              [env: MODERATO_REQUEST_TIMEOUT_MS=]
              [default: 10000]
    ");
}

#[test]
fn help_of_serve_names_what_connections_may_take() {
    let help = help(&["serve"]);
    let from = help.find("Connections:\n").unwrap();
    let to = help.find("\nAccess:\n").unwrap();
    assert_snapshot!(&help[from..to], @r"
    Connections:
          --tls-cert <FILE>
              Certificate chain in PEM, the server's own certificate first [default: no TLS]

              [env: MODERATO_TLS_CERT=]

          --tls-key <FILE>
              Private key of that certificate, in PEM

              [env: MODERATO_TLS_KEY=]

          --max-connections <N>
              Maximum open connections; beyond it, 503

              [env: MODERATO_MAX_CONNECTIONS=]
              [default: 4096]

          --max-header-bytes <N>
              Maximum bytes of a request's headers; beyond it, 431

              [env: MODERATO_MAX_HEADER_BYTES=]
              [default: 16384]

          --header-timeout-ms <MS>
              Maximum time for the headers of a request, in milliseconds; beyond it, 408

              [env: MODERATO_HEADER_TIMEOUT_MS=]
              [default: 10000]

          --idle-timeout-ms <MS>
              Maximum time between an answer and the next request, in milliseconds

              [env: MODERATO_IDLE_TIMEOUT_MS=]
              [default: 75000]

          --write-timeout-ms <MS>
              Maximum time that a client may leave an answer unread, in milliseconds

              [env: MODERATO_WRITE_TIMEOUT_MS=]
              [default: 30000]
    ");
}

#[test]
fn help_of_serve_names_who_may_ask_and_the_shutdown() {
    let help = help(&["serve"]);
    assert_snapshot!(&help[help.find("Access:\n").unwrap()..], @r"
    Access:
          --api-keys-file <FILE>
              File of accepted keys, one line per key from moderato key new [default: no key needed]

              [env: MODERATO_API_KEYS_FILE=]

          --open <AREAS>
              Routes that need no key where keys are used, separated by commas

              Possible values:
              - health:  /health, /health/*, /ping and /v2/health/*
              - metrics: /metrics, which otherwise needs a key with the role admin
              - docs:    /docs and /openapi.json
              - none:    Nothing

              [env: MODERATO_OPEN=]
              [default: health]

    Audit:
          --audit-log <FILE>
              File for one JSON line per scored request, without its texts [default: none]

              [env: MODERATO_AUDIT_LOG=]

          --audit-on-failure <audit-on-failure>
              What to do with a request whose line cannot be written

              Possible values:
              - refuse: Refuse it with 503
              - drop:   Answer it and count the line as dropped

              [env: MODERATO_AUDIT_ON_FAILURE=]
              [default: refuse]

          --audit-max-bytes <N>
              Maximum bytes of that file; then a new one begins

              [env: MODERATO_AUDIT_MAX_BYTES=]
              [default: 104857600]

          --audit-keep <N>
              Number of full files to keep, as FILE.1 (the newest), FILE.2 and so on

              [env: MODERATO_AUDIT_KEEP=]
              [default: 10]

    Traces:
          --otlp-endpoint <URL>
              Collector to send a trace of each request to, by OTLP over HTTP

              [env: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT]
              [default: none]

          --otlp-service-name <NAME>
              Name of this service in traces

              [env: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES]
              [default: moderato]

          --trace-ratio <SHARE>
              Fraction of the requests without a traceparent to trace, from 0 to 1

              [env: OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG]
              [default: 1]

    Shutdown:
          --drain-delay-ms <MS>
              On SIGTERM: time to keep serving while unready, in milliseconds

              [env: MODERATO_DRAIN_DELAY_MS=]
              [default: 0]

          --shutdown-timeout-ms <MS>
              After that: maximum time to finish accepted requests, in milliseconds

              [env: MODERATO_SHUTDOWN_TIMEOUT_MS=]
              [default: 25000]

    Logging:
          --log <FILTER>
              Level to log at, or levels by module [default: info for serve, warn otherwise]

              [env: MODERATO_LOG=]

          --log-format <LOG_FORMAT>
              Format of the log, on stderr

              Possible values:
              - text: Lines for people
              - json: One JSON object per line

              [env: MODERATO_LOG_FORMAT=]
              [default: text]
    ");
}

#[test]
fn help_of_score_names_texts_and_files() {
    assert_snapshot!(own(&help(&["score"])), @r#"
    Score texts from the command line or from a file

    Usage: moderato score [OPTIONS] <TEXT|--input <FILE>>

    Arguments:
      [TEXT]...
              Texts to score

    Options:
          --input <FILE>
              JSON Lines to score, each with a field "text"; - is stdin

          --output <FILE>
              File for the results, as JSON Lines; - is stdout [default: -]

          --result-key <NAME>
              Field that takes the results as an object [default: results are added to the line's own
              fields]

              [env: MODERATO_RESULT_KEY=]

          --clauses
              Add clause scores to violated categories, for clauses that the model scores

              [env: MODERATO_CLAUSES=]

          --on-error <ON_ERROR>
              What to do with a line that cannot be scored

              Possible values:
              - stop: Write the results before it, then stop
              - skip: Report it on stderr and continue

              [env: MODERATO_ON_ERROR=]
              [default: stop]

      -h, --help
              Print help (see a summary with '-h')
    "#);
}

#[test]
fn help_of_evaluate_names_the_labels() {
    assert_snapshot!(own(&help(&["evaluate"])), @r#"
    Measure the quality of the scores on labelled texts

    Usage: moderato evaluate [OPTIONS] --input <FILE>

    Options:
          --input <FILE>
              JSON Lines with "text" and "labels": {category: 1, 0, true, false or null}; - is stdin

          --json
              Print JSON instead of a table

          --max-windows <N>
              Skip texts with more windows than this

      -h, --help
              Print help (see a summary with '-h')
    "#);
}

#[test]
fn help_of_policy_names_its_formats() {
    assert_snapshot!(own(&help(&["policy"])), @r"
    Show the policy that serves by default

    Usage: moderato policy [OPTIONS]

    Options:
          --json
              Print JSON

          --toml
              Print TOML, to edit and pass to --policy

      -h, --help
              Print help (see a summary with '-h')
    ");
}

#[test]
fn help_of_key_new_says_what_goes_where() {
    let help = help(&["key", "new"]);
    assert_snapshot!(help.split("\nLogging:\n").next().unwrap(), @r"
    Create a key: its line for the file goes to stdout, the key itself, only this once, to stderr

    Usage: moderato key new [OPTIONS] <NAME>

    Arguments:
      <NAME>
              Name of the key in the file and in logs

    Options:
          --role <ROLE>
              Role of the key

              Possible values:
              - client: Scoring and documentation
              - admin:  The same, metrics and the admin routes

              [default: client]

      -h, --help
              Print help (see a summary with '-h')
    ");
}

#[test]
fn the_flags_of_model_limits_and_logging_are_those_of_serve() {
    let serve = help(&["serve"]);
    for command in ["score", "evaluate", "policy"] {
        let help = help(&[command]);
        for entry in help[own(&help).len()..].split("\n\n      --").skip(1) {
            // An entry ends where the next section begins.
            let entry = entry.split("\n\nL").next().unwrap().trim_end();
            assert!(serve.contains(entry), "{command} has, and serve has not:\n{entry}");
        }
    }
}

#[test]
fn every_flag_is_an_environment_variable_but_those_of_one_run() {
    for (command, without) in [
        ("serve", &["--help"][..]),
        ("score", &["--input", "--output", "--help"]),
        ("evaluate", &["--input", "--json", "--max-windows", "--help"]),
        ("policy", &["--json", "--toml", "--help"]),
    ] {
        let help = help(&[command]);
        let mut flags: Vec<(&str, bool)> = Vec::new();
        for line in help.lines() {
            let words = line.trim_start().trim_start_matches("-h, ");
            if words.starts_with("--") {
                flags.push((words.split(' ').next().unwrap(), false));
            } else if let Some((flag, named)) = flags.last_mut() {
                let variable = flag.trim_start_matches('-').replace('-', "_").to_uppercase();
                let is_ours = words == format!("[env: MODERATO_{variable}=]");
                // The variables for traces have the names that OpenTelemetry specifies.
                *named |= is_ours || words.starts_with("[env: OTEL_");
            }
        }
        let unnamed: Vec<_> =
            flags.iter().filter(|(_, named)| !named).map(|(flag, _)| *flag).collect();
        assert_eq!(unnamed, without, "{command}");
    }
}

/// Returns the long help at a fixed width, without trailing white space.
fn help(command: &[&str]) -> String {
    let output =
        support::moderato().args(command).arg("--help").env("COLUMNS", "100").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8(output.stdout).unwrap();
    help.lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

/// Returns the part of a command's help before the sections shared with other commands.
fn own(help: &str) -> &str {
    help.split("\nModel:\n").next().unwrap()
}
