//! Key files and key lookup.

use super::*;

const HASH: &str = "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
const OTHER: &str = "sha256:0bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

fn read(text: &str) -> Result<Vec<Key>> {
    Key::read_all("keys", text)
}

#[test]
fn a_file_has_a_key_a_line_among_comments_and_blank_lines() {
    let text = format!(
        "# ours\n\nweb client {HASH}\r\n  ops-1\tadmin {OTHER} tokens_per_second=0.5 # x\n"
    );
    let keys = read(&text).unwrap();
    let shown: Vec<_> = keys.iter().map(|key| format!("{} {}", key.name, key.role)).collect();
    assert_eq!(shown, ["web client", "ops-1 admin"]);
    assert_eq!(keys[0].hash, Hash::from_presented(b"secret"));
    assert_eq!(keys[0].quota, Quota::UNLIMITED);
    assert_eq!(keys[1].quota.tokens_per_second, Rate::parse("0.5"));
    assert_eq!(keys[1].quota.requests_per_second, None);
}

#[test]
fn a_faulty_line_is_named_and_never_quoted() {
    let setting = "requests_per_second=N or tokens_per_second=N after the hash";
    for (line, fault) in [
        ("web client", "sha256: and 64 hexadecimal digits as the third word"),
        ("web client mod-hidden", "sha256: and 64 hexadecimal digits as the third word"),
        ("web client sha256:hidden", "sha256: and 64 hexadecimal digits as the third word"),
        ("web hidden HASH", "client or admin as the second word"),
        ("HASH client web", "a name of at most 40"),
        ("mod-hiddenhiddenhiddenhiddenhiddenhiddenhiddenhid client HASH", "a name of at most 40"),
        ("w/hidden client HASH", "a name of at most 40"),
        ("web client HASH hidden", setting),
        ("web client HASH hidden=5", setting),
        ("web client HASH tokens_per_second=hidden", "a number from 0.001 to 1000000000"),
        ("web client HASH tokens_per_second=0", "a number from 0.001 to 1000000000"),
        ("web client HASH tokens_per_second=-1", "a number from 0.001 to 1000000000"),
        ("web client HASH tokens_per_second=inf", "a number from 0.001 to 1000000000"),
        ("web client HASH tokens_per_second=NaN", "a number from 0.001 to 1000000000"),
        ("web client HASH tokens_per_second=1 tokens_per_second=1", "each quota once"),
    ] {
        let text = format!("good client {OTHER}\n\n{}", line.replace("HASH", HASH));
        let message = read(&text).unwrap_err().to_string();
        assert!(message.starts_with("keys, line 3: expected "), "{line}: {message}");
        assert!(message.contains(fault), "{line}: {message}");
        assert!(!message.contains("hidden") && !message.contains(&HASH[8..]), "{line}: {message}");
    }
}

#[test]
fn names_and_hashes_are_there_once() {
    for (second, fault) in [
        (format!("web admin {OTHER}"), "expected another name than that of every other key"),
        (format!("app client {HASH}"), "expected another hash than that of every other key"),
        (format!("app client {}", HASH.replace("bde0", "BDE0")), "expected another hash"),
    ] {
        let message = read(&format!("#\nweb client {HASH}\n{second}")).unwrap_err().to_string();
        assert!(message.starts_with(&format!("keys, line 3: {fault}")), "{message}");
        assert!(message.ends_with("found that of line 2"), "{message}");
    }
}

#[test]
fn a_file_without_a_key_locks_nobody_out() {
    for text in ["", "# nothing yet\n\n"] {
        let message = read(text).unwrap_err().to_string();
        assert_eq!(message, "keys: expected at least one key, found none");
    }
}

#[test]
fn a_key_is_found_by_its_hash_and_only_by_it() {
    let secrets = [1, 2, 3].map(|byte| Secret::from_random([byte; 32]));
    let hashes = secrets.each_ref().map(Secret::hash);
    for (index, secret) in secrets.iter().enumerate() {
        assert_eq!(find(hashes.iter(), secret.reveal().as_bytes()), Some(index));
    }
    for presented in [&b""[..], b"mod-", hashes[0].to_string().as_bytes()] {
        assert_eq!(find(hashes.iter(), presented), None, "{presented:?}");
    }
    assert_eq!(find([].into_iter(), b"anything"), None);
}

#[test]
fn a_key_is_a_prefix_and_43_characters_that_need_no_quoting() {
    let secret = Secret::from_random([0xfb; 32]);
    assert_eq!(secret.reveal(), format!("mod-{}-_s", "-_v7".repeat(10)));
    assert_eq!(secret.reveal().len(), 47);
    assert_eq!(Hash::parse(&secret.hash().to_string()), Some(secret.hash()));
}

#[test]
fn neither_keys_nor_hashes_are_printed_for_debugging() {
    let secret = Secret::from_random([7; 32]);
    let shown = format!("{secret:?} {:?}", secret.hash());
    assert_eq!(shown, "Secret(..) Hash(..)");
}
