//! `moderato serve --api-keys-file`: faulty files, changed files, and what is never logged.

use std::fs::File;
use std::fs::FileTimes;
use std::path::PathBuf;
use std::time::Duration;
use std::time::UNIX_EPOCH;

use moderato::key::Secret;
use tempfile::TempDir;

use super::quiet;
use super::run;
use super::serve::Server;
use super::stderr;
use crate::support;

#[test]
fn a_faulty_file_of_keys_ends_before_anything_listens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.txt");
    let hash = Secret::from_random([1; 32]).hash();
    for (text, message) in [
        (
            format!("web client {hash}\nweb client {}", Secret::from_random([2; 32]).hash()),
            "keys.txt, line 2: expected another name than that of every other key, found that of line 1",
        ),
        // A byte order mark is not part of the first name.
        (
            format!(
                "\u{feff}web client {hash}\r\nweb client {}\r\n",
                Secret::from_random([2; 32]).hash()
            ),
            "keys.txt, line 2: expected another name than that of every other key, found that of line 1",
        ),
        (
            "# keys\nweb client mod-hidden".into(),
            "keys.txt, line 2: expected sha256: and 64 hexadecimal digits as the third word, found something else",
        ),
        (String::new(), "keys.txt: expected at least one key, found none"),
    ] {
        std::fs::write(&path, text).unwrap();
        let output = run(&["serve", "--log", "info", "--api-keys-file", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(78), "{}", stderr(&output));
        assert!(stderr(&output).trim_end().ends_with(message), "{}", stderr(&output));
        assert!(!stderr(&output).contains("listening"), "{}", stderr(&output));
        let hash = hash.to_string();
        assert!(!stderr(&output).contains("hidden") && !stderr(&output).contains(&hash[8..]));
    }
}

#[test]
fn a_file_that_is_not_there_ends_with_66() {
    let output = quiet().env("MODERATO_API_KEYS_FILE", "nowhere").arg("serve").output().unwrap();
    assert_eq!(output.status.code(), Some(66), "{}", stderr(&output));
    assert!(stderr(&output).starts_with("error: nowhere: reading failed: "), "{}", stderr(&output));
}

#[test]
fn open_takes_known_areas_and_none_only_alone() {
    let keys = Keys::new();
    keys.write(&["web"]);
    let path = keys.path.to_str().unwrap();
    for (open, message) in [
        ("scores", "--open"),
        ("none,health", "open: none cannot be combined with other values"),
        ("", "--open"),
    ] {
        let output = run(&["serve", "--api-keys-file", path, "--open", open]);
        assert_eq!(output.status.code(), Some(64), "{open}: {}", stderr(&output));
        assert!(stderr(&output).contains(message), "{open}: {}", stderr(&output));
    }
}

#[test]
fn keys_change_while_it_serves_and_neither_they_nor_their_hashes_are_logged() {
    let keys = Keys::new();
    keys.write(&["old"]);
    let mut server = keys.serve("127.0.0.1:0");
    server.wait_for("ready");
    assert_eq!(ask(&server, "/v1/models", "old"), 200);
    assert_eq!(ask(&server, "/v1/models", "new"), 401);
    assert_eq!(ask(&server, "/v1alpha1/comments:analyze?key=mod-hidden", "none"), 401);
    keys.write(&["new", "next"]);
    let read = server.wait_for("read the keys again");
    assert_eq!(read["n_keys"], 2);
    assert_eq!(ask(&server, "/v1/models", "old"), 401);
    assert_eq!(ask(&server, "/v1/models", "new"), 200);
    keys.write_text(&format!("web client {}", secret("new").reveal()));
    let kept = server.wait_for("the keys could not be read again; the old ones stay valid");
    let detail = kept["detail"].as_str().unwrap();
    assert!(detail.contains("keys.txt, line 1: expected sha256: and 64 hexadecimal"), "{detail}");
    assert_eq!(ask(&server, "/v1/models", "new"), 200);
    server.signal("TERM");
    server.wait_for("every accepted request was answered");
    assert!(server.seen.contains("\"key\":\"new\""), "{}", server.seen);
    for name in ["old", "new", "next"] {
        let (secret, hash) = (secret(name), secret(name).hash().to_string());
        for hidden in [secret.reveal(), &hash["sha256:".len()..], "mod-"] {
            assert!(!server.seen.contains(hidden), "{name} in {}", server.seen);
        }
    }
}

