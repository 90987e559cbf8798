//! Batch files in the format of OpenAI through `moderato batch`.

use std::process::Output;

use serde_json::Value;
use serde_json::json;

use super::run;
use super::stderr;

#[test]
fn each_request_is_answered_in_order_under_its_own_id() {
    let line = |id: &str, input: Value| {
        let body = json!({"model": "omni-moderation-latest", "input": input});
        json!({"custom_id": id, "method": "POST", "url": "/v1/moderations", "body": body})
    };
    let lines = [
        line("a", json!("Good morning!")),
        line("b", json!(["Good night.", "Tea?"])),
        line("c", json!("")),
        line("a", json!("Good morning!")),
        json!({"custom_id": "e", "method": "POST", "url": "/v1/nowhere", "body": {}}),
        json!({"custom_id": "f", "method": "POST", "url": "no where", "body": {}}),
        json!({"method": "POST"}),
    ];
    let mut lines: Vec<_> = lines.iter().map(Value::to_string).collect();
    lines.push("hidden".into());
    let output = batch(lines.join("\n"));
    assert_eq!(output.status.code(), Some(65), "{}", stderr(&output));
    let answers = answers(&output);
    let told: Vec<_> = answers
        .iter()
        .map(|answer| {
            (
                answer["custom_id"].as_str(),
                answer["response"]["status_code"].as_u64(),
                answer["error"]["message"].as_str(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (Some("a"), Some(200), None),
            (Some("b"), Some(200), None),
            (Some("c"), Some(200), None),
            (Some("a"), None, Some("custom_id must be unlike that of every other line")),
            (Some("e"), Some(404), None),
            (Some("f"), None, Some("method, url must be a method and a path of this server")),
            (None, None, Some("custom_id is missing")),
            (None, None, Some("malformed JSON at line 1 column 1: expected value")),
        ]
    );
    assert!(answers[0]["id"].as_str().unwrap().starts_with("batch_req_"));
    assert!(answers[0]["response"]["request_id"].as_str().unwrap().starts_with("req-"));
    let results = answers[1]["response"]["body"]["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    let blank = &answers[2]["response"]["body"]["results"][0];
    assert_eq!(blank["flagged"], false, "{blank}");
}

#[test]
fn a_file_without_a_fault_ends_with_0() {
    let line = json!({
        "custom_id": "a", "method": "POST", "url": "/v1/moderations", "body": {"input": "Tea?"},
    });
    let output = batch(line.to_string());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(answers(&output)[0]["response"]["status_code"], 200);
}

#[test]
fn broken_unicode_is_read_as_the_replacement_character_and_spans_fit_that_text() {
    let lines = |text: &[u8]| {
        [
            b"\xef\xbb\xbf{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/score\",",
            &b"\"body\":{\"spans\":true,\"thresholds\":{\"spam\":0},\"input\":\""[..],
            text,
            b" tea. Cake and cream. Jam.\"}}\r\n",
        ]
        .concat()
    };
    let results = |text: &[u8]| {
        let output = batch(lines(text));
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        answers(&output).remove(0)["response"]["body"]["results"].clone()
    };
    let expected = results("\u{fffd}\u{fffd}".as_bytes());
    assert!(expected[0]["categories"]["spam"]["spans"].is_array(), "{expected}");
    for text in [&b"\xff\xff"[..], b"\\ud800\\ud800", b"\xfe\\udfff"] {
        assert_eq!(results(text), expected, "{}", text.escape_ascii());
    }
}

/// Parses the lines of the output, even if the program reports some as faulty.
fn answers(output: &Output) -> Vec<Value> {
    let stdout = std::str::from_utf8(&output.stdout).unwrap();
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn batch(lines: impl AsRef<[u8]>) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("requests.jsonl");
    std::fs::write(&input, lines).unwrap();
    run(&["batch", "--input", input.to_str().unwrap()])
}
