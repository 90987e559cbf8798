//! Models from a hub: the program with a fake hub on loopback.

mod damaged;
mod environment;
mod fake_hub;
mod refusals;
mod staging;

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Output;
use std::time::Duration;
use std::time::Instant;

use axum::http::Method;
use axum::http::StatusCode;
use serde_json::Value;
use tempfile::TempDir;

use self::fake_hub::COMMIT;
use self::fake_hub::FakeHub;
use self::fake_hub::NEXT_COMMIT;
use self::fake_hub::NOWHERE;
use crate::support;

#[test]
fn a_hub_model_scores_as_the_same_folder_does() {
    let (hub, home) = (FakeHub::start(&support::tiny()), home());
    let from_hub = score(&hub.endpoint, home.path(), "org/tiny", &[]);
    let folder = support::tiny();
    let from_folder = score(&hub.endpoint, home.path(), folder.to_str().unwrap(), &[]);
    assert_eq!(stdout(&from_hub), stdout(&from_folder));
}

#[test]
fn the_commit_is_reported_for_a_branch_and_for_a_commit() {
    let (hub, home) = (FakeHub::start(&support::tiny()), home());
    let pinned = format!("org/tiny@{COMMIT}");
    for source in ["org/tiny", "org/tiny@v1", "org/tiny@refs/pr/1", &pinned] {
        let output = score(&hub.endpoint, home.path(), source, &[]);
        let log = loaded(&output);
        assert_eq!(log["revision"], COMMIT, "{source}");
        assert_eq!(log["model"], "org/tiny@0123456789ab", "{source}");
        assert_eq!(log["sha256"].as_str().map(str::len), Some(64), "{source}");
    }
}

#[test]
fn only_the_needed_files_are_fetched() {
    let (hub, home) = (FakeHub::start(&support::tiny()), home());
    stdout(&score(&hub.endpoint, home.path(), "org/tiny", &[]));
    assert_eq!(hub.downloads(), ["config.json", "model.safetensors", "tokenizer.json"]);
}

#[test]
fn a_second_start_asks_once_and_downloads_nothing() {
    let (hub, home) = (FakeHub::start(&support::tiny()), home());
    stdout(&score(&hub.endpoint, home.path(), "org/tiny", &[]));
    let n_asked = hub.asked().len();
    stdout(&score(&hub.endpoint, home.path(), "org/tiny", &[]));
    let asked = hub.asked();
    assert_eq!(asked.len(), n_asked + 1, "{asked:?}");
    assert_eq!(asked[n_asked].method, Method::HEAD);
}

#[test]
fn a_commit_that_is_in_the_cache_needs_no_hub() {
    let (hub, home) = (FakeHub::start(&support::tiny()), home());
    let pinned = format!("org/tiny@{COMMIT}");
    stdout(&score(&hub.endpoint, home.path(), &pinned, &[]));
    let n_asked = hub.asked().len();
    stdout(&score(&hub.endpoint, home.path(), &pinned, &[]));
    assert_eq!(hub.asked().len(), n_asked);
}

#[test]
fn a_branch_that_moved_is_followed_and_what_stayed_is_not_downloaded_again() {
    let (hub, home) = (FakeHub::start(&support::tiny()), home());
    let before = score(&hub.endpoint, home.path(), "org/tiny", &[]);
    hub.push(changed().path());
    let after = score(&hub.endpoint, home.path(), "org/tiny", &[]);
    assert_eq!(loaded(&after)["revision"], NEXT_COMMIT);
    assert_ne!(stdout(&after), stdout(&before));
    let downloads = ["config.json", "model.safetensors", "model.safetensors", "tokenizer.json"]
        .map(String::from);
    assert_eq!(hub.downloads(), downloads);
}

#[test]
fn a_download_that_failed_leaves_the_last_model_to_fall_back_on() {
    let (hub, home) = (FakeHub::start(&support::tiny()), home());
    stdout(&score(&hub.endpoint, home.path(), "org/tiny", &[]));
    hub.push(changed().path());
    hub.set_cdn_status(StatusCode::FORBIDDEN);
    let failed = score(&hub.endpoint, home.path(), "org/tiny", &[]);
    assert_eq!(failed.status.code(), Some(69), "{}", stderr(&failed));
    let offline = score(&hub.endpoint, home.path(), "org/tiny", &[("HF_HUB_OFFLINE", "1")]);
    assert_eq!(loaded(&offline)["revision"], COMMIT);
}

