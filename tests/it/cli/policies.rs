//! Policies of an operator for models whose labels have other names.

use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::json;

use super::json_lines;
use super::run;
use super::serve::Server;
use super::stderr;
use crate::support;

/// Three categories for the default model: one with two labels, one with another name, one with
/// another threshold.
const THREE: &str = r#"
    id = "forum"
    name = "Rules of the forum"
    version = "3"
    [[categories]]
    id = "crime"
    labels = ["illegal_activities", "violence_and_threats"]
    title = "Crime"
    summary = ""
    threshold = 0.5
    action = "block"
    clauses = []
    [[categories]]
    id = "data_protection"
    label = "privacy"
    title = "Data protection"
    summary = ""
    threshold = 0.4
    action = "flag"
    clauses = []
    [[categories]]
    id = "self_harm"
    label = "self_harm"
    title = "Self-harm"
    summary = ""
    threshold = 0.0
    action = "support"
    clauses = []
    [[namespaces]]
    id = "theirs"
    models = ["their-*"]
    names = [
        { name = "bad", relation = "partly", from = ["crime", "hate_and_discrimination"] },
        { name = "gone", relation = "partly", from = ["no_such_thing"] },
    ]
"#;

const THREAT: &str = "Tell me how to stab my neighbour without getting caught.";

#[test]
fn a_policy_of_three_categories_scores_evaluates_and_serves_the_default_model() {
    let folder = tempfile::tempdir().unwrap();
    let policy = write(folder.path(), "forum.toml", THREE);
    let output = embedded(&["score", "--policy", policy.to_str().unwrap(), THREAT]);
    let report = &json_lines(&output)[0];
    let ids: Vec<_> = report["categories"].as_object().unwrap().keys().collect();
    assert_eq!(ids, ["crime", "data_protection", "self_harm"]);
    assert_eq!(report["action"], "block");
    let whole = &json_lines(&embedded(&["score", THREAT]))[0]["categories"];
    let score = |id: &str| whole[id]["score"].as_f64().unwrap();
    let highest = score("illegal_activities").max(score("violence_and_threats"));
    assert_eq!(report["categories"]["crime"]["score"], highest, "{report}");
    assert_eq!(report["categories"]["data_protection"]["score"], score("privacy"), "{report}");
    assert_eq!(report["categories"]["self_harm"]["violated"], true, "its own threshold");

    // Labelled with the policy's categories, and with the model's labels.
    let lines = [
        json!({"text": THREAT, "labels": {"crime": 1, "data_protection": 0}}),
        json!({"text": THREAT, "labels": {"violence_and_threats": 1, "privacy": 0, "csam": 0}}),
        json!({"text": "Tea?", "labels": {"violence_and_threats": 0, "illegal_activities": 0}}),
        json!({"text": "Tea?", "labels": {"violence_and_threats": 0}}),
    ];
    let lines = lines.map(|line| line.to_string()).join("\n");
    let labelled = write(folder.path(), "labelled.jsonl", &lines);
    let paths = [policy.to_str().unwrap(), labelled.to_str().unwrap()];
    let output = embedded(&["evaluate", "--policy", paths[0], "--input", paths[1], "--json"]);
    let summary = &json_lines(&output)[0];
    let crime = &summary["categories"]["crime"];
    assert_eq!((&crime["n_texts"], &crime["n_positives"]), (&json!(3), &json!(2)), "{summary}");
    assert_eq!((&crime["precision"], &crime["recall"]), (&json!(1.0), &json!(1.0)), "{summary}");
    assert_eq!(summary["categories"]["data_protection"]["n_texts"], 2, "{summary}");
    assert_eq!(summary["policy"], "forum@3");

    let mut server =
        Server::with(Path::new("embedded"), &["--listen", "127.0.0.1:0", "--policy", paths[0]]);
    server.wait_for("ready");
    let answer = server.post(&json!({"input": THREAT, "thresholds": {"crime": 0.99}}).to_string());
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("forum@3"), "{answer}");
    let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let crime = &body["results"][0]["categories"]["crime"];
    assert_eq!((&crime["score"], &crime["threshold"]), (&json!(highest), &json!(0.99)), "{answer}");
    assert_eq!(crime["violated"], false, "{answer}");
}

#[test]
fn an_edited_policy_of_the_default_model_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let toml = String::from_utf8(embedded(&["policy", "--toml"]).stdout).unwrap();
    let renamed = toml.replacen("id = \"privacy\"", "id = \"data_protection\"", 1);
    let dropped = toml.replacen("[[categories]]", "[[dropped]]", 1);
    let dropped = format!(
        "{}[[categories]]{}",
        &dropped[..dropped.find("[[dropped]]").unwrap()],
        dropped.split_once("[[categories]]").unwrap().1
    );
    for (name, toml) in [("renamed.toml", renamed), ("dropped.toml", dropped)] {
        let path = write(folder.path(), name, &toml);
        let output = embedded(&["score", "--policy", path.to_str().unwrap(), "Tea?"]);
        let categories = &json_lines(&output)[0]["categories"];
        let n_categories = categories.as_object().unwrap().len();
        match name {
            "renamed.toml" => assert!(categories["data_protection"].is_object(), "{categories}"),
            _ => assert!(n_categories == 9 && categories.get("illegal_activities").is_none()),
        }
    }
}

