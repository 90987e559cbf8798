//! `moderato serve`: startup and shutdown.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;

use super::run;
use super::stderr;
use crate::support;

#[test]
fn it_serves_until_a_signal_and_ends_with_zero() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start(&support::tiny());
        server.wait_for("ready");
        let answer = server.post(r#"{"input": "good morning"}"#);
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        server.signal(signal);
        server.wait_for("every accepted request was answered");
        assert_eq!(server.child.wait().unwrap().code(), Some(0), "{signal}");
    }
}

#[test]
fn the_log_begins_with_the_address() {
    let mut server = Server::start_with(&support::tiny(), "info");
    let first: Value = serde_json::from_str(server.seen.lines().next().unwrap()).unwrap();
    assert_eq!(first["message"], "listening", "{first}");
    assert!(first["address"].as_str().unwrap().starts_with("127.0.0.1:"), "{first}");
    server.signal("TERM");
    server.read_to_end();
    assert_eq!(server.child.wait().unwrap().code(), Some(0), "also while the model is loaded");
}

#[test]
fn a_request_under_way_is_answered_before_the_end() {
    let mut server = Server::start(&support::tiny());
    server.wait_for("ready");
    let body = format!("{{\"input\": \"{}\"}}", "tea ".repeat(2000));
    let length = body.len();
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = "POST /v1/score HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n";
    let kind = "content-type: application/json\r\n";
    write!(stream, "{head}{kind}content-length: {length}\r\n\r\n").unwrap();
    // The server asks for the body only once it processes the request.
    let mut interim = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    stream.read_exact(&mut interim).unwrap();
    assert!(interim.starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&interim));
    server.signal("TERM");
    server.wait_for("draining");
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    server.wait_for("every accepted request was answered");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_text_of_a_user_is_never_logged() {
    let mut server = Server::start(&support::tiny());
    server.wait_for("ready");
    for body in [
        r#"{"input": "hidden words"}"#,
        r#"{"input": ["hidden words", 5]}"#,
        r#"{"input": "hidden words"#,
        r#"{"input": {"hidden words": "hidden words"}}"#,
        r#""hidden words""#,
    ] {
        let answer = server.post(body);
        assert!(!answer.contains("hidden"), "{answer}");
    }
    // An answer quotes the beginning of a name that the client chose.
    for body in [
        r#"{"input": "tea", "a whole text in place of a name, with hidden words": 1}"#,
        r#"{"input": "tea", "thresholds": {"a whole text in place of a name, with hidden words": 1}}"#,
        r#"{"input": "tea", "policy": "a whole text in place of a name, with hidden words"}"#,
        r#"{"input": "tea", "model": "a whole text in place of a name, with hidden words"}"#,
        r#"{"input": "tea", "categories": ["a whole text in place of a name, with hidden words"]}"#,
    ] {
        let answer = server.post(body);
        assert!(answer.contains("a whole text in place of a name"), "{answer}");
        assert!(!answer.contains("hidden"), "{answer}");
    }
    server.signal("TERM");
    server.wait_for("every accepted request was answered");
    assert!(!server.seen.contains("hidden") && !server.seen.contains("whole"), "{}", server.seen);
    assert!(server.seen.contains("a request was refused"), "{}", server.seen);
    server.child.wait().unwrap();
}

#[test]
fn a_taken_port_fails_at_once() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["serve", "--listen", &address]);
    assert_eq!(output.status.code(), Some(69));
    let message = format!("error: listening on {address} failed: ");
    assert!(stderr(&output).contains(&message), "{}", stderr(&output));
}

#[test]
fn a_broken_model_ends_with_78_and_is_never_ready() {
    let folder = support::tiny_copy();
    std::fs::write(folder.path().join("config.json"), "{").unwrap();
    let mut server = Server::start(folder.path());
    server.read_to_end();
    assert_eq!(server.child.wait().unwrap().code(), Some(78));
    assert!(!server.seen.contains("\"ready\""), "{}", server.seen);
    assert!(server.seen.contains("config.json: expected"), "{}", server.seen);
}

