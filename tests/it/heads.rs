//! Models without a policy: which labels are judged, and how their scores are computed.

use std::path::Path;

use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

use crate::cli::json_lines;
use crate::cli::stderr;
use crate::support;

/// Texts without harmful content.
const HARMLESS: [&str; 10] = [
    "Good morning, everybody.",
    "The soup needs a little more salt.",
    "Our train leaves at ten past nine.",
    "She planted tulips along the fence.",
    "Please water the tomatoes on Friday.",
    "The library is open until six.",
    "Two cups of tea and a biscuit, please.",
    "My brother plays the cello in an orchestra.",
    "It rained all afternoon, so we stayed in.",
    "Could you send me the minutes of the meeting?",
];

#[test]
fn a_softmax_model_with_a_benign_label_does_not_flag_harmless_texts() {
    for labels in [["safe", "unsafe"], ["Not-Toxic", "Toxic"], ["nothate", "hate"]] {
        let folder = two_labels(&json!({"0": labels[0], "1": labels[1]}));
        let output = program(folder.path()).arg("score").args(HARMLESS).output().unwrap();
        let scored = json_lines(&output);
        assert_eq!(scored.len(), HARMLESS.len());
        for line in scored {
            assert_eq!(line["flagged"], false, "{labels:?}: {line}");
            let categories: Vec<_> = line["categories"].as_object().unwrap().keys().collect();
            assert_eq!(categories, [labels[1]]);
        }
    }
}

#[test]
fn what_was_decided_is_said_at_start() {
    let folder = two_labels(&json!({"0": "safe", "1": "unsafe"}));
    let warnings = warnings(folder.path(), &[]);
    let [problem_type, policy, ..] = warnings.as_slice() else { panic!("{warnings:?}") };
    let message = problem_type["message"].as_str().unwrap();
    assert!(message.starts_with("config.json has no problem_type: softmax"), "{message}");
    assert!(message.contains("--activation sigmoid"), "{message}");
    assert!(policy["message"].as_str().unwrap().starts_with("no policy.toml: "), "{policy}");
    assert_eq!(policy["ignored_labels"], "safe");
}

#[test]
fn labels_that_say_nothing_are_warned_of_until_the_benign_one_is_named() {
    let folder = two_labels(&Value::Null);
    let is_about_labels = |line: &Value| line["labels"] == "LABEL_0, LABEL_1";
    let before = warnings(folder.path(), &[]);
    let warning = before.iter().find(|line| is_about_labels(line));
    let message = warning.unwrap_or_else(|| panic!("{before:?}"))["message"].as_str().unwrap();
    assert!(message.contains("--benign-label") && message.contains("policy.toml"), "{message}");
    for flags in [["--benign-label", "LABEL_0"], ["--benign-label=LABEL_0", "--log=warn"]] {
        let after = warnings(folder.path(), &flags);
        assert!(!after.iter().any(is_about_labels), "{after:?}");
        assert!(after.iter().any(|line| line["ignored_labels"] == "LABEL_0"), "{after:?}");
    }
    let mut command = program(folder.path());
    command.env("MODERATO_BENIGN_LABEL", "LABEL_0").args(["score", "Good morning"]);
    assert_eq!(json_lines(&command.output().unwrap())[0]["flagged"], false);
}

#[test]
fn a_benign_label_that_the_model_lacks_is_refused_with_those_it_has() {
    let folder = two_labels(&json!({"0": "quiet, calm", "1": "loud"}));
    for (label, part) in [("LABEL_0", "LABEL_0"), ("loud,soft", "soft"), ("", "")] {
        let mut command = program(folder.path());
        let output = command.args(["policy", "--benign-label", label]).output().unwrap();
        let message = format!(
            "error: benign-label: {part:?} is no label of the model; its labels are quiet, calm, loud\n"
        );
        assert_eq!(stderr(&output), message);
        assert_eq!(output.status.code(), Some(64), "{label}");
    }
}

