//! The help: what it says, and which flags are environment variables.

use insta::assert_snapshot;

use crate::support;

#[test]
fn help_names_the_commands() {
    assert_snapshot!(help(&[]), @r#"
    Scores text against every category of a usage policy

    Usage: moderato [OPTIONS] <COMMAND>

    Commands:
      serve     Serve scores over HTTP
      score     Score texts from the command line or from a file
      batch     Answer a file of requests, in the batch format of OpenAI
      evaluate  Measure how good the scores are on labelled texts
      policy    Show the policy that texts are judged by
      key       Make keys for --api-keys-file of serve
      help      Print this message or the help of the given subcommand(s)

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Logging:
          --log <FILTER>
              What to log: a level, or levels by module [default: info for serve, warn else]

              [env: MODERATO_LOG=]

          --log-format <LOG_FORMAT>
              How to log, on stderr

              Possible values:
              - text: A line for people
              - json: A JSON object a line

              [env: MODERATO_LOG_FORMAT=]
              [default: text]
    "#);
}

#[test]
fn help_of_serve_names_the_address_the_model_and_the_limits() {
    let help = help(&["serve"]);
    assert_snapshot!(help.split("\nConnections:\n").next().unwrap(), @r#"
    Serve scores over HTTP

    Usage: moderato serve [OPTIONS]

    Options:
          --listen <ADDRESS>
              Address to listen on: HOST:PORT (port 0 picks a free one and logs it), :PORT for all
              interfaces, unix:PATH[?mode=0660], or systemd:[NAME] for a socket of a socket unit

              [env: MODERATO_LISTEN=]
              [default: 127.0.0.1:8080]

          --admin-listen <ADDRESS>
              Address of the routes that exchange the model; local, or with keys and TLS

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
              A policy.toml to use instead of the model's own; of several the first is the default

              [env: MODERATO_POLICY=]

          --benign-label <LABEL>
              A label that stands for harmless texts, where there is no policy; of several models
              NAME=LABEL

              [env: MODERATO_BENIGN_LABEL=]

          --activation <ACTIVATION>
              How scores are made, sigmoid or softmax, in place of what config.json says; of several
              models NAME=ACTIVATION

              [env: MODERATO_ACTIVATION=]

          --device <DEVICE>
              Where to run: cpu, cuda, cuda:N, metal or metal:N

              [env: MODERATO_DEVICE=]
              [default: cpu]

          --dtype <DTYPE>
              What to compute in: f32 or int8 (CPU only; faster, scores differ a little)

              [env: MODERATO_DTYPE=]
              [default: f32]

          --threads <N>
              Threads to compute with [default: the CPUs that the process may use]

              [env: MODERATO_THREADS=]

          --replicas <N>
              Copies of the model that compute side by side on the CPU: they share the memory of its
              weights, and divide the threads

              [env: MODERATO_REPLICAS=]
              [default: 1]

          --batch-tokens <N>
              Most tokens computed at once [default: 256 for each thread of a replica, 16384 on a GPU]

              [env: MODERATO_BATCH_TOKENS=]

          --overlap <N>
              Tokens that neighbouring windows of a long text share

              [env: MODERATO_OVERLAP=]
              [default: 64]

          --normalise <BOOL>
              Read disguised texts (zero-width characters, look-alikes, l33t, s p a c e d) plain too

              [env: MODERATO_NORMALISE=]
              [default: true]
              [possible values: true, false]

    Limits:
          --max-chars <N>
              Most characters in a text

              [env: MODERATO_MAX_CHARS=]
              [default: 100000]

          --max-request-tokens <N>
              Most tokens in a request, counted over all windows of its texts

              [env: MODERATO_MAX_REQUEST_TOKENS=]
              [default: 32768]

          --span-tokens <N>
              Most tokens that finding the spans of a request may cost beyond its own

              [env: MODERATO_SPAN_TOKENS=]
              [default: 8192]

          --ignore-images
              Leave images out of a moderation instead of refusing them

              [env: MODERATO_IGNORE_IMAGES=]

          --max-body-bytes <N>
              Largest body of a request, in bytes

              [env: MODERATO_MAX_BODY_BYTES=]
              [default: 2097152]

          --max-texts <N>
              Most texts in a request

              [env: MODERATO_MAX_TEXTS=]
              [default: 256]

          --queue-tokens <N>
              Most tokens that may wait; beyond it requests are refused with 503

              [env: MODERATO_QUEUE_TOKENS=]
              [default: 131072]

          --queue-ms <MS>
              Longest that what waits may take at the model's pace, in milliseconds; beyond it, 503 too

              [env: MODERATO_QUEUE_MS=]
              [default: 1500]

          --timeout-ms <MS>
              Time a request may take, in milliseconds; its header x-request-timeout-ms may lower it

              [env: MODERATO_TIMEOUT_MS=]
              [default: 10000]
    "#);
}

#[test]
fn help_of_serve_names_what_connections_may_take() {
    let help = help(&["serve"]);
    let from = help.find("Connections:\n").unwrap();
    let to = help.find("\nAccess:\n").unwrap();
    assert_snapshot!(&help[from..to], @r#"
    Connections:
          --tls-cert <FILE>
              Certificates to show, in PEM, the server's own first [default: no TLS]

              [env: MODERATO_TLS_CERT=]

          --tls-key <FILE>
              The key of the first of them, in PEM

              [env: MODERATO_TLS_KEY=]

          --max-connections <N>
              Most connections; beyond them, 503

              [env: MODERATO_MAX_CONNECTIONS=]
              [default: 4096]

          --max-header-bytes <N>
              Largest headers of a request, in bytes; beyond it, 431

              [env: MODERATO_MAX_HEADER_BYTES=]
              [default: 16384]

          --header-timeout-ms <MS>
              Time for the headers of a request, in milliseconds; beyond it, 408

              [env: MODERATO_HEADER_TIMEOUT_MS=]
              [default: 10000]

          --idle-timeout-ms <MS>
              Time from an answer to the next request, in milliseconds

              [env: MODERATO_IDLE_TIMEOUT_MS=]
              [default: 75000]

          --write-timeout-ms <MS>
              Time that a client may leave an answer unread, in milliseconds

              [env: MODERATO_WRITE_TIMEOUT_MS=]
              [default: 30000]
    "#);
}

#[test]
fn help_of_serve_names_who_may_ask_and_the_shutdown() {
    let help = help(&["serve"]);
    assert_snapshot!(&help[help.find("Access:\n").unwrap()..], @r#"
    Access:
          --api-keys-file <FILE>
              Keys that may ask, a line each, as moderato key new prints it [default: anybody may ask]

              [env: MODERATO_API_KEYS_FILE=]

          --open <AREAS>
              What needs no key where there are keys, separated by commas

              Possible values:
              - health:  /health/live, /health/ready and /v2/health
              - metrics: /metrics, which else needs a key with the role admin
              - docs:    /docs and /openapi.json
              - none:    Nothing

              [env: MODERATO_OPEN=]
              [default: health]

    Audit:
          --audit-log <FILE>
              Where to write a JSON line for each scored request, without its texts [default: nowhere]

              [env: MODERATO_AUDIT_LOG=]

          --audit-on-failure <audit-on-failure>
              What to do about a request whose line cannot be written

              Possible values:
              - refuse: Refuse it with 503
              - drop:   Answer it and count the line as lost

              [env: MODERATO_AUDIT_ON_FAILURE=]
              [default: refuse]

          --audit-max-bytes <N>
              Largest size of that file; what comes then begins a new one

              [env: MODERATO_AUDIT_MAX_BYTES=]
              [default: 104857600]

          --audit-keep <N>
              Full files to keep, as FILE.1 (the newest), FILE.2 and so on

              [env: MODERATO_AUDIT_KEEP=]
              [default: 10]

    Traces:
          --otlp-endpoint <URL>
              Collector to send a trace of each request to, by OTLP over HTTP

              [env: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT]
              [default: none]

          --otlp-service-name <NAME>
              What the collector knows this service by

              [env: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES]
              [default: moderato]

          --trace-ratio <SHARE>
              Share to trace of the requests that come without a traceparent, 0 to 1

              [env: OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG]
              [default: 1]

    Shutdown:
          --drain-delay-ms <MS>
              On SIGTERM: how long to go on serving while unready, in milliseconds

              [env: MODERATO_DRAIN_DELAY_MS=]
              [default: 0]

          --grace-ms <MS>
              After that: how long to finish what was accepted, in milliseconds

              [env: MODERATO_GRACE_MS=]
              [default: 25000]

    Logging:
          --log <FILTER>
              What to log: a level, or levels by module [default: info for serve, warn else]

              [env: MODERATO_LOG=]

          --log-format <LOG_FORMAT>
              How to log, on stderr

              Possible values:
              - text: A line for people
              - json: A JSON object a line

              [env: MODERATO_LOG_FORMAT=]
              [default: text]
    "#);
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
              JSON lines to score, each with a field "text"; - is stdin

          --output <FILE>
              Where to write JSON lines; - is stdout [default: -]

          --result-key <NAME>
              Field to put the results into, as an object [default: their fields beside those of the
              line]

              [env: MODERATO_RESULT_KEY=]

          --clauses
              Add clause scores to violated categories, for clauses that the model scores

              [env: MODERATO_CLAUSES=]

          --on-error <ON_ERROR>
              What to do about a line that cannot be scored

              Possible values:
              - stop: Write what came before it, then stop
              - skip: Report it on stderr and go on

              [env: MODERATO_ON_ERROR=]
              [default: stop]

      -h, --help
              Print help (see a summary with '-h')
    "#);
}

#[test]
fn help_of_evaluate_names_the_labels() {
    assert_snapshot!(own(&help(&["evaluate"])), @r#"
    Measure how good the scores are on labelled texts

    Usage: moderato evaluate [OPTIONS] --input <FILE>

    Options:
          --input <FILE>
              JSON lines with "text" and "labels": {category: 1, 0, true, false or null}; - is stdin

          --json
              Print JSON instead of a table

          --max-windows <N>
              Leave out texts of more windows than this

      -h, --help
              Print help (see a summary with '-h')
    "#);
}

#[test]
fn help_of_policy_names_its_formats() {
    assert_snapshot!(own(&help(&["policy"])), @r#"
    Show the policy that texts are judged by

    Usage: moderato policy [OPTIONS]

    Options:
          --json
              Print JSON

          --toml
              Print TOML, to be edited and given to --policy

      -h, --help
              Print help (see a summary with '-h')
    "#);
}

#[test]
fn help_of_key_new_says_what_goes_where() {
    let help = help(&["key", "new"]);
    assert_snapshot!(help.split("\nLogging:\n").next().unwrap(), @r#"
    Make a key: its line for the file goes to stdout, the key itself, this once, to stderr

    Usage: moderato key new [OPTIONS] <NAME>

    Arguments:
      <NAME>
              Stands for the key in the file and in logs

    Options:
          --role <ROLE>
              What it opens

              Possible values:
              - client: Whatever scores and describes
              - admin:  That, and metrics

              [default: client]

      -h, --help
              Print help (see a summary with '-h')
    "#);
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
                // Those of traces are the ones that OpenTelemetry has named for all.
                *named |= is_ours || words.starts_with("[env: OTEL_");
            }
        }
        let unnamed: Vec<_> =
            flags.iter().filter(|(_, named)| !named).map(|(flag, _)| *flag).collect();
        assert_eq!(unnamed, without, "{command}");
    }
}

/// The long help, of a fixed width and without white space at the ends of lines.
fn help(command: &[&str]) -> String {
    let output =
        support::moderato().args(command).arg("--help").env("COLUMNS", "100").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8(output.stdout).unwrap();
    help.lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

/// What a command's help says before the sections that it shares with others.
fn own(help: &str) -> &str {
    help.split("\nModel:\n").next().unwrap()
}