#[test]
fn a_hangup_reads_the_files_again_and_keeps_what_serves_if_they_are_faulty() {
    let folder = support::tiny_copy();
    let mut server = Server::start(folder.path());
    server.wait_for("ready");
    let body = r#"{"input": "good morning"}"#;
    assert!(server.post(body).contains("model-labels@0"));
    let labels = ["spam", "insult", "threat", "leak"];
    let categories = labels.map(|label| {
        format!(
            "[[categories]]\nid = \"{label}\"\nlabel = \"{label}\"\ntitle = \"t\"\nsummary = \"s\"\n\
             threshold = 0.5\naction = \"flag\"\nclauses = []\n"
        )
    });
    let policy = format!("id = \"house\"\nname = \"n\"\nversion = \"1\"\n{}", categories.concat());
    std::fs::write(folder.path().join("policy.toml"), &policy).unwrap();
    server.signal("HUP");
    server.wait_for("swapped the model");
    assert!(server.post(body).contains("house@1"));
    std::fs::write(folder.path().join("policy.toml"), policy.replace("flag", "sue")).unwrap();
    server.signal("HUP");
    let refused = server.wait_for("the new model does not serve");
    assert!(refused["reason"].as_str().unwrap().contains("unknown variant `sue`"), "{refused}");
    assert!(server.post(body).contains("house@1"));
    // Nobody writes to this pipe, and the server must not wait for a writer.
    std::fs::remove_file(folder.path().join("policy.toml")).unwrap();
    let mkfifo = Command::new("mkfifo").arg(folder.path().join("policy.toml")).status();
    assert!(mkfifo.unwrap().success());
    server.signal("HUP");
    let refused = server.wait_for("the new model does not serve");
    assert!(refused["reason"].as_str().unwrap().contains("it is a pipe"), "{refused}");
    std::fs::remove_file(folder.path().join("policy.toml")).unwrap();
    std::fs::write(folder.path().join("policy.toml"), policy.replace("house", "home")).unwrap();
    server.signal("HUP");
    server.wait_for("swapped the model");
    assert!(server.post(body).contains("home@1"));
    server.signal("TERM");
    server.wait_for("every accepted request was answered");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_signal_under_load_loses_no_request_that_was_accepted() {
    for _ in 0..3 {
        // Under load, the measured throughput may be too low for all clients, and some be refused.
        let flags = ["--listen", "127.0.0.1:0", "--max-queue-ms", "3600000"];
        let mut server = Server::with(&support::tiny(), &flags);
        server.wait_for("ready");
        let clients: Vec<_> = (0..8)
            .map(|_| {
                let address = server.address.clone();
                std::thread::spawn(move || ask_until_refused(&address))
            })
            .collect();
        while server.send(METRICS).contains("moderato_engine_texts_total 0\n") {}
        server.signal("TERM");
        server.wait_for("every accepted request was answered");
        assert_eq!(server.child.wait().unwrap().code(), Some(0));
        for client in clients {
            assert!(client.join().unwrap() > 0);
        }
    }
}

/// Sends requests, each on its own connection, until connections are refused; returns the number of
/// responses.
fn ask_until_refused(address: &str) -> usize {
    let body = format!("{{\"input\": \"{}\"}}", "tea ".repeat(100));
    let head = "POST /v1/score HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
    let length = body.len();
    let kind = "content-type: application/json\r\n";
    let request = format!("{head}{kind}content-length: {length}\r\n\r\n{body}");
    let mut n_answered = 0;
    while let Ok(mut stream) = TcpStream::connect(address) {
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(answer.ends_with('}'), "{answer}");
        n_answered += 1;
    }
    n_answered
}

const METRICS: &str = "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut server = Server::start(&support::tiny());
    server.wait_for("ready");
    let _begun = server.begin_request();
    server.signal("TERM");
    server.wait_for("draining");
    #[expect(clippy::disallowed_methods, reason = "within a second it would repeat the first")]
    std::thread::sleep(Duration::from_millis(1100));
    server.signal("TERM");
    server.wait_for("some requests were not answered before the end");
    assert_eq!(server.child.wait().unwrap().code(), Some(75));
}

