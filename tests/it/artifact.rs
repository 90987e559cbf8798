//! The requirements on a model folder, and the model loaded from it.

mod faulty;

use std::path::Path;

use half::bf16;
use half::f16;
use moderato::batch::Batch;
use moderato::error::Result;
use moderato::model::Artifact;
use moderato::model::HeadSettings;
use moderato::model::HubSettings;
use moderato::model::LoadSettings;
use moderato::model::Logits;
use moderato::model::Model;
use moderato::model::Overrides;
use moderato::model::Placement;
use moderato::model::PolicyFile;
use moderato::model::Source;
use moderato::policy::Policy;
use moderato::policy::Threshold;
use moderato::text::Limits;
use moderato::text::Text;
use proptest::prelude::*;
use safetensors::Dtype;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::Value;
use serde_json::json;

use crate::support;

#[test]
fn a_head_of_two_outputs_needs_no_names() {
    let folder = support::tiny_copy();
    edit(folder.path(), |config| config["id2label"] = json!(null));
    support::replace_head(folder.path(), &[1.0, -1.0]);
    assert_eq!(load(folder.path()).unwrap().card.labels, ["LABEL_0", "LABEL_1"]);
}

#[test]
fn weights_give_the_same_logits_in_every_type_and_in_shards() {
    let reference = logits(&support::tiny());
    let mut hashes = vec![support::tiny_model().card.sha256];
    let as_half = |value: f32| f16::from_f32(value).to_le_bytes().to_vec();
    let as_brain = |value: f32| bf16::from_f32(value).to_le_bytes().to_vec();
    let forms: [(&str, Change<'_>); 3] = [
        ("F16", &|folder| retype(folder, Dtype::F16, as_half)),
        ("BF16", &|folder| retype(folder, Dtype::BF16, as_brain)),
        ("F32", &support::shard),
    ];
    for (dtype, change) in forms {
        let folder = support::tiny_copy();
        change(folder.path());
        // Every weight of the fixture is exactly representable in all three types.
        assert_eq!(logits(folder.path()), reference, "{dtype}");
        let card = load(folder.path()).unwrap().card;
        assert_eq!(card.stored_dtype, dtype);
        assert!(!hashes.contains(&card.sha256), "{dtype}: {}", card.sha256);
        hashes.push(card.sha256);
    }
}

#[test]
fn text_files_may_begin_with_a_byte_order_mark_and_have_lines_that_end_in_crlf() {
    let folder = support::tiny_copy();
    let folder = folder.path();
    let clauses = "clauses = [{ id = \"a\", text = \"\"\"\nOne line,\nand another.\"\"\" }]";
    policy(folder, |toml| toml.replacen("clauses = []", clauses, 1));
    let platt = json!({"scale": 1.0, "offset": 0.5});
    let platts = json!({"spam": platt, "insult": platt, "threat": platt, "leak": platt});
    let calibration = json!({"method": "platt", "version": "1", "labels": platts});
    write(folder, "calibration.json", calibration.to_string().as_bytes());
    let line = json!({"text": "tea", "scores": {"spam": 0.5}, "tolerance": 0.5});
    write(folder, "self_test.jsonl", format!("{line}\n{line}\n").as_bytes());
    support::shard(folder);
    let plain = load(folder).unwrap();
    assert_eq!(plain.mappings[0].policy().categories[0].clauses[0].text, "One line,\nand another.");
    for name in TEXT_FILES {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
        write(folder, name, format!("\u{feff}{text}").as_bytes());
    }
    let marked = load(folder).unwrap();
    assert_eq!(marked.mappings[0].policy(), plain.mappings[0].policy());
    assert_eq!(marked.scorer.calibration, plain.scorer.calibration);
    assert_eq!(marked.card.labels, plain.card.labels);
    assert_eq!(marked.card.sha256, plain.card.sha256);
    let own = PolicyFile::open(&folder.join("policy.toml")).unwrap();
    assert_eq!(own.policy, *plain.mappings[0].policy());
    // UTF-16 is refused.
    for name in TEXT_FILES {
        let text = std::fs::read(folder.join(name)).unwrap();
        write(folder, name, b"\xff\xfe{\0}\0");
        let fault = load(folder).unwrap_err().to_string();
        let expected = format!("{name}: expected text in UTF-8, found UTF-16");
        assert!(fault.ends_with(&expected), "{fault}");
        write(folder, name, &text);
    }
}

const TEXT_FILES: [&str; 6] = [
    "config.json",
    "tokenizer.json",
    "policy.toml",
    "calibration.json",
    "self_test.jsonl",
    "model.safetensors.index.json",
];

#[test]
fn a_model_without_a_policy_gets_a_category_for_each_label() {
    let model = support::tiny_model();
    assert!(!model.card.has_policy);
    assert_eq!(model.mappings[0].policy().ids(), ["spam", "insult", "threat", "leak"]);
    let half = Threshold::try_from(0.5).unwrap();
    assert!(
        model.mappings[0].policy().categories.iter().all(|category| category.threshold == half)
    );
}

#[test]
fn a_policy_of_the_operator_replaces_that_of_the_model() {
    let mut policy = Policy::from_labels(&support::tiny_model().card.labels, Vec::new());
    policy.id = "house-rules".into();
    policy.categories.swap(0, 3);
    let own = PolicyFile { file: "mine.toml".into(), policy };
    let source = Source::Folder(support::tiny());
    let own = Overrides { policies: vec![own], ..Overrides::default() };
    let artifact = Artifact::open(&source, own, OFFLINE).unwrap();
    let model = Model::load(artifact, &SETTINGS).unwrap();
    assert!(model.card.has_policy);
    assert_eq!(model.mappings[0].policy().ids(), ["leak", "insult", "threat", "spam"]);
}

#[test]
fn truncation_and_padding_that_a_tokenizer_carries_are_off() {
    let folder = support::tiny_copy();
    edit_tokenizer(folder.path(), |tokenizer| {
        tokenizer["truncation"] = json!({
            "max_length": 8, "strategy": "LongestFirst", "stride": 0, "direction": "Right",
        });
        tokenizer["padding"] = json!({
            "strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": null,
            "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]",
        });
    });
    let text = text("one cup of tea, two cups of tea, three cups of tea and a biscuit");
    let damaged = load(folder.path()).unwrap().tokenizer.encode(0, &text).unwrap();
    assert_eq!(damaged, support::tiny_model().tokenizer.encode(0, &text).unwrap());
    assert!(damaged.n_tokens > 8);
}

#[test]
fn an_overlap_as_long_as_the_window_is_refused() {
    let artifact =
        Artifact::open(&Source::Folder(support::tiny()), Overrides::default(), OFFLINE).unwrap();
    let settings = LoadSettings { overlap: 126, ..SETTINGS };
    let error = Model::load(artifact, &settings).unwrap_err().to_string();
    assert_eq!(error, "overlap: 126 tokens, but a window of this model has 126");
}

#[test]
fn a_fault_that_shows_without_the_weights_is_told_before_they_are_read() {
    let folder = support::tiny_copy();
    let folder = folder.path();
    remove(folder, "model.safetensors");
    for name in ["policy.toml", "calibration.json", "self_test.jsonl", "canaries.jsonl"] {
        write(folder, name, b"neither TOML nor JSON");
        let fault = load(folder).unwrap_err().to_string();
        assert!(fault.contains(name), "{fault}");
        remove(folder, name);
    }
    let misspelt = HeadSettings { benign_labels: vec!["harmles".into()], activation: None };
    let own = Overrides { policies: Vec::new(), head: misspelt };
    let fault = Artifact::open(&Source::Folder(folder.into()), own, OFFLINE).unwrap_err();
    assert!(fault.to_string().starts_with("benign-label: \"harmles\" is no label"), "{fault}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn damaged_bytes_never_panic(
        name in prop::sample::select(&["model.safetensors", "config.json", "tokenizer.json"][..]),
        place in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let folder = support::tiny_copy();
        let path = folder.path().join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        // The first bytes affect parsing the most.
        let place = place.index(bytes.len()).min(place.index(4000));
        if cut { bytes.truncate(place) } else { bytes[place] = byte }
        std::fs::write(&path, bytes).unwrap();
        // The model may load or not, depending on the byte, but loading must not panic.
        let _ = load(folder.path());
    }
}

fn load(folder: &Path) -> Result<Model> {
    Model::load(
        Artifact::open(&Source::Folder(folder.into()), Overrides::default(), OFFLINE)?,
        &SETTINGS,
    )
}

fn logits(folder: &Path) -> Logits {
    let model = load(folder).unwrap();
    let encoded = model.tokenizer.encode(0, &text("Two cups of tea, please.")).unwrap();
    model.replicas[0].forward(&Batch::pack(&encoded.windows)).unwrap()
}

fn text(raw: &str) -> Text {
    Text::new(0, raw.into(), &Limits { max_texts: 1, max_chars: 1000 }).unwrap()
}

type Change<'a> = &'a dyn Fn(&Path);

const OFFLINE: HubSettings = HubSettings::offline();
const SETTINGS: LoadSettings = LoadSettings {
    placement: Placement::Cpu,
    dtype: moderato::model::Dtype::F32,
    threads: 1,
    replicas: 1,
    overlap: 64,
    normalise: true,
};

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    std::fs::write(folder.join(name), bytes).unwrap();
}

