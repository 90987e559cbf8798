//! Checkpoints with the tensor names of published models.

use std::path::Path;

use moderato::batch::Batch;
use moderato::error::Result;
use moderato::model::Artifact;
use moderato::model::HubSettings;
use moderato::model::Logits;
use moderato::model::Model;
use moderato::model::Overrides;
use moderato::model::Source;
use moderato::text::Limits;
use moderato::text::Text;
use safetensors::Dtype;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::Value;
use tempfile::TempDir;

use crate::support;

struct Case {
    name: &'static str,
    rename: fn(&str) -> String,
    extra: &'static [&'static str],
}

#[test]
fn a_checkpoint_gives_the_same_logits_under_every_published_naming() {
    let reference = logits(&support::tiny()).unwrap();
    for Case { name, rename, extra } in CASES {
        let folder = renamed(*rename, extra);
        let given = logits(folder.path()).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert_eq!(given, reference, "{name}");
    }
}

const CASES: &[Case] = &[
    Case { name: "gamma and beta", rename: gamma_and_beta, extra: &[] },
    Case { name: "no model prefix", rename: without_prefix, extra: &[] },
    Case { name: "module.", rename: |name| format!("module.{name}"), extra: &[] },
    Case { name: "_orig_mod.", rename: |name| format!("_orig_mod.{name}"), extra: &[] },
    Case { name: "model.", rename: |name| format!("model.{name}"), extra: &[] },
    Case {
        name: "several wrappers around the encoder alone, of an early release",
        rename: |name| format!("module._orig_mod.model.{}", without_prefix(&gamma_and_beta(name))),
        extra: &[],
    },
    Case {
        name: "leftover heads and buffers",
        rename: str::to_owned,
        extra: &[
            "cls.predictions.transform.LayerNorm.gamma",
            "cls.seq_relationship.weight",
            "lm_head.weight",
            "bert.embeddings.position_ids",
            "bert.embeddings.token_type_ids",
        ],
    },
    Case {
        name: "the same behind a wrapper",
        rename: |name| format!("module.{name}"),
        extra: &["module.cls.predictions.bias", "module.bert.embeddings.position_ids"],
    },
];

#[test]
fn what_was_renamed_and_what_was_left_out_is_logged_once() {
    let folder = renamed(gamma_and_beta, &["cls.predictions.bias", "bert.embeddings.position_ids"]);
    let lines = log(folder.path());
    let told: Vec<_> = lines.iter().filter(|line| line["n_renamed"].is_number()).collect();
    let [told] = told.as_slice() else { panic!("{lines:?}") };
    assert_eq!(told["level"], "INFO");
    assert_eq!(told["n_renamed"], 10);
    let first = "bert.embeddings.LayerNorm.beta is bert.embeddings.LayerNorm.bias, ";
    assert!(told["renamed"].as_str().unwrap().starts_with(first), "{told}");
    assert_eq!(told["n_ignored"], 2);
    assert_eq!(told["ignored"], "bert.embeddings.position_ids, cls.predictions.bias");
    let untouched = log(&support::tiny());
    assert!(untouched.iter().all(|line| line["n_renamed"].is_null()), "{untouched:?}");
}

#[test]
fn what_is_left_out_does_not_count_as_a_parameter() {
    let folder = renamed(str::to_owned, &["cls.predictions.bias", "bert.embeddings.position_ids"]);
    let (card, reference) = (load(folder.path()).unwrap().card, support::tiny_model().card);
    assert_eq!(card.n_parameters, reference.n_parameters);
    assert_eq!(card.stored_dtype, reference.stored_dtype);
}

struct Fault {
    name: &'static str,
    rename: fn(&str) -> String,
    extra: &'static [&'static str],
    message: &'static str,
}

#[test]
fn a_checkpoint_that_does_not_fit_is_refused_by_the_names_of_its_tensors() {
    for Fault { name, rename, extra, message } in FAULTS {
        let folder = renamed(*rename, extra);
        let error = logits(folder.path()).unwrap_err().to_string();
        let file = folder.path().join("model.safetensors");
        assert_eq!(error, format!("{}: {message}", file.display()), "{name}");
    }
}

