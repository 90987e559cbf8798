//! Outputs that are closed, full or unresponsive: no response waits for them.

use std::fs::File;
use std::io::BufRead;
use std::io::BufReader;
use std::io::PipeReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use tempfile::TempDir;

use super::json_lines;
use super::quiet;
use super::serve::PATIENCE;
use super::serve::signal;
use crate::support;

#[test]
fn a_log_that_cannot_be_written_costs_no_answer_and_no_time() {
    let (gone, full) = (std::io::pipe().unwrap(), std::io::pipe().unwrap());
    let mut servers = [
        Silent::start("/dev/null", &mut program(), Stdio::null()),
        Silent::start("a closed pipe", &mut program(), gone.1.into()),
        // As with 2>&1, so that nothing printed at shutdown gets through either.
        Silent::start("a full pipe", program().stdout(full.1.try_clone().unwrap()), full.1.into()),
        Silent::start("a closed descriptor", &mut without_stderr(), Stdio::inherit()),
    ];
    three_lines_and_no_more(gone.0);
    // More lines than the pipe and the queue in front of it can hold.
    servers[2].time_of(5000);
    let mut rates = rates(&mut servers);
    for _ in 0..2 {
        // Other load may have distorted the measurement.
        if rates.iter().any(|&rate| rate < 0.9) {
            rates = self::rates(&mut servers);
        }
    }
    for (server, rate) in servers.iter().zip(rates) {
        assert!(rate >= 0.9, "{}: {rate:.3} of the rate with /dev/null", server.name);
    }
    for (mut server, has_lost) in servers.into_iter().zip([false, true, true, false]) {
        assert!(server.get("/health/ready").starts_with("HTTP/1.1 200 OK"), "{}", server.name);
        let metrics = server.get("/metrics");
        let lost = metrics.lines().find_map(|line| line.strip_prefix(LINES_LOST)).unwrap();
        assert_eq!(lost.trim() != "0", has_lost, "{}: {lost} lines lost", server.name);
        server.end();
    }
    drop(full.0);
}

#[test]
fn without_a_log_texts_are_scored_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let requests = folder.path().join("requests.jsonl");
    let line =
        r#"{"custom_id": "1", "method": "POST", "url": "/v1/score", "body": {"input": "tea"}}"#;
    std::fs::write(&requests, line).unwrap();
    for (arguments, field) in [
        (vec!["score", "tea"], "flagged"),
        (vec!["batch", "--input", requests.to_str().unwrap()], "response"),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        // The tiny model has no policy, which causes a warning.
        let mut command = quiet();
        let output = command.env("MODERATO_LOG", "debug").args(&arguments).stderr(writer);
        let output = output.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(json_lines(&output)[0].get(field).is_some(), "{arguments:?}");
    }
}

#[test]
fn every_line_that_is_skipped_is_named_however_slowly_that_is_read() {
    // More lines than the pipe and the queue in front of it can hold.
    let n_lines = 20_000;
    let mut command = quiet();
    command.env("MODERATO_LOG", "warn");
    command.args(["score", "--input", "-", "--on-error", "skip"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let (fed, waiting) = std::sync::mpsc::channel::<()>();
    let feeding = std::thread::spawn(move || {
        stdin.write_all("none\n".repeat(n_lines).as_bytes()).unwrap();
        drop(fed);
    });
    // The program does not exit before its output is read.
    let _ = waiting.recv_timeout(Duration::from_secs(2));
    let stderr = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    feeding.join().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(stderr.matches("skipped: ").count(), n_lines);
    assert!(stderr.trim_end().ends_with("some lines were not scored n_skipped=20000"), "{stderr}");
}

#[test]
fn the_last_lines_are_written_before_the_end() {
    for (arguments, code, message) in [
        (&["score", "tea", "--overlap", "126"][..], 64, "error: overlap: 126 tokens"),
        (&["score", "tea", "--log", "loud"], 64, "error: log: unknown level \"loud\""),
    ] {
        let output = quiet().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.starts_with(message), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_key_that_nobody_sees_is_written_nowhere() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let read_only = File::open("/dev/null").unwrap();
    for stderr in [Stdio::from(writer), read_only.into()] {
        let output = quiet().args(["key", "new", "web"]).stderr(stderr).output().unwrap();
        assert_eq!(output.status.code(), Some(74));
        assert_eq!(output.stdout, b"");
    }
}

#[test]
fn results_that_cannot_be_written_are_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.jsonl");
    let scored = ["score", "tea"];
    // A descriptor that is open for reading only.
    let mut read_only = quiet();
    read_only.args(scored).stdout(File::open("/dev/null").unwrap());
    // Exceeds the file size limit, for which the system also sends a signal.
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -f 0; exec \"$@\"", "sh"]);
    limited.arg(quiet().get_program()).args(scored).env("MODERATO_MODEL", support::tiny());
    limited.env("MODERATO_LOG", "error").stdout(File::create(file).unwrap());
    for mut command in [read_only, limited] {
        let output = command.stderr(Stdio::piped()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(74), "{stderr}");
        assert!(stderr.contains("stdout: writing failed"), "{stderr}");
    }
}

