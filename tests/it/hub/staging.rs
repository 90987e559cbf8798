//! Loading models from a hub into a running server, over a failing network or onto a failing disk.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::fake_hub::FakeHub;
use super::fake_hub::Fault;
use super::home;
use crate::cli::serve::Server;
use crate::cli::serve::ask;
use crate::support;

#[test]
fn a_hub_that_truncates_lies_or_stalls_leaves_the_old_model_serving() {
    let (hub, home) = (FakeHub::start(&support::tiny()), home());
    let staging = Staging::start(&hub, &home, &[]);
    for (fault, message) in [
        (Fault::Truncates, "fetching model.safetensors failed: "),
        (Fault::Lies, "received"),
        (Fault::Stalls, "no bytes arrived for 10s"),
    ] {
        hub.set_fault(fault);
        let answer = staging.load();
        assert!(answer.starts_with("HTTP/1.1 422"), "{fault:?}: {answer}");
        assert!(answer.contains(message), "{fault:?}: {answer}");
        staging.assert_serving("moderato-small");
    }
}

#[test]
fn a_hub_that_does_right_again_is_believed() {
    let (hub, home) = (FakeHub::start(&support::tiny()), home());
    let staging = Staging::start(&hub, &home, &[]);
    hub.set_fault(Fault::Lies);
    assert!(staging.load().starts_with("HTTP/1.1 422"));
    hub.set_fault(Fault::None);
    let answer = staging.load();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    staging.assert_serving("org/tiny");
}

#[test]
fn a_disk_that_fills_up_leaves_the_old_model_serving_and_no_half_model_behind() {
    let (hub, home) = (FakeHub::start(&support::tiny()), home());
    // The file size limit is below the size of the weights; writing more fails like a full disk.
    let full = Staging::start(
        &hub,
        &home,
        &["sh", "-c", "trap '' XFSZ; ulimit -f 100; exec \"$@\"", "sh"],
    );
    let answer = full.load();
    assert!(answer.starts_with("HTTP/1.1 422"), "{answer}");
    assert!(answer.contains("fetching model.safetensors failed: "), "{answer}");
    full.assert_serving("moderato-small");
    drop(full);
    // The same cache, on a disk with free space.
    let staging = Staging::start(&hub, &home, &[]);
    let answer = staging.load();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    staging.assert_serving("org/tiny");
}

#[test]
fn a_self_test_comes_from_the_hub_too() {
    let folder = support::tiny_copy();
    let line = r#"{"text": "good night", "scores": {"spam": 0.0}, "tolerance": 0.0}"#;
    std::fs::write(folder.path().join("self_test.jsonl"), line).unwrap();
    let (hub, home) = (FakeHub::start(folder.path()), home());
    let staging = Staging::start(&hub, &home, &[]);
    let answer = staging.load();
    assert!(
        answer.starts_with("HTTP/1.1 422") && answer.contains("for spam of text 1"),
        "{answer}"
    );
    staging.assert_serving("moderato-small");
}

/// A server with the embedded model, and a hub.
struct Staging {
    server: Server,
    admin: String,
}

impl Staging {
    fn start(hub: &FakeHub, home: &TempDir, wrapper: &[&str]) -> Self {
        let program = support::moderato();
        let mut words = wrapper.iter().map(Path::new).chain([Path::new(program.get_program())]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words.map(Path::as_os_str));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .args(["--model", "embedded", "--log", "info", "--log-format", "json"])
            .envs([("HF_ENDPOINT", hub.endpoint.as_str()), ("NO_PROXY", "127.0.0.1")])
            .env_remove("HF_HUB_OFFLINE")
            .env_remove("HF_HUB_CACHE")
            .env("HF_HOME", home.path());
        let mut server = Server::from_command(&mut command);
        let admin = server.wait_for("listening for administrators");
        server.wait_for("ready");
        Self { server, admin: admin["address"].as_str().unwrap().to_owned() }
    }

    fn load(&self) -> String {
        let body = r#"{"source": "org/tiny"}"#;
        let length = body.len();
        ask(
            &self.admin,
            &format!(
                "POST /admin/models/load HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                 content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
            ),
        )
    }

    fn assert_serving(&self, name: &str) {
        let answer = self.server.post(r#"{"input": "good morning"}"#);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        let body: Value = serde_json::from_str(body).unwrap();
        assert!(body["model"].as_str().unwrap().starts_with(name), "{body}");
    }
}
