//! Error messages if a hub, a host behind it or the cache refuses, or if bytes are wrong.

use axum::http::StatusCode;

use super::FakeHub;
use super::fake_hub::Fault;
use super::home;
use super::last_line;
use super::score;
use super::stderr;
use super::stdout;
use crate::support;

#[test]
fn weights_with_another_sha256_than_the_hub_says_are_refused_and_not_kept() {
    let (hub, home) = (FakeHub::start(&support::tiny()), home());
    hub.set_fault(Fault::Corrupts);
    let output = score(&hub.endpoint, home.path(), "org/tiny", &[]);
    let line = last_line(&output);
    let message =
        "error: org/tiny@main: fetching model.safetensors failed: the SHA-256 of the download is ";
    assert!(line.starts_with(message), "{line}");
    assert!(line.contains("but the hub says ") && line.contains("was removed"), "{line}");
    assert_eq!(output.status.code(), Some(69));
    let offline = score(&hub.endpoint, home.path(), "org/tiny", &[("HF_HUB_OFFLINE", "1")]);
    assert!(!offline.status.success(), "{}", stderr(&offline));
    hub.set_fault(Fault::None);
    stdout(&score(&hub.endpoint, home.path(), "org/tiny", &[]));
}

#[test]
fn a_shard_with_another_sha256_is_refused_too() {
    let folder = support::tiny_copy();
    support::shard(folder.path());
    let (hub, home) = (FakeHub::start(folder.path()), home());
    hub.set_fault(Fault::Corrupts);
    let output = score(&hub.endpoint, home.path(), "org/tiny", &[]);
    let message =
        "fetching model-00001-of-00002.safetensors failed: the SHA-256 of the download is ";
    assert!(last_line(&output).contains(message), "{}", stderr(&output));
}

#[test]
fn a_host_behind_the_hub_that_refuses_is_named_with_the_remedy() {
    for (status, remedy) in [
        (StatusCode::FORBIDDEN, "let the proxy or firewall pass that host too"),
        (StatusCode::UNAUTHORIZED, "let the proxy or firewall pass that host too"),
        (StatusCode::SERVICE_UNAVAILABLE, "try again later"),
        (StatusCode::TOO_MANY_REQUESTS, "try again later"),
    ] {
        let (hub, home) = (FakeHub::start(&support::tiny()), home());
        hub.set_cdn_status(status);
        let variables = [("HF_TOKEN", "hf_secret")];
        let output = score(&hub.endpoint, home.path(), "org/tiny", &variables);
        let line = last_line(&output);
        let message = format!(
            "error: org/tiny@main: fetching model.safetensors failed: {status} from {}, where the \
             hub keeps the file: {remedy}",
            hub.cdn_host()
        );
        assert!(line.starts_with(&message), "{line}");
        assert_eq!(output.status.code(), Some(69), "{status}");
    }
}

#[test]
fn a_host_behind_the_hub_that_nobody_reaches_is_told_with_the_remedy() {
    let (hub, home) = (FakeHub::start(&support::tiny()), home());
    hub.lose_cdn();
    let output = score(&hub.endpoint, home.path(), "org/tiny", &[]);
    let line = last_line(&output);
    let start = "error: org/tiny@main: fetching model.safetensors failed: Connection refused";
    assert!(line.starts_with(start), "{line}");
    assert!(line.contains("let the proxy or firewall pass that host too"), "{line}");
    assert!(!line.contains("http://"), "a link may be signed: {line}");
    assert_eq!(output.status.code(), Some(69));
}

#[test]
fn a_xet_store_that_nobody_reaches_is_named_with_the_remedy() {
    let (hub, home) = (FakeHub::start(&support::tiny()), home());
    hub.use_xet();
    hub.lose_cdn();
    let at_once = [("HF_XET_CLIENT_RETRY_MAX_ATTEMPTS", "0")];
    for (variables, message) in
        [(&at_once[..], "Xet download failed: "), (&[], "no bytes arrived for 10s; ")]
    {
        let output = score(&hub.endpoint, home.path(), "org/tiny", variables);
        let line = last_line(&output);
        let start = "error: org/tiny@main: fetching model.safetensors failed: ";
        assert!(line.starts_with(&format!("{start}{message}")), "{line}");
        assert!(line.contains("let the proxy or firewall pass that host too"), "{line}");
        assert_eq!(output.status.code(), Some(69));
    }
}

