//! The command line: what is written to which output, and the exit codes.

mod audit;
mod batch;
mod bulk;
mod environment;
mod evaluate;
mod help;
mod key;
mod keys;
mod listen;
#[cfg(target_os = "linux")]
mod notify;
mod outputs;
mod policies;
pub(crate) mod serve;
mod sources;

use std::process::Command;
use std::process::Output;

use insta::assert_snapshot;
use serde_json::Value;
use serde_json::json;

use crate::support;

#[test]
fn texts_are_scored_in_order_a_line_of_json_each() {
    let output = run(&["score", "Good morning", "Good night"]);
    let lines = json_lines(&output);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["text"], "Good night");
    let fields: Vec<_> = lines[0].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["text", "flagged", "action", "categories", "n_tokens", "n_windows"]);
    let spam: Vec<_> = lines[0]["categories"]["spam"].as_object().unwrap().keys().collect();
    assert_eq!(spam, ["score", "threshold", "violated"]);
}

#[test]
fn wrong_arguments_end_with_64_and_name_the_fault() {
    for (arguments, message) in [
        (&["score"][..], "<TEXT|--input <FILE>>"),
        (&["evaluate"], "--input <FILE>"),
        (&["policy", "--json", "--toml"], "cannot be used with"),
        (&["score", "hi", "--input", "x.jsonl"], "cannot be used with"),
        (&["scour"], "unrecognized subcommand 'scour'"),
        (&["score", "hi", "--threads", "0"], "--threads"),
        (&["score", "hi", "--replicas", "0"], "--replicas"),
        (
            &["score", "hi", "--threads", "2", "--replicas", "3"],
            "replicas: 3 replicas, but 2 threads to divide among them",
        ),
        (&["score", "hi", "--overlap", "126"], "overlap: 126 tokens, but a window"),
        (&["score", "hi", "--max-batch-tokens", "0"], "--max-batch-tokens"),
        (&["score", "hi", "--max-chars", "0"], "--max-chars"),
        (&["serve", "--max-texts", "0"], "--max-texts"),
        (&["score", "hi", "--device", "tpu"], "expected cpu, cuda"),
        (&["score", "hi", "--device", "cuda"], "device: cuda:0 cannot be used"),
        (&["score", "hi", "--log", "=("], "log: "),
        (&["score", "hi", "--log", "loud"], "log: unknown level \"loud\"; expected off, error"),
        (&["score", "hi", "--model", "nowhere"], "no such folder and not ORG/NAME"),
        (
            &["serve", "--max-request-tokens", "9", "--max-queue-tokens", "8"],
            "max-request-tokens: above",
        ),
        (&["serve", "--listen", "here"], "--listen"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(message), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn a_text_that_cannot_be_scored_ends_with_65() {
    let output = run(&["score", "hi", "good morning", "--max-chars", "5"]);
    assert_eq!(stderr(&output), "error: text 1 has 12 characters, at most 5 are accepted\n");
    assert_eq!(output.status.code(), Some(65));
    assert!(output.stdout.is_empty(), "all texts are checked before the first is scored");
}

#[test]
fn blank_and_broken_texts_are_scored_and_results_put_where_they_are_asked_for() {
    let lines = json_lines(&run(&["score", "", "tea", " \u{3000}", "--result-key", "results"]));
    let flagged: Vec<_> = lines.iter().map(|line| &line["results"]["flagged"]).collect();
    assert_eq!(flagged.len(), 3);
    for (line, text) in [(&lines[0], ""), (&lines[2], " \u{3000}")] {
        assert_eq!(line.as_object().unwrap().keys().collect::<Vec<_>>(), ["text", "results"]);
        assert_eq!(line["text"], text);
        assert_eq!(line["results"]["categories"]["spam"]["score"], 0.0);
        assert_eq!(line["results"]["n_windows"], 0);
    }
    assert_ne!(lines[1]["results"]["categories"]["spam"]["score"], 0.0);
}

#[cfg(unix)]
#[test]
fn a_text_that_is_not_utf_8_is_read_with_replacement_characters() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let broken = quiet().arg("score").arg(OsStr::from_bytes(b"tea\xffcake")).output().unwrap();
    let expected = run(&["score", "tea\u{fffd}cake"]);
    assert_eq!(json_lines(&broken), json_lines(&expected));
}

#[test]
fn a_policy_file_is_used_or_its_fault_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    let toml = String::from_utf8(run(&["policy", "--toml"]).stdout).unwrap();
    std::fs::write(&path, toml.replace("threshold = 0.5", "threshold = 0.0")).unwrap();
    let scored = run(&["score", "--policy", path.to_str().unwrap(), "Good morning"]);
    assert_eq!(json_lines(&scored)[0]["flagged"], json!(true));
    std::fs::write(&path, toml.replace("action", "axtion")).unwrap();
    let output = run(&["score", "--policy", path.to_str().unwrap(), "Good morning"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains("mine.toml: expected a policy, found unknown field `axtion`"));
    assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
    let output = run(&["score", "--policy", "nowhere.toml", "Good morning"]);
    assert_eq!(output.status.code(), Some(66), "{}", stderr(&output));
}

#[test]
fn the_policy_goes_out_as_toml_and_comes_back_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    let embedded = |arguments: &[&str]| {
        support::moderato().arg("policy").args(arguments).output().unwrap().stdout
    };
    std::fs::write(&path, embedded(&["--toml"])).unwrap();
    assert_eq!(embedded(&["--policy", path.to_str().unwrap(), "--json"]), embedded(&["--json"]));
}

#[test]
fn the_embedded_policy_has_the_ten_categories_with_clauses_and_actions() {
    let output = support::moderato().args(["policy", "--json"]).output().unwrap();
    let policy: Value = serde_json::from_slice(&output.stdout).unwrap();
    let categories = policy["categories"].as_array().unwrap();
    let shown = categories.iter().map(|category| {
        let n_clauses = category["clauses"].as_array().unwrap().len();
        let word = |key: &str| category[key].as_str().unwrap().to_owned();
        format!("{} {} {n_clauses}", word("id"), word("action"))
    });
    assert_snapshot!(shown.collect::<Vec<_>>().join("\n"), @r"
    illegal_activities block 5
    csam report 1
    ncii block 1
    hate_and_discrimination block 5
    violence_and_threats block 2
    self_harm support 4
    fraud_and_scams block 5
    misinformation flag 4
    privacy block 1
    professional_advice flag 4
    ");
}

#[test]
fn the_policy_is_shown_to_people() {
    let output = run(&["policy"]);
    assert_snapshot!(std::str::from_utf8(&output.stdout).unwrap(), @r#"
    The labels of the model, 0 (model-labels@0)

    spam: spam
      flag at scores of 0.5 and above

    insult: insult
      flag at scores of 0.5 and above

    threat: threat
      flag at scores of 0.5 and above

    leak: leak
      flag at scores of 0.5 and above
    "#);
}

#[test]
fn flags_are_environment_variables_too() {
    for (name, value, code, message) in [
        ("MODERATO_MODEL", "nowhere", 64, "no such folder"),
        ("MODERATO_THREADS", "0", 64, "--threads"),
        ("MODERATO_MAX_CHARS", "2", 65, "at most 2 are accepted"),
        ("MODERATO_ON_ERROR", "maybe", 64, "--on-error"),
        ("MODERATO_LOG_FORMAT", "xml", 64, "--log-format"),
    ] {
        let mut command = support::moderato();
        if name != "MODERATO_MODEL" {
            command.env("MODERATO_MODEL", support::tiny());
        }
        let output = command.env(name, value).args(["score", "Good morning"]).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{name}: {}", stderr(&output));
        assert!(stderr(&output).contains(message), "{name}: {}", stderr(&output));
    }
}

/// Runs the program with the tiny model.
fn run(arguments: &[&str]) -> Output {
    quiet().args(arguments).output().unwrap()
}

/// Returns a command for the tiny model, without the warning that the model has no policy.
fn quiet() -> Command {
    let mut command = support::moderato();
    command.env("MODERATO_MODEL", support::tiny()).env("MODERATO_LOG", "error");
    command
}

pub(crate) fn json_lines(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", stderr(output));
    let lines = std::str::from_utf8(&output.stdout).unwrap().lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(crate) fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}
