//! Models from a hub: the program against a fake one on loopback.

mod fake_hub;

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Output;
use std::time::Duration;
use std::time::Instant;

use axum::http::Method;
use serde_json::Value;
use tempfile::TempDir;

use self::fake_hub::COMMIT;
use self::fake_hub::FakeHub;
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
    for source in ["org/tiny", "org/tiny@v1", &format!("org/tiny@{COMMIT}")] {
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
    let mut downloads = hub.downloads();
    downloads.sort_unstable();
    assert_eq!(downloads, ["config.json", "model.safetensors", "tokenizer.json"]);
}

#[test]
fn a_second_start_downloads_nothing() {
    let (hub, home) = (FakeHub::start(&support::tiny()), home());
    stdout(&score(&hub.endpoint, home.path(), "org/tiny", &[]));
    let n_downloads = hub.downloads().len();
    stdout(&score(&hub.endpoint, home.path(), "org/tiny", &[]));
    assert_eq!(hub.downloads().len(), n_downloads);
    assert!(hub.asked().iter().any(|asked| asked.method == Method::HEAD));
}

#[test]
fn sharded_weights_are_fetched_whole() {
    let folder = support::tiny_copy();
    support::shard(folder.path());
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
fn what_was_fetched_once_works_offline() {
    let (hub, home) = (FakeHub::start(&support::tiny()), home());
    let online = score(&hub.endpoint, home.path(), "org/tiny", &[]);
    let endpoint = hub.endpoint.clone();
    drop(hub);
    let offline = score(&endpoint, home.path(), "org/tiny", &[("HF_HUB_OFFLINE", "1")]);
    assert_eq!(stdout(&offline), stdout(&online));
}

#[test]
fn what_the_python_client_fetched_works_offline() {
    let home = home();
    let repo = home.path().join("hub/models--org--tiny");
    let snapshot = repo.join("snapshots").join(COMMIT);
    for folder in [&snapshot, &repo.join("blobs"), &repo.join("refs")] {
        std::fs::create_dir_all(folder).unwrap();
    }
    std::fs::write(repo.join("refs/main"), COMMIT).unwrap();
    for (blob, name) in ["config.json", "tokenizer.json", "model.safetensors"].iter().enumerate() {
        std::fs::copy(support::tiny().join(name), repo.join(format!("blobs/{blob}"))).unwrap();
        symlink(format!("../../blobs/{blob}"), snapshot.join(name)).unwrap();
    }
    let output = score(NOWHERE, home.path(), "org/tiny", &[("HF_HUB_OFFLINE", "1")]);
    assert_eq!(loaded(&output)["revision"], COMMIT);
}

#[test]
fn the_token_is_sent_and_never_shown() {
    let (hub, home) = (FakeHub::start(&support::tiny()), home());
    let output = score(&hub.endpoint, home.path(), "org/tiny", &[("HF_TOKEN", "hf_secret")]);
    let asked = hub.asked();
    assert_eq!(asked[0].authorization.as_deref(), Some("Bearer hf_secret"));
    assert!(!stdout(&output).contains("hf_secret"));
    assert!(!stderr(&output).contains("hf_secret"));
}

#[test]
fn what_is_not_there_is_named() {
    let no_weights = support::tiny_copy();
    std::fs::remove_file(no_weights.path().join("model.safetensors")).unwrap();
    let no_tokenizer = support::tiny_copy();
    std::fs::remove_file(no_tokenizer.path().join("tokenizer.json")).unwrap();
    let tiny = support::tiny();
    for (folder, source, message) in [
        (tiny.as_path(), "org/tiny@v9", "error: org/tiny@v9: fetching config.json failed: "),
        (&tiny, "org/other", "error: org/other@main: fetching config.json failed: "),
        (no_tokenizer.path(), "org/tiny", "error: org/tiny@main: fetching tokenizer.json failed: "),
        (
            no_weights.path(),
            "org/tiny",
            "error: org/tiny@main: fetching model.safetensors failed: ",
        ),
    ] {
        let (hub, home) = (FakeHub::start(folder), home());
        let output = score(&hub.endpoint, home.path(), source, &[]);
        assert!(last_line(&output).starts_with(message), "{source}: {}", stderr(&output));
        assert_eq!(output.status.code(), Some(69), "{source}");
    }
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
    assert_eq!(output.status.code(), Some(69));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn a_hub_that_is_away_fails_within_seconds() {
    let (home, start) = (home(), Instant::now());
    let output = score(NOWHERE, home.path(), "org/tiny", &[]);
    assert!(last_line(&output).contains("org/tiny@main: fetching config.json failed: "));
    assert_eq!(output.status.code(), Some(69));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

/// Scores one text with a model of a hub.
fn score(endpoint: &str, home: &Path, source: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = support::moderato();
    for name in ["HF_TOKEN", "HF_TOKEN_PATH", "HF_HUB_CACHE", "HF_HUB_OFFLINE"] {
        command.env_remove(name);
    }
    command
        .args(["score", "--log", "info", "--log-format", "json", "--model", source, "Good morning"])
        .envs([("HF_ENDPOINT", endpoint), ("NO_PROXY", "127.0.0.1")])
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

/// What the program said last; the lines before it are its log.
fn last_line(output: &Output) -> &str {
    stderr(output).lines().last().unwrap_or_default()
}

/// The log line about the model.
fn loaded(output: &Output) -> Value {
    let lines = stderr(output).lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut loaded = lines.filter(|line| line["message"] == "loaded the model");
    loaded.next().unwrap_or_else(|| panic!("{}", stderr(output)))
}

/// A port that nobody listens on.
const NOWHERE: &str = "http://127.0.0.1:9";