#[test]
fn a_damaged_configuration_is_not_blamed_on_a_missing_folder() {
    let (hub, home) = (FakeHub::start(&support::tiny()), home());
    hub.set_fault(Fault::CorruptsConfig);
    let output = score(&hub.endpoint, home.path(), "org/tiny", &[]);
    let line = last_line(&output);
    let message = "fetching config.json failed: the SHA-256 of the download is ";
    assert!(line.contains(message), "{line}");
    assert!(!line.contains("nor is there a folder"), "{line}");
}

#[test]
fn a_repository_that_is_not_for_everybody_is_refused_with_the_remedy() {
    for (token, status) in [("", "401 Unauthorized"), ("hf_token", "403 Forbidden")] {
        let (hub, home) = (FakeHub::start(&support::tiny()), home());
        hub.gate("GatedRepo");
        let output = score(&hub.endpoint, home.path(), "org/tiny", &[("HF_TOKEN", token)]);
        let message = format!(
            "error: org/tiny@main: fetching config.json failed: {status}: access to the repository \
             is restricted; ask for it at {}/org/tiny, and give a token of that account by HF_TOKEN",
            hub.endpoint
        );
        assert_eq!(last_line(&output), message, "{}", stderr(&output));
        assert_eq!(output.status.code(), Some(69));
    }
}

#[test]
fn a_refusal_that_is_not_the_hubs_own_is_not_blamed_on_the_repository() {
    for (token, status) in [("", "401 Unauthorized"), ("hf_token", "403 Forbidden")] {
        let (hub, home) = (FakeHub::start(&support::tiny()), home());
        hub.gate("");
        let output = score(&hub.endpoint, home.path(), "org/tiny", &[("HF_TOKEN", token)]);
        let message = format!(
            "error: org/tiny@main: fetching config.json failed: {status} from {}: the token in \
             HF_TOKEN is not accepted, or a proxy or firewall on the way refuses",
            hub.endpoint.replace("http://", "")
        );
        assert_eq!(last_line(&output), message, "{}", stderr(&output));
    }
}

#[test]
fn the_hub_is_known_in_any_spelling_of_its_name() {
    let (hub, home) = (FakeHub::start(&support::tiny()), home());
    hub.gate("");
    let port = hub.endpoint.rsplit(':').next().unwrap();
    let endpoint = format!("http://LocalHost:{port}");
    let output = score(&endpoint, home.path(), "org/tiny", &[("NO_PROXY", "localhost")]);
    assert!(last_line(&output).contains(": the token in HF_TOKEN"), "{}", stderr(&output));
}

#[test]
fn a_cache_that_cannot_be_written_is_named_with_the_remedy() {
    let (hub, home) = (FakeHub::start(&support::tiny()), home());
    // A folder cannot be created below a file, not even by root.
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    let cache = file.join("hub");
    let output = score(&hub.endpoint, &file, "org/tiny", &[]);
    let line = last_line(&output);
    let message = format!(
        "error: org/tiny@main: fetching config.json failed: the cache {} cannot be used (",
        cache.display()
    );
    assert!(line.starts_with(&message), "{line}");
    assert!(line.ends_with("HF_HOME or HF_HUB_CACHE names another folder"), "{line}");
    assert_eq!(output.status.code(), Some(69));
}

#[test]
fn a_cache_where_the_revision_cannot_be_noted_is_named_with_the_remedy() {
    let (hub, home) = (FakeHub::start(&support::tiny()), home());
    let repo = home.path().join("hub/models--org--tiny");
    std::fs::create_dir_all(&repo).unwrap();
    std::fs::write(repo.join("refs"), "a file in place of a folder").unwrap();
    let output = score(&hub.endpoint, home.path(), "org/tiny", &[]);
    let line = last_line(&output);
    assert!(line.contains("cannot be used ("), "{line}");
    assert!(line.ends_with("HF_HOME or HF_HUB_CACHE names another folder"), "{line}");
    assert_eq!(output.status.code(), Some(69));
}