#[test]
fn a_page_of_an_error_is_not_kept_as_weights() {
    for status in [StatusCode::FORBIDDEN, StatusCode::SERVICE_UNAVAILABLE] {
        let (hub, home) = (FakeHub::start(&support::tiny()), home());
        hub.set_cdn_status(status);
        let output = score(&hub.endpoint, home.path(), "org/tiny", &[]);
        let message = "error: org/tiny@main: fetching model.safetensors failed: ";
        assert!(last_line(&output).starts_with(message), "{status}: {}", stderr(&output));
        assert_eq!(output.status.code(), Some(69), "{status}");
        hub.set_cdn_status(StatusCode::OK);
        stdout(&score(&hub.endpoint, home.path(), "org/tiny", &[]));
    }
}

#[test]
fn sharded_weights_are_fetched_whole() {
    let folder = support::tiny_copy();
    support::shard(folder.path());
    let index = folder.path().join("model.safetensors.index.json");
    let json = std::fs::read_to_string(&index).unwrap();
    std::fs::write(&index, format!("\u{feff}{json}\r\n")).unwrap();
    let (hub, home) = (FakeHub::start(folder.path()), home());
    let sharded = score(&hub.endpoint, home.path(), "org/tiny", &[]);
    let tiny = support::tiny();
    let whole = score(&hub.endpoint, home.path(), tiny.to_str().unwrap(), &[]);
    assert_eq!(stdout(&sharded), stdout(&whole));
}

#[test]
fn the_cache_has_the_official_layout() {
    let (hub, home) = (FakeHub::start(&support::tiny()), home());
    stdout(&score(&hub.endpoint, home.path(), "org/tiny", &[]));
    let repo = home.path().join("hub/models--org--tiny");
    assert_eq!(std::fs::read_to_string(repo.join("refs/main")).unwrap(), COMMIT);
    let weights = repo.join("snapshots").join(COMMIT).join("model.safetensors");
    let target = std::fs::read_link(&weights).unwrap();
    assert!(target.starts_with("../../blobs"), "{}", target.display());
    let original = support::tiny().join("model.safetensors");
    assert_eq!(std::fs::read(weights).unwrap(), std::fs::read(original).unwrap());
}

#[test]
fn what_was_fetched_once_works_offline_and_when_the_hub_is_away() {
    let (hub, home) = (FakeHub::start(&support::tiny()), home());
    let online = score(&hub.endpoint, home.path(), "org/tiny", &[]);
    let endpoint = hub.endpoint.clone();
    drop(hub);
    let offline = score(&endpoint, home.path(), "org/tiny", &[("HF_HUB_OFFLINE", "1")]);
    assert_eq!(stdout(&offline), stdout(&online));
    let away = score(NOWHERE, home.path(), "org/tiny", &[]);
    assert_eq!(stdout(&away), stdout(&online));
    assert_eq!(loaded(&away)["revision"], COMMIT);
}

#[test]
fn what_the_python_client_fetched_works_offline_and_when_the_hub_is_away() {
    let home = home();
    lay_out_as_python_does(home.path());
    for variables in [&[("HF_HUB_OFFLINE", "1")][..], &[]] {
        let output = score(NOWHERE, home.path(), "org/tiny", variables);
        assert_eq!(loaded(&output)["revision"], COMMIT, "{variables:?}");
    }
}

#[test]
fn a_policy_that_may_be_missing_from_the_cache_is_warned_of() {
    let home = home();
    lay_out_as_python_does(home.path());
    let output = score(NOWHERE, home.path(), "org/tiny", &[("HF_HUB_OFFLINE", "1")]);
    let mut warnings = log(&output).into_iter().filter(|line| line["level"] == "WARN");
    assert!(warnings.any(|line| line["file"] == "policy.toml"), "{}", stderr(&output));
}

