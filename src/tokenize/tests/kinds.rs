//! Tokenizers of every kind, each also with its control tokens declared in other ways.

use std::collections::HashSet;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::Value;
use serde_json::json;

use super::super::*;

/// A tokenizer, and what tests need to know about it.
pub(super) struct Kind {
    pub(super) name: String,
    pub(super) tokenizer: Tokenizer,
    pub(super) library: Library, // as the library loads the file
    pub(super) control: HashSet<u32>,
    pub(super) unknown: u32,
    pub(super) names: Vec<String>, // of control tokens
}

impl Kind {
    pub(super) fn new(name: &str, file: &Value) -> Self {
        Self::in_windows(name, file, SHAPE)
    }

    pub(super) fn in_windows(name: &str, file: &Value, shape: WindowShape) -> Self {
        let json = file.to_string();
        let tokenizer = Tokenizer::parse(name, json.as_bytes(), shape).unwrap();
        let library = Library::from_bytes(&json).unwrap();
        let names: Vec<_> = CONTROL_NAMES
            .iter()
            .filter(|name| library.token_to_id(name).is_some())
            .map(|&name| name.to_owned())
            .collect();
        let id = |name: &String| library.token_to_id(name).unwrap();
        let unknown =
            names.iter().find(|name| name.to_lowercase().contains("unk")).map(id).unwrap();
        let control = names.iter().map(id).filter(|&id| id != unknown).collect();
        assert!(names.len() >= 4, "{name}: {names:?}");
        Self { name: name.into(), tokenizer, library, control, unknown, names }
    }

    /// Returns the ids of a text without those that the template adds around it.
    pub(super) fn ids(&self, text: &str) -> Vec<u32> {
        inner(&self.tokenizer.encode_str(0, text).unwrap().windows)
    }

    pub(super) fn tokens(&self, text: &str) -> Vec<String> {
        let token = |id| self.library.id_to_token(id).unwrap();
        self.ids(text).into_iter().map(token).collect()
    }
}

pub(super) fn inner(windows: &[Window]) -> Vec<u32> {
    windows.iter().flat_map(|window| window.ids[1..window.ids.len() - 1].to_vec()).collect()
}

/// All kinds, loaded once.
pub(super) static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    let mut kinds = vec![];
    for (name, file) in files() {
        let ordinary = declared(&file, "special", false);
        let normalized = declared(&file, "normalized", true);
        let both = declared(&ordinary, "normalized", true);
        kinds.push(Kind::new(&format!("{name}, ordinary"), &ordinary));
        kinds.push(Kind::new(&format!("{name}, normalized"), &normalized));
        kinds.push(Kind::new(&format!("{name}, ordinary and normalized"), &both));
        kinds.push(Kind::new(&name, &file));
    }
    kinds
});

/// Returns the tokenizer files that all kinds are made from.
pub(super) fn files() -> Vec<(String, Value)> {
    let word_piece = read_fixture("tiny-bert/tokenizer.json");
    // Without a pre-tokenizer that splits off brackets, the names are words of the vocabulary.
    let mut whole_words = word_piece.clone();
    whole_words["pre_tokenizer"] = json!({"type": "WhitespaceSplit"});
    whole_words["normalizer"] = json!(null);
    for name in ["[unused12]", "<unused7>"] {
        add(&mut whole_words, name);
    }
    let unigram = read_fixture("tokenizers/unigram.json");
    let mut pieces_only = unigram.clone();
    pieces_only["added_tokens"] = json!([]);
    let mut files = vec![
        ("WordPiece", word_piece),
        ("WordPiece of whole words", whole_words),
        ("Unigram", unigram),
        ("Unigram of undeclared pieces", pieces_only),
        ("WordLevel", word_level()),
    ];
    for name in ["byte-level", "byte-fallback"] {
        files.push((name, read_fixture(&format!("tokenizers/{name}.json"))));
    }
    files.into_iter().map(|(name, file)| (name.to_owned(), file)).collect()
}

pub(super) fn read_fixture(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

pub(super) fn word_level() -> Value {
    let mut file = read_fixture("tokenizers/unigram.json");
    let words = ["<s>", "<pad>", "</s>", "<unk>", "tea", "cake", "please", "<", ">", "/", "s"];
    let vocab: serde_json::Map<_, _> =
        words.iter().enumerate().map(|(id, &word)| (word.to_owned(), json!(id))).collect();
    file["model"] = json!({"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"});
    file["pre_tokenizer"] = json!({"type": "WhitespaceSplit"});
    file["added_tokens"].as_array_mut().unwrap().retain(|token| token["content"] != "<mask>");
    file
}

/// Declares an ordinary token in addition to those of the vocabulary.
pub(super) fn add(file: &mut Value, content: &str) {
    let vocab = file["model"]["vocab"].as_object().unwrap();
    let added = file["added_tokens"].as_array().unwrap().iter();
    let ids = vocab.values().chain(added.map(|token| &token["id"]));
    let id = ids.filter_map(Value::as_u64).max().unwrap() + 1;
    file["added_tokens"].as_array_mut().unwrap().push(json!({
        "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": true, "special": false,
    }));
}

fn declared(file: &Value, field: &str, is_so: bool) -> Value {
    let mut file = file.clone();
    for token in file["added_tokens"].as_array_mut().unwrap() {
        token[field] = json!(is_so);
    }
    file
}

pub(super) const CONTROL_NAMES: &[&str] = &[
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "<s>",
    "</s>",
    "<pad>",
    "<unk>",
    "<mask>",
    "[unused12]",
    "<unused7>",
];
pub(super) const SHAPE: WindowShape =
    WindowShape { vocab_size: 40_000, max_tokens: 64, overlap: 16, normalise: true };
