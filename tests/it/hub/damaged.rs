//! Cached files that no longer match what the hub sent.

use std::path::Path;
use std::path::PathBuf;

use super::COMMIT;
use super::FakeHub;
use super::home;
use super::last_line;
use super::score;
use super::stderr;
use super::stdout;
use crate::support;

#[test]
fn a_damaged_file_in_the_cache_is_fetched_again() {
    for name in FILES {
        for damage in DAMAGES {
            let (hub, home) = (FakeHub::start(&support::tiny()), home());
            let first = score(&hub.endpoint, home.path(), "org/tiny", &[]);
            damage(&blob(home.path(), name));
            let second = score(&hub.endpoint, home.path(), "org/tiny", &[]);
            assert_eq!(stdout(&second), stdout(&first), "{name}");
            let n_downloads = hub.downloads().iter().filter(|file| *file == name).count();
            assert_eq!(n_downloads, 2, "{name}: {:?}", hub.downloads());
            assert!(stderr(&second).contains("is fetched again"), "{name}: {}", stderr(&second));
        }
    }
}

#[test]
fn a_damaged_file_in_the_cache_is_refused_offline_by_its_path_with_the_remedy() {
    for name in FILES {
        for damage in DAMAGES {
            let (hub, home) = (FakeHub::start(&support::tiny()), home());
            stdout(&score(&hub.endpoint, home.path(), "org/tiny", &[]));
            let blob = blob(home.path(), name);
            damage(&blob);
            let offline = [("HF_HUB_OFFLINE", "1")];
            let output = score(&hub.endpoint, home.path(), "org/tiny", &offline);
            let line = last_line(&output);
            let start = format!(
                "error: org/tiny@main: fetching {name} failed: {} is damaged: its SHA-256 is ",
                blob.display()
            );
            assert!(line.starts_with(&start), "{line}");
            assert!(
                line.ends_with("remove it, and a start with the hub fetches it again"),
                "{line}"
            );
            assert_eq!(output.status.code(), Some(69), "{name}");
            assert!(blob.exists(), "{name}: nobody else can bring it back");
        }
    }
}

/// Returns the file that a name in the snapshot links to.
fn blob(home: &Path, name: &str) -> PathBuf {
    let snapshot = home.join("hub/models--org--tiny/snapshots").join(COMMIT);
    snapshot.join(name).canonicalize().unwrap()
}

/// The files that the fake hub identifies by a SHA-256, which are all of them.
const FILES: [&str; 3] = ["config.json", "tokenizer.json", "model.safetensors"];

const DAMAGES: [fn(&Path); 2] = [
    |blob| {
        let bytes = std::fs::read(blob).unwrap();
        std::fs::write(blob, &bytes[..bytes.len() / 2]).unwrap();
    },
    |blob| {
        let mut bytes = std::fs::read(blob).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(blob, bytes).unwrap();
    },
];