#[test]
fn the_token_is_sent_to_the_hub_alone_and_never_shown() {
    let (hub, home) = (FakeHub::start(&support::tiny()), home());
    let variables = [("HF_TOKEN", "hf_secret"), ("MODERATO_LOG", "trace")];
    let output = score(&hub.endpoint, home.path(), "org/tiny", &variables);
    for asked in hub.asked() {
        let is_hub = asked.path.starts_with("/org/");
        let expected = is_hub.then_some("Bearer hf_secret");
        assert_eq!(asked.authorization.as_deref(), expected, "{}", asked.path);
    }
    assert!(log(&output).iter().any(|line| line["level"] == "TRACE"));
    assert!(!stdout(&output).contains("hf_secret"));
    assert!(!stderr(&output).contains("hf_secret"));
}

#[test]
fn without_a_token_none_is_sent() {
    let (hub, home) = (FakeHub::start(&support::tiny()), home());
    stdout(&score(&hub.endpoint, home.path(), "org/tiny", &[]));
    assert!(hub.asked().iter().all(|asked| asked.authorization.is_none()));
}

struct Missing {
    name: &'static str,
    removed: &'static str,
    source: &'static str,
    token: &'static str,
    line: &'static str,
}

#[test]
fn what_is_not_there_is_named_with_repository_revision_and_file() {
    for Missing { name, removed, source, token, line } in [
        Missing {
            name: "a revision",
            removed: "",
            source: "org/tiny@v9",
            token: "",
            line: "error: org/tiny@v9: fetching config.json failed: no such revision",
        },
        Missing {
            name: "a repository",
            removed: "",
            source: "org/other",
            token: "hf_token",
            line: "error: org/other@main: fetching config.json failed: \
                   no such repository (nor a folder org/other here)",
        },
        Missing {
            name: "a repository, to a stranger",
            removed: "",
            source: "org/other",
            token: "",
            line: "error: org/other@main: fetching config.json failed: \
                   no such repository (nor a folder org/other here), or HF_TOKEN is needed",
        },
        Missing {
            name: "a configuration",
            removed: "config.json",
            source: "org/tiny@v1",
            token: "",
            line: "error: org/tiny@v1: fetching config.json failed: no such file",
        },
        Missing {
            name: "a tokenizer",
            removed: "tokenizer.json",
            source: "org/tiny",
            token: "",
            line: "error: org/tiny@main: fetching tokenizer.json failed: no such file",
        },
        Missing {
            name: "weights",
            removed: "model.safetensors",
            source: "org/tiny",
            token: "",
            line: "error: org/tiny@main: fetching model.safetensors failed: no such file",
        },
    ] {
        let folder = support::tiny_copy();
        if !removed.is_empty() {
            std::fs::remove_file(folder.path().join(removed)).unwrap();
        }
        let (hub, home) = (FakeHub::start(folder.path()), home());
        let output = score(&hub.endpoint, home.path(), source, &[("HF_TOKEN", token)]);
        assert_eq!(last_line(&output), line, "{name}: {}", stderr(&output));
        assert_eq!(output.status.code(), Some(69), "{name}");
    }
}

#[test]
fn a_shard_that_is_not_there_is_named() {
    let folder = support::tiny_copy();
    support::shard(folder.path());
    std::fs::remove_file(folder.path().join("model-00002-of-00002.safetensors")).unwrap();
    let (hub, home) = (FakeHub::start(folder.path()), home());
    let output = score(&hub.endpoint, home.path(), "org/tiny", &[]);
    let message = "error: org/tiny@main: fetching model-00002-of-00002.safetensors failed: ";
    assert!(last_line(&output).starts_with(message), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(69));
}

#[test]
fn an_index_that_leads_out_of_the_cache_fetches_nothing() {
    let folder = support::tiny_copy();
    let index = r#"{"weight_map": {"classifier.bias": "../../../escaped.safetensors"}}"#;
    std::fs::write(folder.path().join("model.safetensors.index.json"), index).unwrap();
    let (hub, home) = (FakeHub::start(folder.path()), home());
    let output = score(&hub.endpoint, home.path(), "org/tiny", &[]);
    let line = last_line(&output);
    assert!(line.contains("model.safetensors.index.json: expected names of files"), "{line}");
    assert_eq!(output.status.code(), Some(78));
    assert!(hub.asked().iter().all(|asked| !asked.path.contains("escaped")));
}

#[test]
fn corrupt_weights_are_refused_by_name() {
    let folder = support::tiny_copy();
    let weights = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    let (hub, home) = (FakeHub::start(folder.path()), home());
    let output = score(&hub.endpoint, home.path(), "org/tiny", &[]);
    let line = last_line(&output);
    assert!(line.contains("model.safetensors: expected a safetensors file, found"), "{line}");
    assert_eq!(output.status.code(), Some(78));
}

