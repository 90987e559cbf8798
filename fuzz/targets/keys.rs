//! Fuzzes key files.
//!
//! The target passes if the file is read and its key names are unique, or if it is refused with an
//! error that names the file.

#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use moderato::key::Key;

fuzz_target!(|text: &str| match Key::read_all("keys.txt", text) {
    Ok(keys) => {
        let names: HashSet<_> = keys.iter().map(|key| key.name.to_string()).collect();
        assert_eq!(names.len(), keys.len());
    }
    Err(fault) => assert!(fault.chain().contains("keys.txt"), "{}", fault.chain()),
});
