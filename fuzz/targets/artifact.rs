//! Files of a model folder; the first byte says which of them is replaced.
//!
//! Holds if the model is loaded, self-test included, or refused in words that name a file.

#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use moderato_fuzz::load;
use moderato_fuzz::tiny;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());
static WEIGHTS: LazyLock<Vec<u8>> =
    LazyLock::new(|| std::fs::read(tiny().join("model.safetensors")).unwrap());

const FILES: [&str; 8] = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "calibration.json",
    "self_test.jsonl",
    "policy.toml",
    "model.safetensors",
    "header", // of the weights, before the true numbers
];

fuzz_target!(|data: &[u8]| {
    let Some((&first, content)) = data.split_first() else {
        return;
    };
    let (folder, which) = (FOLDER.path(), FILES[usize::from(first) % FILES.len()]);
    restore(folder);
    let (file, content) = match which {
        "header" => ("model.safetensors", with_header(content)),
        file => (file, content.to_vec()),
    };
    std::fs::write(folder.join(file), content).unwrap();
    if let Err(fault) = load(folder) {
        let told = fault.chain();
        assert!(told.contains('.') || told.contains("policy"), "{file}: {told}");
    }
});

/// The tiny model as it is, and nothing else.
fn restore(folder: &Path) {
    for file in std::fs::read_dir(folder).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    for file in std::fs::read_dir(tiny()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    }
}

/// A header of the format's kind: its length, itself; then what the true header is followed by.
fn with_header(header: &[u8]) -> Vec<u8> {
    let length = u64::from_le_bytes(WEIGHTS[..8].try_into().unwrap());
    let numbers = &WEIGHTS[8 + usize::try_from(length).unwrap()..];
    [&(header.len() as u64).to_le_bytes(), header, numbers].concat()
}