fn remove(folder: &Path, name: &str) {
    std::fs::remove_file(folder.join(name)).unwrap();
}

fn cut(folder: &Path, name: &str, n_bytes: usize) {
    let bytes = std::fs::read(folder.join(name)).unwrap();
    write(folder, name, &bytes[..bytes.len() - n_bytes]);
}

fn edit(folder: &Path, change: impl FnOnce(&mut Value)) {
    edit_json(&folder.join("config.json"), change);
}

fn edit_tokenizer(folder: &Path, change: impl FnOnce(&mut Value)) {
    edit_json(&folder.join("tokenizer.json"), change);
}

fn edit_json(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut json = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    change(&mut json);
    std::fs::write(path, json.to_string()).unwrap();
}

/// Writes a modified policy into the folder.
fn policy(folder: &Path, change: impl FnOnce(String) -> String) {
    let policy = Policy::from_labels(&support::tiny_model().card.labels, Vec::new());
    write(folder, "policy.toml", change(toml::to_string_pretty(&policy).unwrap()).as_bytes());
}

/// Rewrites all weights in another type.
fn retype(folder: &Path, dtype: Dtype, convert: impl Fn(f32) -> Vec<u8>) {
    let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap().tensors();
    let converted: Vec<_> = tensors
        .into_iter()
        .map(|(name, view)| {
            let values = view.data().chunks_exact(4);
            let values = values.map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
            (name, view.shape().to_vec(), values.flat_map(&convert).collect::<Vec<u8>>())
        })
        .collect();
    let views = converted.iter().map(|(name, shape, bytes)| {
        (name.clone(), TensorView::new(dtype, shape.clone(), bytes).unwrap())
    });
    let views: Vec<_> = views.collect();
    safetensors::serialize_to_file(views, None, &folder.join("model.safetensors")).unwrap();
}