#[test]
fn a_collector_that_never_answers_holds_nobody_up() {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", collector.local_addr().unwrap());
    let mut command = program();
    command.args(["--otlp-endpoint", &endpoint]);
    let mut server = Silent::start("a deaf collector", &mut command, Stdio::null());
    // More spans than are queued for the collector.
    server.time_of(3000);
    server.end();
}

/// Returns a command that serves the tiny model.
fn program() -> Command {
    let mut command = support::moderato();
    command.args(["serve", "--log", "info", "--model"]).arg(support::tiny());
    command.stdout(Stdio::null());
    command
}

/// Returns the same command, run by a shell that closes stderr.
fn without_stderr() -> Command {
    let program = program();
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" \"$@\" 2>&-"]).arg(program.get_program());
    command.args(program.get_args()).env_remove("MODERATO_LOG").stdout(Stdio::null());
    command
}

/// Reads three lines and closes the pipe, as `head -n 3` would.
fn three_lines_and_no_more(reader: PipeReader) {
    let lines = BufReader::new(reader).lines().take(3);
    assert_eq!(lines.map_while(Result::ok).count(), 3);
}

/// Returns the throughput of each server relative to the first: the median of many short rounds.
fn rates<const N: usize>(servers: &mut [Silent; N]) -> [f64; N] {
    let round = |_| servers.each_mut().map(|server| server.time_of(REQUESTS_OF_A_ROUND));
    let rounds: Vec<_> = (0..ROUNDS).map(round).collect();
    std::array::from_fn(|place| {
        let rate = |times: &[Duration; N]| times[0].as_secs_f64() / times[place].as_secs_f64();
        let mut rates: Vec<_> = rounds.iter().map(rate).collect();
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    })
}

/// A server whose log is not read, and a connection to it.
struct Silent {
    name: &'static str,
    child: Child,
    _folder: TempDir,
    address: PathBuf,
    connection: BufReader<UnixStream>,
}

impl Silent {
    fn start(name: &'static str, command: &mut Command, stderr: Stdio) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The log is not read, so that a port chosen by the system would be unknown.
        let address = folder.path().join("socket");
        command.args(["--listen", &format!("unix:{}", address.display())]);
        let child = command.stderr(stderr).spawn().unwrap();
        let connection = connect(&address);
        let mut server = Self { name, child, _folder: folder, address, connection };
        let began = Instant::now();
        while !server.get("/health/ready").starts_with("HTTP/1.1 200 OK") {
            assert!(began.elapsed() < PATIENCE, "{name} is never ready");
        }
        server
    }

    /// Returns the time taken by `n_requests` requests in sequence.
    fn time_of(&mut self, n_requests: usize) -> Duration {
        let body = r#"{"input": "good morning"}"#;
        let head = "POST /v1/score HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json";
        let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let began = Instant::now();
        for _ in 0..n_requests {
            let answer = self.ask(&request);
            assert!(answer.starts_with("HTTP/1.1 200 OK"), "{}: {answer}", self.name);
        }
        began.elapsed()
    }

    fn get(&mut self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"))
    }

    /// Sends a request and reads the response on the persistent connection.
    fn ask(&mut self, request: &str) -> String {
        self.connection.get_mut().write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        while !answer.ends_with("\r\n\r\n") {
            let n_bytes = self.connection.read_line(&mut answer).unwrap();
            assert!(n_bytes > 0, "{} closed the connection after {answer:?}", self.name);
        }
        let length = answer.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.unwrap().parse().unwrap()];
        self.connection.read_exact(&mut body).unwrap();
        answer + std::str::from_utf8(&body).unwrap()
    }

    /// Stops the server and checks that it exits cleanly, within its grace period.
    fn end(mut self) {
        let began = Instant::now();
        signal(&self.child, "TERM");
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{}", self.name);
        assert!(began.elapsed() < Duration::from_secs(25), "{}", self.name);
        assert!(UnixStream::connect(&self.address).is_err(), "{}", self.name);
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // Stops the server of a failed test; one that has exited is not affected.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn connect(address: &Path) -> BufReader<UnixStream> {
    let began = Instant::now();
    loop {
        match UnixStream::connect(address) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                return BufReader::new(stream);
            }
            Err(fault) => assert!(began.elapsed() < PATIENCE, "{}: {fault}", address.display()),
        }
        std::thread::yield_now();
    }
}

/// 2,000 requests per server, interleaved, so that other load affects all servers alike.
const ROUNDS: usize = 200;
const REQUESTS_OF_A_ROUND: usize = 10;
const LINES_LOST: &str = "moderato_log_lines_dropped_total ";