#[test]
fn offline_without_a_cache_fails_at_once() {
    let (home, start) = (home(), Instant::now());
    let output = score(NOWHERE, home.path(), "org/tiny", &[("HF_HUB_OFFLINE", "1")]);
    let line = last_line(&output);
    assert!(line.contains("org/tiny@main: fetching config.json failed: "), "{line}");
    assert!(line.contains("not found in local cache"), "{line}");
    assert!(line.ends_with(", nor is there a folder org/tiny here"), "{line}");
    assert_eq!(output.status.code(), Some(69));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn a_hub_that_is_away_fails_within_seconds() {
    let (home, start) = (home(), Instant::now());
    let output = score(NOWHERE, home.path(), "org/tiny", &[]);
    let message = "error: org/tiny@main: fetching config.json failed: ";
    assert!(last_line(&output).starts_with(message), "{}", stderr(&output));
    let also = "; nor is there a folder org/tiny here";
    assert!(last_line(&output).ends_with(also), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(69));
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[test]
fn a_hub_that_never_answers_is_away_too() {
    // Connections wait in the backlog, and nothing accepts them.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let home = home();
    lay_out_as_python_does(home.path());
    let start = Instant::now();
    let output = score(&endpoint, home.path(), "org/tiny", &[]);
    assert_eq!(loaded(&output)["revision"], COMMIT);
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

/// Scores one text with a model from a hub.
fn score(endpoint: &str, home: &Path, source: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = support::moderato();
    let inherited = std::env::vars().map(|(name, _)| name);
    let of_hubs = |name: &String| {
        ["HF_", "HUGGING", "TRANSFORMERS_"].iter().any(|start| name.starts_with(start))
    };
    for name in inherited.filter(|name| of_hubs(name) || name.contains("CACHE")) {
        command.env_remove(name);
    }
    command
        .args(["score", "--log-format", "json", "--model", source, "Good morning"])
        .envs([("HF_ENDPOINT", endpoint), ("NO_PROXY", "127.0.0.1"), ("MODERATO_LOG", "info")])
        .env("HF_HOME", home)
        .envs(variables.iter().copied());
    command.output().unwrap()
}

fn home() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn stdout(output: &Output) -> &str {
    assert!(output.status.success(), "{}", stderr(output));
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// Returns the last line of stderr; the lines before it are the log.
fn last_line(output: &Output) -> &str {
    stderr(output).lines().last().unwrap_or_default()
}

/// Returns the log entry about the loaded model.
fn loaded(output: &Output) -> Value {
    let mut loaded = log(output).into_iter().filter(|line| line["message"] == "loaded the model");
    loaded.next().unwrap_or_else(|| panic!("{}", stderr(output)))
}

fn log(output: &Output) -> Vec<Value> {
    stderr(output).lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Copies the tiny model with other weights; its other files are unchanged.
fn changed() -> TempDir {
    let folder = support::tiny_copy();
    let weights = folder.path().join("model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    let header_len = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    for weight in bytes[8 + usize::try_from(header_len).unwrap()..].chunks_exact_mut(4) {
        let halved = f32::from_le_bytes(weight.try_into().unwrap()) / 2.0;
        weight.copy_from_slice(&halved.to_le_bytes());
    }
    std::fs::write(weights, bytes).unwrap();
    folder
}

/// Creates a cache of the three files that every model has, without a list of the others.
fn lay_out_as_python_does(home: &Path) {
    let repo = home.join("hub/models--org--tiny");
    let snapshot = repo.join("snapshots").join(COMMIT);
    for folder in [&snapshot, &repo.join("blobs"), &repo.join("refs")] {
        std::fs::create_dir_all(folder).unwrap();
    }
    std::fs::write(repo.join("refs/main"), COMMIT).unwrap();
    for (blob, name) in ["config.json", "tokenizer.json", "model.safetensors"].iter().enumerate() {
        std::fs::copy(support::tiny().join(name), repo.join(format!("blobs/{blob}"))).unwrap();
        symlink(format!("../../blobs/{blob}"), snapshot.join(name)).unwrap();
    }
}