#[test]
fn the_policy_command_shows_the_labels_that_are_left_out() {
    let folder = two_labels(&json!({"0": "quiet, calm", "1": "loud"}));
    let policy = |arguments: &[&str]| {
        let output = program(folder.path()).arg("policy").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let toml: toml::Table = policy(&["--toml", "--benign-label", "quiet, calm"]).parse().unwrap();
    assert_eq!(toml["ignored_labels"], toml::Value::from(vec!["quiet, calm"]));
    assert_eq!(toml["categories"].as_array().unwrap().len(), 1);
    let shown = policy(&["--benign-label", "quiet, calm"]);
    assert!(shown.contains("\nignored labels: quiet, calm\n"), "{shown}");
    assert!(!policy(&[]).contains("ignored labels"));
}

#[test]
fn a_model_of_harmless_labels_only_is_refused_with_the_remedy() {
    let folder = two_labels(&json!({"0": "safe", "1": "neutral"}));
    let output = program(folder.path()).args(["score", "Good morning"]).output().unwrap();
    let config = folder.path().join("config.json");
    let message = format!(
        "error: {}: expected a label that stands for a violation, or a policy.toml that says what \
         each label stands for, found labels of harmless texts only (safe, neutral)",
        config.display()
    );
    assert_eq!(stderr(&output).lines().last(), Some(message.as_str()));
    assert_eq!(output.status.code(), Some(78));
}

#[test]
fn a_policy_decides_about_labels_whatever_they_are_called() {
    let folder = two_labels(&json!({"0": "safe", "1": "unsafe"}));
    let category = |label: &str| {
        format!(
            "[[categories]]\nid = \"{label}\"\nlabel = \"{label}\"\ntitle = \"\"\nsummary = \"\"\n\
             threshold = 0.5\naction = \"flag\"\nclauses = []\n"
        )
    };
    let policy = "id = \"both\"\nname = \"Both\"\nversion = \"1\"";
    let policy = [policy, &category("safe"), &category("unsafe")].join("\n");
    std::fs::write(folder.path().join("policy.toml"), policy).unwrap();
    let flags = ["--benign-label", "safe"];
    let output = program(folder.path()).args(["score", "Hello"]).args(flags).output().unwrap();
    let categories = &json_lines(&output)[0]["categories"];
    assert_eq!(categories["safe"]["violated"], true, "{categories}");
    let warnings = warnings(folder.path(), &flags);
    let unused = "--benign-label is not used: there is a policy";
    assert!(warnings.iter().any(|line| line["message"] == unused), "{warnings:?}");
    assert!(warnings.iter().all(|line| line["ignored_labels"].is_null()), "{warnings:?}");
}

#[test]
fn an_activation_that_is_asked_for_replaces_that_of_the_model() {
    let folder = two_labels(&json!({"0": "loud", "1": "rude"}));
    // The classifier has the biases 8 and -8 and zero weights.
    for (flags, loud, rude) in [
        (&[][..], 1.0 / (1.0 + (-16.0_f64).exp()), 1.0 / (1.0 + 16.0_f64.exp())),
        (&["--activation", "softmax"], 1.0, 1.0 / (1.0 + 16.0_f64.exp())),
        (&["--activation", "sigmoid"], 1.0 / (1.0 + (-8.0_f64).exp()), 1.0 / (1.0 + 8.0_f64.exp())),
    ] {
        let output = program(folder.path()).args(["score", "Hello"]).args(flags).output().unwrap();
        let categories = &json_lines(&output)[0]["categories"];
        for (label, expected) in [("loud", loud), ("rude", rude)] {
            let score = categories[label]["score"].as_f64().unwrap();
            assert!((score - expected).abs() < 1e-6, "{flags:?}, {label}: {score}");
        }
    }
}

#[test]
fn an_activation_that_cannot_be_is_refused_with_64() {
    let (folder, two) = (two_labels(&Value::Null), "a=embedded,b=embedded");
    let one = one_label();
    for (model, activation, message) in [
        (folder.path().to_str().unwrap(), "tanh", "expected sigmoid or softmax, found \"tanh\""),
        (folder.path().to_str().unwrap(), "b=sigmoid", "give it the name with --model b=SOURCE"),
        (one.path().to_str().unwrap(), "softmax", "softmax is for several labels"),
        (two, "sigmoid", "of several models, say which: NAME=VALUE, of a, b"),
        (two, "c=sigmoid", "no model is named \"c\"; the models are a, b"),
    ] {
        let command = if model == two { &["serve"][..] } else { &["score", "hi"] };
        let mut program = support::moderato();
        program.args(command).args(["--model", model, "--activation", activation]);
        let output = program.output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{activation}: {}", stderr(&output));
        assert!(stderr(&output).contains(message), "{activation}: {}", stderr(&output));
    }
}

/// Copies the tiny model with a head of two labels, the first of which always has nearly all of the
/// probability, and without a `problem_type`.
pub(crate) fn two_labels(id2label: &Value) -> TempDir {
    let folder = support::tiny_copy();
    edit(folder.path(), |config| config["id2label"] = id2label.clone());
    support::replace_head(folder.path(), &[8.0, -8.0]);
    folder
}

fn one_label() -> TempDir {
    let folder = support::tiny_copy();
    edit(folder.path(), |config| config["id2label"] = json!({"0": "rude"}));
    support::replace_head(folder.path(), &[0.0]);
    folder
}

fn edit(folder: &Path, change: impl FnOnce(&mut Value)) {
    let path = folder.join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config["problem_type"] = Value::Null;
    change(&mut config);
    std::fs::write(path, config.to_string()).unwrap();
}

/// Returns a command that runs the program with the model in a folder.
fn program(folder: &Path) -> std::process::Command {
    let mut command = support::moderato();
    command.env("MODERATO_MODEL", folder).env("MODERATO_LOG_FORMAT", "json");
    command
}

/// Returns the log at the default level.
fn warnings(folder: &Path, flags: &[&str]) -> Vec<Value> {
    let output = program(folder).args(["score", "Hello"]).args(flags).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let lines = stderr(&output).lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}
