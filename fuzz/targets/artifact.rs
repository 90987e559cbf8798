//! Fuzzes the files of a model folder; the first byte selects the file to replace.
//!
//! The target passes if the model is loaded, self-test included, or refused with an error that
//! names a file.

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
    "header", // of the weights, before the original tensors
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

/// Restores the folder to the files of the tiny model and nothing else.
fn restore(folder: &Path) {
    for file in std::fs::read_dir(folder).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    for file in std::fs::read_dir(tiny()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    }
}

/// Returns the weights with a replaced header: its length, the header itself, then the original
/// tensors.
fn with_header(header: &[u8]) -> Vec<u8> {
    let length = u64::from_le_bytes(WEIGHTS[..8].try_into().unwrap());
    let numbers = &WEIGHTS[8 + usize::try_from(length).unwrap()..];
    [&(header.len() as u64).to_le_bytes(), header, numbers].concat()
}
