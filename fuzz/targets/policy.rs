//! Fuzzes policy files.
//!
//! The target passes if the file is read, or refused with an error that names the file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use moderato::policy::Policy;

fuzz_target!(|data: &[u8]| match Policy::parse("policy.toml", data) {
    Ok(policy) => {
        assert!(!policy.reference().is_empty());
        for (place, id) in policy.ids().iter().enumerate() {
            assert_eq!(policy.position(id), Some(place), "{id}");
        }
    }
    Err(fault) => assert!(fault.chain().contains("policy.toml"), "{}", fault.chain()),
});
