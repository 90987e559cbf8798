//! `moderato evaluate`: the labels it reads, and the figures it writes.

use std::process::Output;

use serde_json::Value;

use super::quiet;
use super::stderr;
use crate::support;

const LABELLED: &str = r#"
{"text": "tea", "labels": {"spam": 1, "insult": 0, "threat": null, "leak": 0}}
{"text": "cake and cream", "labels": {"spam": 0, "insult": 0, "leak": 1}, "other": true}
{"text": "jam", "labels": {"spam": 0, "threat": 0}}
"#;

#[test]
fn unknown_labels_are_left_out_of_their_category() {
    let summary = json(&evaluate(LABELLED, &["--json"]));
    assert_eq!(summary["n_texts"], 3);
    let categories = summary["categories"].as_object().unwrap();
    assert_eq!(categories.keys().collect::<Vec<_>>(), ["spam", "insult", "threat", "leak"]);
    for (id, n_texts, n_positives) in
        [("spam", 3, 1), ("insult", 2, 0), ("threat", 1, 0), ("leak", 2, 1)]
    {
        assert_eq!(categories[id]["n_texts"], n_texts, "{id}");
        assert_eq!(categories[id]["n_positives"], n_positives, "{id}");
    }
    assert!(categories["spam"]["average_precision"].is_number());
    assert!(categories["insult"]["average_precision"].is_null(), "undefined, not zero");
    let average = &summary["macro_average"]["average_precision"];
    assert_eq!(average["n_categories"], 2, "of those that have the figure");
    assert_eq!(summary["any_category"]["n_positives"], 2);
    assert_eq!(summary["any_category"]["n_texts"], 2, "the third is not known to be harmless");
}

#[test]
fn labels_may_be_numbers_booleans_or_digits_in_a_string() {
    let lines = |yes: &str, no: &str| {
        format!(
            "{{\"text\":\"tea\",\"labels\":{{\"spam\":{yes},\"leak\":null}}}}\n\
             {{\"text\":\"cake\",\"labels\":{{\"spam\":{no}}}}}\n"
        )
    };
    let expected = json(&evaluate(&lines("1", "0"), &["--json"]));
    assert_eq!(expected["categories"]["spam"]["n_positives"], 1);
    for (yes, no) in [("1.0", "0.0"), ("true", "false"), (r#""1""#, r#""0""#), ("1e0", "-0.0")] {
        assert_eq!(json(&evaluate(&lines(yes, no), &["--json"])), expected, "{yes}, {no}");
    }
}

#[test]
fn a_blank_text_counts_as_a_text_that_scores_0() {
    let lines = concat!(
        "{\"text\":\"\",\"labels\":{\"spam\":1}}\r\n",
        "{\"text\":\"tea\\ud800\",\"labels\":{\"spam\":0}}\r\n"
    );
    let summary = json(&evaluate(lines, &["--json", "--max-windows", "1"]));
    assert_eq!((&summary["n_texts"], &summary["n_left_out"]), (&2.into(), &0.into()));
    // The only positive is ranked last.
    assert_eq!(summary["categories"]["spam"]["roc_auc"], 0.0);
}

#[test]
fn texts_of_many_windows_can_be_left_out() {
    let long = "tea ".repeat(300);
    let lines = format!("{LABELLED}{{\"text\": \"{long}\", \"labels\": {{\"spam\": 1}}}}\n");
    let summary = json(&evaluate(&lines, &["--json", "--max-windows", "1"]));
    assert_eq!((&summary["n_texts"], &summary["n_left_out"]), (&3.into(), &1.into()));
}

#[test]
fn a_table_has_a_row_for_each_category_and_two_more() {
    let output = evaluate(LABELLED, &[]);
    let table = String::from_utf8(output.stdout).unwrap();
    for start in ["| category", "| spam", "| leak", "| macro", "| any category"] {
        assert!(table.lines().any(|line| line.starts_with(start)), "no {start} in\n{table}");
    }
}

#[test]
fn faulty_labels_end_with_65_and_their_line() {
    for (line, message) in [
        (
            r#"{"text": "tea", "labels": {"spam": 2}}"#,
            r#"line 1: labels.spam must be 1, 0, true, false, "1", "0" or null, found a number"#,
        ),
        (
            r#"{"text": "tea", "labels": {"spam": "yes"}}"#,
            r#"line 1: labels.spam must be 1, 0, true, false, "1", "0" or null, found a string"#,
        ),
        (
            r#"{"text": "tea", "labels": {"spam": 0.5}}"#,
            r#"line 1: labels.spam must be 1, 0, true, false, "1", "0" or null, found a number"#,
        ),
        (
            r#"{"text": "tea", "labels": {"spam": [1]}}"#,
            r#"line 1: labels.spam must be 1, 0, true, false, "1", "0" or null, found an array"#,
        ),
        (
            r#"{"text": "tea", "labels": {"sham": 1}}"#,
            r#"line 1: unknown categories "sham"; known are "spam", "insult", "threat", "leak""#,
        ),
        (r#"{"text": "tea", "labels": [1]}"#, "line 1: labels must be an object, found an array"),
        (r#"{"text": "tea"}"#, "line 1: labels is missing"),
        ("", "the input has no text"),
    ] {
        let output = evaluate(line, &[]);
        assert_eq!(stderr(&output), format!("error: {message}\n"), "{line}");
        assert_eq!(output.status.code(), Some(65), "{line}");
    }
}

#[test]
fn a_line_has_categories_or_labels() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("abuse.toml");
    // One category is named like one of its two labels, the other differs from its label.
    std::fs::write(
        &path,
        support::CLAUSES
            .replace("id = \"abuse\"", "id = \"insult\"")
            .replace("\"abuse\"", "\"insult\""),
    )
    .unwrap();
    let policy = ["--policy", path.to_str().unwrap(), "--json"];
    let lines = [
        (r#"{"insult": 0, "adverts": 1}"#, (1, 0, 1)), // categories
        (r#"{"insult": 0, "spam": 1, "threat": 1}"#, (1, 1, 0)), // labels: any is true
        (r#"{"insult": 0, "spam": 0, "leak": 0}"#, (1, 0, 0)), // labels: all are false
        (r#"{"spam": 0, "leak": 1}"#, (0, 0, 1)),      // insult is unknown
        (r#"{"spam": 1}"#, (1, 1, 0)),
    ];
    for (labels, (n_texts, n_positives, n_adverts)) in lines {
        let line = format!("{{\"text\": \"tea\", \"labels\": {labels}}}");
        let summary = json(&evaluate(&line, &policy));
        let insult = &summary["categories"]["insult"];
        assert_eq!(insult["n_texts"], n_texts, "{labels}");
        assert_eq!(insult["n_positives"], n_positives, "{labels}");
        assert_eq!(summary["categories"]["adverts"]["n_positives"], n_adverts, "{labels}");
    }
    for (labels, message) in [
        (r#"{"adverts": 0, "spam": 1}"#, "labels must be categories of the policy only, or labels"),
        (
            r#"{"adverts": 0, "sham": 1}"#,
            r#"unknown categories "sham"; known are "insult", "adverts""#,
        ),
    ] {
        let line = format!("{{\"text\": \"tea\", \"labels\": {labels}}}");
        let output = evaluate(&line, &policy);
        assert!(stderr(&output).contains(message), "{labels}: {}", stderr(&output));
        assert_eq!(output.status.code(), Some(65), "{labels}");
    }
}

fn evaluate(lines: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labelled.jsonl");
    std::fs::write(&path, lines).unwrap();
    quiet().args(["evaluate", "--input", path.to_str().unwrap()]).args(arguments).output().unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap()
}