#[test]
fn labels_that_a_policy_leaves_out_and_names_it_cannot_fill_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let policy = write(folder.path(), "forum.toml", THREE);
    let mut command = support::moderato();
    let arguments = ["score", "--policy", policy.to_str().unwrap(), "--log", "info", "Tea?"];
    let log = command.args(arguments).output().unwrap();
    let log = stderr(&log);
    assert!(log.contains("the policy does not use these labels of the model"), "{log}");
    assert!(log.contains("csam, ncii,") && !log.contains("hate_and_discrimination,"), "{log}");
    let source = "\"no_such_thing\" for \"gone\" in namespace \"theirs\"";
    let told = format!("{source} is neither a category of the policy nor a label of the model");
    let escaped = told.replace('"', "\\\"");
    assert!(log.contains(&told) || log.contains(&escaped), "{log}");
}

#[test]
fn a_policy_of_the_operator_leaves_the_calibration_and_the_self_test_of_older_models_alone() {
    let folder = support::tiny_copy();
    let own = String::from_utf8(run(&["policy", "--toml"]).stdout).unwrap();
    // One id is not a label.
    let own = own.replace("id = \"spam\"", "id = \"junk\"");
    write(folder.path(), "policy.toml", &own);
    let platt = json!({"scale": 1.0, "offset": 2.0});
    let platts = json!({"junk": platt, "insult": platt, "threat": platt, "leak": platt});
    let calibration = json!({"method": "platt", "version": "old", "categories": platts});
    write(folder.path(), "calibration.json", &calibration.to_string());
    let score = |arguments: &[&str]| {
        let model = folder.path().to_str().unwrap();
        json_lines(&run(&[&["score", "--model", model, "Tea?"], arguments].concat())).remove(0)
    };
    let expected = score(&[])["categories"]["junk"]["score"].clone();
    let line = json!({"text": "Tea?", "scores": {"junk": expected}, "tolerance": 0.0001});
    write(folder.path(), "canaries.jsonl", &line.to_string());
    assert_eq!(score(&[])["categories"]["junk"]["score"], expected);

    let elsewhere = tempfile::tempdir().unwrap();
    let toml = own.replace("id = \"junk\"", "id = \"adverts\"").replace("\"leak\"", "\"insult\"");
    let toml = toml.replacen("id = \"insult\"", "id = \"rude\"", 1);
    let path = write(elsewhere.path(), "mine.toml", &toml);
    let report = score(&["--policy", path.to_str().unwrap()]);
    assert_eq!(report["categories"]["adverts"]["score"], expected, "calibrated as before");
    // A score that the self-test does not expect is refused under any policy.
    let line = json!({"text": "Tea?", "scores": {"junk": 0.0}, "tolerance": 0.0001});
    write(folder.path(), "canaries.jsonl", &line.to_string());
    let model = folder.path().to_str().unwrap();
    let output = run(&["score", "--model", model, "--policy", path.to_str().unwrap(), "Tea?"]);
    assert_eq!(output.status.code(), Some(78), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("0 to within 0.0001 for junk of text 1"),
        "{}",
        stderr(&output)
    );
    // Without a policy of its own, the files of a model name labels, whatever the policy of the
    // operator.
    std::fs::remove_file(folder.path().join("policy.toml")).unwrap();
    let old = |text: &str| text.replace("junk", "spam");
    write(folder.path(), "calibration.json", &old(&calibration.to_string()));
    let line = json!({"text": "Tea?", "scores": {"spam": expected}, "tolerance": 0.0001});
    write(folder.path(), "canaries.jsonl", &line.to_string());
    score(&["--policy", path.to_str().unwrap()]);
    // The newer file name takes precedence if both exist, and the file names labels.
    write(folder.path(), "canaries.jsonl", "{}");
    write(folder.path(), "self_test.jsonl", &line.to_string());
    score(&[]);
}

#[test]
fn clauses_with_a_label_are_scored_for_lines_and_written_to_the_audit_log() {
    let folder = support::tiny_copy();
    write(folder.path(), "policy.toml", support::CLAUSES);
    let model = folder.path().to_str().unwrap();
    let plain = &json_lines(&run(&["score", "--model", model, "Tea?"]))[0];
    assert!(plain["categories"]["abuse"].get("clauses").is_none(), "{plain}");
    let scored = &json_lines(&run(&["score", "--model", model, "--clauses", "Tea?"]))[0];
    let abuse = &scored["categories"]["abuse"];
    let clauses: Vec<_> = abuse["clauses"].as_object().unwrap().keys().collect();
    assert_eq!(clauses, ["threats"], "{scored}");
    assert!(scored["categories"]["adverts"].get("clauses").is_none(), "not violated: {scored}");

    let log = folder.path().join("audit.jsonl");
    let flags = ["--listen", "127.0.0.1:0", "--audit-log", log.to_str().unwrap()];
    let mut server = Server::with(folder.path(), &flags);
    server.wait_for("ready");
    assert!(server.post(r#"{"input": "Tea?"}"#).starts_with("HTTP/1.1 200"));
    server.stop();
    let line: Value = serde_json::from_str(&std::fs::read_to_string(&log).unwrap()).unwrap();
    let written = &line["results"][0]["clauses"];
    assert_eq!(written["abuse"]["threats"], abuse["clauses"]["threats"]["score"], "{line}");
    assert_eq!(written.as_object().unwrap().len(), 1, "{line}");
}

/// Runs the program with the default model.
fn embedded(arguments: &[&str]) -> std::process::Output {
    support::moderato().env("MODERATO_LOG", "error").args(arguments).output().unwrap()
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}
