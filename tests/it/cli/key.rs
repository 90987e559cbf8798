//! `moderato key`: its output, and that the server accepts the key.

use std::process::Output;

use moderato::key::Key;
use moderato::key::Role;
use moderato::key::find;

use super::stderr;
use crate::support;

#[test]
fn a_new_key_goes_to_stderr_once_and_its_line_to_stdout() {
    for (arguments, role) in [
        (&["web"][..], Role::Client),
        (&["web", "--role", "client"], Role::Client),
        (&["web", "--role", "admin"], Role::Admin),
    ] {
        let output = new(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let lines = std::str::from_utf8(&output.stdout).unwrap();
        let keys = Key::read_all("stdout", lines).unwrap();
        let (name, hash) = (keys[0].name.to_string(), &keys[0].hash);
        assert_eq!((keys.len(), name.as_str(), keys[0].role), (1, "web", role));
        let said = stderr(&output);
        let (first, secret) = said.trim_end().split_once('\n').unwrap();
        assert_eq!(first, "The key, which is shown only this once:");
        assert!(secret.starts_with("mod-") && secret.len() == 47, "{} characters", secret.len());
        assert_eq!(find([hash].into_iter(), secret.as_bytes()), Some(0));
        assert!(!lines.contains(secret));
    }
}

#[test]
fn no_two_keys_are_the_same() {
    assert_ne!(new(&["web"]).stdout, new(&["web"]).stdout);
}

#[test]
fn a_name_that_could_be_a_key_is_refused() {
    for name in ["", "two words", "a#b", "mod-0123456789012345678901234567890123456789012"] {
        let output = new(&[name]);
        assert_eq!(output.status.code(), Some(64), "{name:?}");
        let message = "expected a name of at most 40 letters";
        assert!(name.is_empty() || stderr(&output).contains(message), "{}", stderr(&output));
    }
}

fn new(arguments: &[&str]) -> Output {
    support::moderato().args(["key", "new"]).args(arguments).output().unwrap()
}
