//! Error messages for invalid model folders.

use std::path::Path;

use safetensors::Dtype;
use serde_json::json;

use super::cut;
use super::edit;
use super::edit_tokenizer;
use super::load;
use super::policy;
use super::remove;
use super::retype;
use super::write;
use crate::support;

struct Case {
    name: &'static str,
    damage: fn(&Path),
    file: &'static str,
    message: &'static str,
}

#[test]
fn a_faulty_folder_is_refused_in_one_line_that_names_file_expected_and_found() {
    for Case { name, damage, file, message } in CASES {
        let folder = support::tiny_copy();
        damage(folder.path());
        let error = load(folder.path()).err().unwrap_or_else(|| panic!("{name} was accepted"));
        let line = error.chain();
        assert_eq!(line.lines().count(), 1, "{name}: {line}");
        let start = folder.path().join(file).display().to_string();
        let start = start.trim_end_matches('/');
        assert!(line.starts_with(start), "{name}: {line}");
        assert!(line.contains(message), "{name}: {line}");
    }
}

const CASES: &[Case] = &[
    Case {
        name: "config is not JSON",
        damage: |folder| write(folder, "config.json", b"{"),
        file: "config.json",
        message: "expected the settings of a model, found EOF",
    },
    Case {
        name: "unknown architecture",
        damage: |folder| edit(folder, |config| config["architectures"] = json!(["GPT2Model"])),
        file: "config.json",
        message: "expected architectures of one of BertForSequenceClassification, found \"GPT2Model\"",
    },
    Case {
        name: "no config",
        damage: |folder| remove(folder, "config.json"),
        file: "config.json",
        message: "found no such file",
    },
    Case {
        name: "no tokenizer",
        damage: |folder| remove(folder, "tokenizer.json"),
        file: "tokenizer.json",
        message: "found no such file",
    },
    Case {
        name: "no weights",
        damage: |folder| remove(folder, "model.safetensors"),
        file: "model.safetensors",
        message: "found no such file",
    },
    Case {
        name: "a layer more than the weights have",
        damage: |folder| edit(folder, |config| config["num_hidden_layers"] = json!(3)),
        file: "model.safetensors",
        message: "expected tensor \"bert.encoder.layer.2.attention.self.query.weight\" of shape [32, 32], found no such tensor",
    },
    Case {
        name: "a layer fewer",
        damage: |folder| edit(folder, |config| config["num_hidden_layers"] = json!(1)),
        file: "model.safetensors",
        message: "16 unknown, \"bert.encoder.layer.1.attention.output.LayerNorm.bias\" the first",
    },
    Case {
        name: "another width",
        damage: |folder| edit(folder, |config| config["intermediate_size"] = json!(48)),
        file: "model.safetensors",
        message: "of shape [48, 32], found shape [64, 32]",
    },
    Case {
        name: "a label more than the head has",
        damage: |folder| edit(folder, |config| config["id2label"]["4"] = json!("more")),
        file: "model.safetensors",
        message: "expected tensor \"classifier.weight\" of shape [5, 32], found shape [4, 32]",
    },
    Case {
        name: "whole numbers for weights",
        damage: |folder| retype(folder, Dtype::I64, |_| 1_i64.to_le_bytes().to_vec()),
        file: "model.safetensors",
        message: "of type F32, F16 or BF16, found I64",
    },
    Case {
        name: "truncated weights",
        damage: |folder| cut(folder, "model.safetensors", 1000),
        file: "model.safetensors",
        message: "expected a safetensors file, found",
    },
    Case {
        name: "empty weights",
        damage: |folder| write(folder, "model.safetensors", b""),
        file: "model.safetensors",
        message: "expected a safetensors file, found",
    },
    Case {
        name: "a pickle",
        damage: |folder| write(folder, "model.safetensors", b"\x80\x04\x95 not weights at all"),
        file: "model.safetensors",
        message: "expected a safetensors file, found",
    },
    Case {
        name: "a header without end",
        damage: |folder| write(folder, "model.safetensors", &[0xff; 64]),
        file: "model.safetensors",
        message: "expected a safetensors file, found",
    },
    Case {
        name: "weights that are NaN",
        damage: |folder| retype(folder, Dtype::F32, |_| f32::NAN.to_le_bytes().to_vec()),
        file: "",
        message: "expected weights that give finite scores, found NaN or infinity",
    },
    Case {
        name: "tokenizer is not JSON",
        damage: |folder| cut(folder, "tokenizer.json", 100),
        file: "tokenizer.json",
        message: "expected a tokenizer, found",
    },
    Case {
        name: "words that the model does not know",
        damage: |folder| edit(folder, |config| config["vocab_size"] = json!(500)),
        file: "tokenizer.json",
        message: "expected token ids below 500, found token id 511",
    },
    Case {
        name: "a tokenizer that ends within its decoder",
        damage: |folder| {
            let json = std::fs::read_to_string(folder.join("tokenizer.json")).unwrap();
            let (before, _) = json.split_once("\"decoder\": null").unwrap();
            write(folder, "tokenizer.json", format!("{before}\"decoder\": nu").as_bytes());
        },
        file: "tokenizer.json",
        message: "expected a tokenizer, found EOF",
    },
    Case {
        name: "a special token that the model does not know",
        damage: |folder| {
            edit_tokenizer(folder, |tokenizer| {
                tokenizer["post_processor"]["special_tokens"]["[CLS]"]["ids"] = json!([9999]);
            });
        },
        file: "tokenizer.json",
        message: "expected token ids below 512, found token id 9999",
    },
    Case {
        name: "a template of a special token that is not there",
        damage: |folder| {
            edit_tokenizer(folder, |tokenizer| {
                tokenizer["post_processor"]["single"][0]["SpecialToken"]["id"] = json!("[BOS]");
            });
        },
        file: "tokenizer.json",
        message: "found unknown special token \"[BOS]\"",
    },
    Case {
        name: "a template of two texts",
        damage: |folder| {
            edit_tokenizer(folder, |tokenizer| {
                tokenizer["post_processor"]["single"][1]["Sequence"]["id"] = json!("B");
            });
        },
        file: "tokenizer.json",
        message: "found a second text in the template",
    },
    Case {
        name: "a template of token types that the model is not given",
        damage: |folder| {
            edit_tokenizer(folder, |tokenizer| {
                tokenizer["post_processor"]["single"][1]["Sequence"]["type_id"] = json!(1);
            });
        },
        file: "tokenizer.json",
        message: "expected token type 0 throughout the template for one text, found 1",
    },
    Case {
        name: "an unknown token that the vocabulary lacks",
        damage: |folder| {
            edit_tokenizer(folder, |tokenizer| tokenizer["model"]["unk_token"] = json!("[WHAT]"));
        },
        file: "tokenizer.json",
        message: "expected an unknown token that its vocabulary has, found \"[WHAT]\", which the vocabulary lacks",
    },
    Case {
        name: "a tokenizer that puts nothing before a text",
        damage: |folder| {
            edit_tokenizer(folder, |tokenizer| tokenizer["post_processor"] = json!(null));
        },
        file: "tokenizer.json",
        message: "expected a special token before the text, found none",
    },
    Case {
        name: "weights that Git LFS has not fetched",
        damage: |folder| write(folder, "model.safetensors", LFS_POINTER),
        file: "model.safetensors",
        message: "expected the file itself, found a pointer of Git LFS to it; git lfs pull",
    },
    Case {
        name: "a tokenizer that Git LFS has not fetched",
        damage: |folder| write(folder, "tokenizer.json", LFS_POINTER),
        file: "tokenizer.json",
        message: "expected the file itself, found a pointer of Git LFS to it; git lfs pull",
    },
    Case {
        name: "a shard that Git LFS has not fetched",
        damage: |folder| {
            support::shard(folder);
            write(folder, "model-00002-of-00002.safetensors", LFS_POINTER);
        },
        file: "model-00002-of-00002.safetensors",
        message: "expected the file itself, found a pointer of Git LFS to it; git lfs pull",
    },
    Case {
        name: "no word about the labels of a head of four",
        damage: |folder| edit(folder, |config| config["id2label"] = json!(null)),
        file: "config.json",
        message: "expected id2label with the names of the 4 outputs of the head, found neither \
                  id2label nor num_labels",
    },
    Case {
        name: "no word about the labels that a policy names",
        damage: |folder| {
            policy(folder, |toml| toml);
            edit(folder, |config| config["id2label"] = json!(null));
        },
        file: "config.json",
        message: "expected id2label with the names of the 4 outputs of the head, found neither",
    },
    Case {
        name: "a policy with an unknown key",
        damage: |folder| policy(folder, |toml| toml.replace("title", "titel")),
        file: "policy.toml",
        message: "unknown field `titel`",
    },
    Case {
        name: "a policy with a label that the model lacks",
        damage: |folder| {
            policy(folder, |toml| toml.replace("label = \"leak\"", "label = \"lake\""));
        },
        file: "policy.toml",
        message: "expected labels of the model (spam, insult, threat, leak), found label \"lake\"",
    },
    Case {
        name: "a policy that forgets a label",
        damage: |folder| policy(folder, |toml| toml[..toml.rfind("[[").unwrap()].to_owned()),
        file: "policy.toml",
        message: "found label \"leak\" in neither",
    },
    Case {
        name: "a calibration of other categories",
        damage: |folder| {
            let json = br#"{"method": "platt", "version": "1", "categories": {}}"#;
            write(folder, "calibration.json", json);
        },
        file: "calibration.json",
        message: "expected category \"spam\" of the policy",
    },
    Case {
        name: "an index of a shard that is not there",
        damage: |folder| {
            support::shard(folder);
            remove(folder, "model-00002-of-00002.safetensors");
        },
        file: "model-00002-of-00002.safetensors",
        message: "found no such file",
    },
    Case {
        name: "an index that leads out of the folder",
        damage: |folder| {
            let index = br#"{"weight_map": {"classifier.bias": "../elsewhere.safetensors"}}"#;
            write(folder, "model.safetensors.index.json", index);
        },
        file: "model.safetensors.index.json",
        message: "expected names of files in the folder, found \"../elsewhere.safetensors\"",
    },
];

const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\n\
    oid sha256:a9f74d1ec36ebdeb2da3f6e5868090cd2a2d20b3dcca7b62f60304b1d3d9ef42\nsize 133\n";
