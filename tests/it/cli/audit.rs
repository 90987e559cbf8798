//! `--audit-log`: the entries for requests, and what happens if they cannot be written.

use std::path::Path;

use serde_json::Value;
use serde_json::json;

use super::run;
use super::serve::Server;
use super::stderr;
use crate::support;

#[test]
fn a_request_leaves_a_line_without_its_text() {
    let folder = tempfile::tempdir().unwrap();
    let (log, keys) = (folder.path().join("audit.jsonl"), folder.path().join("keys.txt"));
    let made = run(&["key", "new", "web"]);
    std::fs::write(&keys, &made.stdout).unwrap();
    let key = stderr(&made).split_whitespace().last().unwrap().to_owned();
    let mut server = start(&log, &["--api-keys-file", keys.to_str().unwrap()]);
    for body in [
        r#"{"input": ["good morning", "good night"], "thresholds": {"spam": 0.0}, "top_k": 1}"#,
        r#"{"messages": [{"role": "user", "content": "hello"}, {"role": "user", "content": "good morning"}]}"#,
        r#"{"input": []}"#, // refused, so nothing was decided
    ] {
        server.send(&format!(
            "POST /v1/score HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-api-key: {key}\r\n\
             x-request-id: mine\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ));
    }
    end(&mut server);
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(!text.contains("good") && !text.contains(&key), "{text}");
    let lines = lines(&log);
    assert_eq!(lines.len(), 2, "{text}");
    let first = &lines[0];
    let time = first["time"].as_str().unwrap();
    assert!(time.len() == 24 && time.starts_with("20") && time.ends_with('Z'), "{time}");
    for (field, expected) in [
        ("request_id", "mine"),
        ("route", "/v1/score"),
        ("key", "web"),
        ("model", "tiny-bert@03e6f507433e"),
        ("policy", "model-labels@0"),
    ] {
        assert_eq!(first[field], expected, "{first}");
    }
    let result = &first["results"][0];
    assert_eq!(result["sha256"], GOOD_MORNING);
    assert_eq!((&result["flagged"], &result["n_tokens"]), (&json!(true), &json!(7)));
    assert_eq!(result["violated"][0], "spam", "{result}");
    assert!(result["action"].is_string(), "{result}");
    assert_eq!(result["scores"].as_object().unwrap().len(), 4, "all of them, whatever is asked");
    assert_ne!(first["results"][1]["sha256"], GOOD_MORNING);
    assert_eq!(lines[1]["results"][0]["sha256"], HELLO_GOOD_MORNING);
}

#[test]
fn a_killed_server_has_a_line_for_every_answer_and_the_next_begins_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.jsonl");
    let mut server = start(&log, &[]);
    let mut answered = Vec::new();
    for round in 0..20 {
        let answer = server.post(r#"{"input": "good morning"}"#);
        assert!(answer.starts_with("HTTP/1.1 200"), "{round}: {answer}");
        answered.push(request_id(&answer));
    }
    // The server is killed during a request that takes long enough to be still in progress.
    let body = format!("{{\"input\": \"{}\"}}", "tea ".repeat(4000));
    send_and_forget(&server, &body);
    server.signal("KILL");
    server.child.wait().unwrap();
    // A partial line, as a crash during a write leaves it.
    let mut torn = std::fs::read(&log).unwrap();
    torn.extend(br#"{"time":"2026-01-01T00"#);
    std::fs::write(&log, torn).unwrap();
    let mut server = start(&log, &[]);
    answered.push(request_id(&server.post(r#"{"input": "good night"}"#)));
    end(&mut server);
    let text = std::fs::read_to_string(&log).unwrap();
    let parsed: Vec<Option<Value>> =
        text.lines().map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(parsed.iter().filter(|line| line.is_none()).count(), 1, "{text}");
    let ids: Vec<_> = parsed.iter().flatten().map(|line| line["request_id"].clone()).collect();
    for id in answered {
        assert!(ids.contains(&json!(id)), "{id} was answered and is not in\n{text}");
    }
}

#[test]
fn files_change_as_they_grow() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.jsonl");
    let mut server = start(&log, &["--audit-max-bytes", "1000", "--audit-keep", "2"]);
    for _ in 0..12 {
        server.post(r#"{"input": "good morning"}"#);
    }
    end(&mut server);
    let names =
        ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"].map(|name| folder.path().join(name));
    for name in &names {
        assert!(std::fs::metadata(name).unwrap().len() <= 1000, "{}", name.display());
        assert!(!lines(name).is_empty());
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_refuses_or_loses_as_the_operator_decides() {
    let body = r#"{"input": "good morning"}"#;
    let mut server = start(Path::new("/dev/full"), &[]);
    for _ in 0..3 {
        let answer = server.post(body);
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains("audit_unavailable") && answer.contains("retry-after"), "{answer}");
    }
    let metrics = metrics(&server);
    assert!(metrics.contains("moderato_audit_failing 1"), "{metrics}");
    assert!(metrics.contains("moderato_errors_total{code=\"audit_unavailable\"} 3"), "{metrics}");
    end(&mut server);
    assert!(server.seen.contains("the audit log cannot be written: No space"), "{}", server.seen);
    let mut server = start(Path::new("/dev/full"), &["--audit-on-failure", "drop"]);
    for _ in 0..3 {
        let answer = server.post(body);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    end(&mut server);
}

#[test]
fn a_log_that_cannot_be_opened_ends_the_start() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("none/audit.jsonl")] {
        let path = path.to_str().unwrap();
        let output = run(&["serve", "--listen", "127.0.0.1:0", "--audit-log", path]);
        assert_eq!(output.status.code(), Some(64), "{}", stderr(&output));
        let message = format!("error: audit-log: {path}: ");
        assert!(stderr(&output).contains(&message), "{}", stderr(&output));
    }
}

fn start(log: &Path, flags: &[&str]) -> Server {
    let flags =
        [&["--listen", "127.0.0.1:0", "--audit-log", log.to_str().unwrap()], flags].concat();
    let mut server = Server::with(&support::tiny(), &flags);
    server.wait_for("ready");
    server
}

fn end(server: &mut Server) {
    server.signal("TERM");
    server.wait_for("every accepted request was answered");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

/// Sends a request and disconnects before the response.
fn send_and_forget(server: &Server, body: &str) {
    use std::io::Write;

    let mut stream = std::net::TcpStream::connect(server.address()).unwrap();
    let head = "POST /v1/score HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
}

fn metrics(server: &Server) -> String {
    server.send("GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
}

fn request_id(answer: &str) -> String {
    let header = answer.lines().find_map(|line| line.strip_prefix("x-request-id: "));
    header.unwrap().to_owned()
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Computed with sha256sum.
const GOOD_MORNING: &str = "cdf71dea7d7741a2b6f021f3dd344f75c8333988f547866a8fbf28f064cf7c78";
/// The hash of `user: hello`, a line break, and `user: good morning`.
const HELLO_GOOD_MORNING: &str = "59025697dbe5bb2840a5609976c5d004a5520b3ee1a12593f86f86ef4c9f3783";