#[test]
fn sizes_without_bounds_are_taken() {
    let most = usize::MAX.to_string();
    let flags =
        ["--listen", "127.0.0.1:0", "--max-batch-tokens", &most, "--max-header-bytes", &most];
    let mut server = Server::with(&support::tiny(), &flags);
    server.wait_for("ready");
    let answer = server.post(r#"{"input": "good morning"}"#);
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    server.stop();
}

/// Starts a server that holds a partial request and has received two signals within a second;
/// `None` if that took longer.
fn signalled_twice(signals: [&str; 2]) -> Option<(Server, TcpStream)> {
    let mut server = Server::start(&support::tiny());
    server.wait_for("ready");
    let request = server.begin_request();
    let began = Instant::now();
    for signal in signals {
        server.signal(signal);
        server.wait_for("received a signal");
    }
    (began.elapsed() < Duration::from_millis(900)).then_some((server, request))
}

#[test]
fn a_signal_that_is_repeated_within_a_second_cuts_nothing_off() {
    for signals in [["TERM", "TERM"], ["INT", "TERM"]] {
        let (mut server, mut request) = std::iter::repeat_with(|| signalled_twice(signals))
            .take(10)
            .find_map(|in_time| in_time)
            .expect("the machine is too busy for two signals within a second");
        request.write_all(&[b' '; PARTIAL_LENGTH - PARTIAL_BODY.len()]).unwrap();
        request.write_all(PARTIAL_BODY.as_bytes()).unwrap();
        let mut answer = String::new();
        request.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{signals:?}: {answer}");
        server.wait_for("every accepted request was answered");
        assert_eq!(server.child.wait().unwrap().code(), Some(0), "{signals:?}");
    }
}

/// The body that completes a partial request, after white space up to `PARTIAL_LENGTH`.
const PARTIAL_BODY: &str = r#"{"input": "good morning"}"#;
const PARTIAL_LENGTH: usize = 99;

#[test]
fn administrators_are_answered_on_loopback_unless_there_are_keys_and_tls() {
    let output = run(&["serve", "--admin-listen", "0.0.0.0:0"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(stderr(&output).contains("admin-listen: 0.0.0.0:0 can be reached"));
}

#[test]
fn what_is_wrong_with_the_configuration_is_told_before_anything_listens() {
    // In use, so that the server would fail on the address if it bound it first.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (flag, value, named) in [
        ("--otlp-endpoint", "localhost:4318", "otlp-endpoint: localhost:4318"),
        ("--tls-cert", "nowhere.pem", "--tls-key"),
        ("--admin-listen", "0.0.0.0:1", "admin-listen: 0.0.0.0:1"),
        ("--device", "abacus", "--device"),
        ("--max-queue-tokens", "1", "queue-tokens"),
    ] {
        let output = run(&["serve", "--listen", &address, flag, value]);
        assert_eq!(output.status.code(), Some(64), "{flag}: {}", stderr(&output));
        assert!(stderr(&output).contains(named), "{flag}: {}", stderr(&output));
    }
    let output = run(&["serve", "--listen", &address]);
    assert_eq!(output.status.code(), Some(69), "{}", stderr(&output));
}

#[cfg(target_os = "linux")]
#[test]
fn systemd_is_told_how_it_stands() {
    use std::os::unix::net::UnixDatagram;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let hear = || {
        let mut bytes = [0; 1000];
        let n_bytes = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..n_bytes]).into_owned()
    };
    let mut command = support::moderato();
    command.args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json", "--log", "info"]);
    command.arg("--model").arg(support::tiny()).env("NOTIFY_SOCKET", &path);
    let mut server = Server::from_command(&mut command);
    assert_eq!(hear().trim(), "READY=1");
    server.signal("HUP");
    let reloading = hear();
    assert!(reloading.contains("RELOADING=1"), "{reloading}");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    assert_eq!(hear().trim(), "READY=1");
    server.signal("TERM");
    assert_eq!(hear().trim(), "STOPPING=1");
    server.wait_for("every accepted request was answered");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

/// Far longer than anything in these tests takes.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A running server and its log.
pub(crate) struct Server {
    pub(crate) child: Child,
    lines: mpsc::Receiver<String>,
    pub(crate) seen: String,
    address: String,
}

impl Server {
    /// Starts a server at log level `debug`.
    fn start(model: &Path) -> Self {
        Self::start_with(model, "debug")
    }

    fn start_with(model: &Path, log: &str) -> Self {
        Self::with(model, &["--listen", "127.0.0.1:0", "--log", log])
    }

    /// Starts a server with these flags, at log level `debug` unless they say otherwise.
    pub(crate) fn with(model: &Path, flags: &[&str]) -> Self {
        let mut command = support::moderato();
        command.args(["serve", "--log-format", "json"]).args(flags).arg("--model").arg(model);
        Self::from_command(command.env("MODERATO_LOG", "debug"))
    }

    /// Starts a server with this command.
    pub(crate) fn from_command(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            log.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
        });
        let mut server = Self { child, lines, seen: String::new(), address: String::new() };
        let listening = server.wait_for("listening");
        listening["address"].as_str().unwrap().clone_into(&mut server.address);
        server
    }

    /// Reads the log up to a message and returns its entry.
    pub(crate) fn wait_for(&mut self, message: &str) -> Value {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no {message:?} in\n{}", self.seen));
            self.seen.push_str(&line);
            self.seen.push('\n');
            match serde_json::from_str::<Value>(&line) {
                Ok(entry) if entry["message"] == message => return entry,
                _ => {}
            }
        }
    }

    fn read_to_end(&mut self) {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.seen.extend([line, "\n".into()]),
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("no end after\n{}", self.seen),
            }
        }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn post(&self, body: &str) -> String {
        let length = body.len();
        let head = "POST /v1/score HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
        let kind = "content-type: application/json\r\n";
        self.send(&format!("{head}{kind}content-length: {length}\r\n\r\n{body}"))
    }

    /// Begins a request that the server processes and whose body it waits for.
    fn begin_request(&self) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = "POST /v1/score HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n";
        let kind = "content-type: application/json\r\n";
        write!(stream, "{head}{kind}content-length: {PARTIAL_LENGTH}\r\n\r\n").unwrap();
        // The server asks for the body only once it processes the request.
        let mut interim = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
        stream.read_exact(&mut interim).unwrap();
        assert!(interim.starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&interim));
        stream
    }

    pub(crate) fn send(&self, request: &str) -> String {
        ask(&self.address, request)
    }

    /// Stops the server and checks that it exits cleanly.
    pub(crate) fn stop(mut self) {
        self.signal("TERM");
        self.wait_for("every accepted request was answered");
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }
}

/// Returns the `serve` command with the tiny model and a log.
pub(super) fn program(flags: &[&str]) -> Command {
    let mut command = support::moderato();
    command.args(["serve", "--log", "info", "--log-format", "json"]).args(flags);
    command.arg("--model").arg(support::tiny());
    command
}

/// Sends a signal to a process.
pub(crate) fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
}

/// Sends a request that asks for the connection to be closed, and reads the answer.
pub(crate) fn ask(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

impl Drop for Server {
    fn drop(&mut self) {
        // Stops the server of a failed test; one that has exited is not affected.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