const FAULTS: &[Fault] = &[
    Fault {
        name: "a head without a rule",
        rename: str::to_owned,
        extra: &["score.weight", "score.bias"],
        message: "expected only tensors of the architecture in config.json (bert.embeddings, \
                  bert.encoder.layer, bert.pooler, classifier), found 2 unknown, \"score.bias\" the \
                  first",
    },
    Fault {
        name: "another architecture",
        rename: |name| name.replace("bert.", "roberta."),
        extra: &[],
        message: "expected only tensors of the architecture in config.json (bert.embeddings, \
                  bert.encoder.layer, bert.pooler, classifier), found 39 unknown, \
                  \"roberta.embeddings.LayerNorm.bias\" the first",
    },
    Fault {
        name: "a norm under both its names",
        rename: str::to_owned,
        extra: &["bert.embeddings.LayerNorm.gamma"],
        message: "expected tensor \"bert.embeddings.LayerNorm.weight\" once, found it as \
                  \"bert.embeddings.LayerNorm.gamma\" and as \"bert.embeddings.LayerNorm.weight\"",
    },
    Fault {
        name: "an encoder with and without its prefix",
        rename: str::to_owned,
        extra: &["pooler.dense.bias"],
        message: "expected tensor \"bert.pooler.dense.bias\" once, found it as \
                  \"bert.pooler.dense.bias\" and as \"pooler.dense.bias\"",
    },
    Fault {
        name: "the head of pre-training alone",
        rename: |name| name.replace("classifier.", "cls.predictions."),
        extra: &[],
        message: "expected tensor \"classifier.weight\" of shape [4, 32], found no such tensor",
    },
    Fault {
        name: "a tensor of a layer that the architecture does not have",
        rename: str::to_owned,
        extra: &["encoder.layer.0.adapter.weight"],
        message: "expected only tensors of the architecture in config.json, which has 2 layers, \
                  found 1 unknown, \"encoder.layer.0.adapter.weight\" the first",
    },
];

fn gamma_and_beta(name: &str) -> String {
    let name = name.replace("LayerNorm.weight", "LayerNorm.gamma");
    name.replace("LayerNorm.bias", "LayerNorm.beta")
}

fn without_prefix(name: &str) -> String {
    name.strip_prefix("bert.").unwrap_or(name).to_owned()
}

/// Copies the tiny model with renamed and additional tensors.
fn renamed(rename: fn(&str) -> String, extra: &[&str]) -> TempDir {
    let folder = support::tiny_copy();
    let file = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap().tensors();
    let number = 7_i64.to_le_bytes();
    let extra = extra
        .iter()
        .map(|&name| (name.to_owned(), TensorView::new(Dtype::I64, vec![1], &number).unwrap()));
    let tensors = tensors.into_iter().map(|(name, tensor)| (rename(&name), tensor)).chain(extra);
    safetensors::serialize_to_file(tensors, None, &file).unwrap();
    folder
}

fn load(folder: &Path) -> Result<Model> {
    let source = Source::Folder(folder.into());
    let artifact = Artifact::open(&source, Overrides::default(), HubSettings::offline())?;
    Model::load(artifact, &support::LOAD)
}

fn logits(folder: &Path) -> Result<Logits> {
    let model = load(folder)?;
    let limits = Limits { max_texts: 1, max_chars: 1000 };
    let text = Text::new(0, "Two cups of tea, please.".into(), &limits)?;
    model.replicas[0].forward(&Batch::pack(&model.tokenizer.encode(0, &text)?.windows))
}

/// Returns the log of the program when it scores a text.
fn log(folder: &Path) -> Vec<Value> {
    let mut command = support::moderato();
    command.args(["score", "--log", "info", "--log-format", "json", "Good morning", "--model"]);
    let output = command.arg(folder).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