#[test]
fn a_key_is_revoked_by_a_file_of_the_same_size_and_time() {
    let keys = Keys::new();
    keys.write_in_place("old");
    let mut server = keys.serve("127.0.0.1:0");
    server.wait_for("ready");
    assert_eq!(ask(&server, "/v1/models", "old"), 200);
    keys.write_in_place("new");
    server.wait_for("read the keys again");
    assert_eq!(ask(&server, "/v1/models", "old"), 401);
    assert_eq!(ask(&server, "/v1/models", "new"), 200);
}

#[test]
fn a_hangup_reads_keys_and_certificates_again_and_so_does_a_change() {
    let keys = Keys::new();
    keys.write(&["web"]);
    let at = |name: &str| keys.path.with_file_name(name).into_os_string().into_string().unwrap();
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(at("cert.pem"), pair.cert.pem()).unwrap();
    std::fs::write(at("key.pem"), pair.signing_key.serialize_pem()).unwrap();
    let path = keys.path.to_str().unwrap();
    let flags = ["--listen", "127.0.0.1:0", "--api-keys-file", path];
    let tls = ["--tls-cert", &at("cert.pem"), "--tls-key", &at("key.pem")];
    let mut server = Server::with(&support::tiny(), &[&flags[..], &tls].concat());
    server.wait_for("ready");
    server.signal("HUP");
    server.wait_for("read the keys again");
    server.wait_for("read the certificate again");
    server.wait_for("swapped the model");
    // A new certificate and key are read without a signal.
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(at("cert.pem"), pair.cert.pem()).unwrap();
    std::fs::write(at("key.pem"), pair.signing_key.serialize_pem()).unwrap();
    server.wait_for("read the certificate again");
}

#[test]
fn a_server_that_anybody_can_reach_says_so_once_if_it_has_no_keys() {
    let warning =
        "anyone who can reach this address may use the server: there is no --api-keys-file";
    for (address, has_keys, n_warnings) in
        [("0.0.0.0:0", false, 1), ("0.0.0.0:0", true, 0), ("127.0.0.1:0", false, 0)]
    {
        let keys = Keys::new();
        keys.write(&["web"]);
        let mut server = if has_keys {
            keys.serve(address)
        } else {
            Server::with(&support::tiny(), &["--listen", address])
        };
        server.wait_for("ready");
        server.signal("TERM");
        server.wait_for("every accepted request was answered");
        let n_found = server.seen.matches(warning).count();
        assert_eq!(n_found, n_warnings, "{address}: {}", server.seen);
    }
}

/// A key file.
struct Keys {
    path: PathBuf,
    _folder: TempDir,
}

impl Keys {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { path: folder.path().join("keys.txt"), _folder: folder }
    }

    fn write(&self, names: &[&str]) {
        let line = |name: &&str| format!("{name} client {}\n", secret(name).hash());
        self.write_text(&names.iter().map(line).collect::<String>());
    }

    /// Replaces the file atomically, as it should be done.
    fn write_text(&self, text: &str) {
        let next = self.path.with_extension("next");
        std::fs::write(&next, text).unwrap();
        std::fs::rename(next, &self.path).unwrap();
    }

    /// Overwrites the file in place, as it should not be done, always with the same size and
    /// modification time.
    fn write_in_place(&self, name: &str) {
        std::fs::write(&self.path, format!("{name} client {}\n", secret(name).hash())).unwrap();
        let times = FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_secs(1_000_000_000));
        File::options().write(true).open(&self.path).unwrap().set_times(times).unwrap();
    }

    fn serve(&self, address: &str) -> Server {
        let path = self.path.to_str().unwrap();
        Server::with(&support::tiny(), &["--listen", address, "--api-keys-file", path])
    }
}

fn ask(server: &Server, path: &str, name: &str) -> u16 {
    let key = secret(name);
    let method = if path.starts_with("/v1alpha1") { "POST" } else { "GET" };
    let answer = server.send(&format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         authorization: Bearer {}\r\ncontent-length: 0\r\n\r\n",
        key.reveal()
    ));
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    status.unwrap_or_else(|| panic!("{answer}")).parse().unwrap()
}

/// Returns the key for a name, the same in every run.
fn secret(name: &str) -> Secret {
    let mut bytes = [0; 32];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    Secret::from_random(bytes)
}
