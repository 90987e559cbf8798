//! Files of JSON lines through `moderato score`.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::path::Path;
use std::process::Output;
use std::process::Stdio;

use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

use super::json_lines;
use super::quiet;
use super::stderr;

#[test]
fn lines_come_out_in_order_with_their_other_fields() {
    let lines: Vec<_> = (0..600)
        .map(|id| json!({"id": id, "text": "tea ".repeat(1 + id % 90), "meta": {"b": 1, "a": [2.50]}}))
        .map(|line| line.to_string())
        .collect();
    let (folder, input) = file(&lines.join("\n"));
    let path = folder.path().join("out.jsonl");
    let output = score(&input, &["--output", path.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    let written = std::fs::read_to_string(path).unwrap();
    assert_eq!(written.lines().count(), 600);
    for (id, line) in written.lines().enumerate() {
        assert!(line.starts_with(&format!("{{\"id\":{id},\"text\":")), "{line}");
        assert!(line.contains(r#","meta":{"b":1,"a":[2.5]},"flagged":"#), "{line}");
    }
}

#[test]
fn other_fields_pass_through_as_they_were_written() {
    let fields = concat!(
        r#""z":12345678901234567890123,"a":-0.10,"e":1E+2,"#,
        r#""n":{"b":[ 1, 2.50 ],"a":null},"s":"\u00e9\/","#
    );
    let (_folder, input) = file(&format!("{{{fields}\"text\":\"tea\",\"flagged\":[7]}}"));
    let output = score(&input, &[]);
    let line = String::from_utf8(output.stdout).unwrap();
    let written = format!("{{{fields}\"text\":\"tea\",\"flagged\":");
    assert!(line.starts_with(&written), "{line}");
    assert!(!line.contains("[7]"), "a field of the report replaces one of its name: {line}");
}

#[test]
fn what_does_not_change_the_text_does_not_matter() {
    let plain = json_lines(&score(&file("{\"text\": \"tea\"}\n{\"text\": \"cake\"}\n").1, &[]));
    for content in [
        "\u{feff}{\"text\": \"tea\"}\n{\"text\": \"cake\"}",
        "{\"text\": \"tea\"}\r\n{\"text\": \"cake\"}\r\n",
        "\n{\"text\": \"tea\"}\n \t\n{\"text\": \"cake\"}\n\n",
        "{\"text\": \"t\\u0065a\"}\n{\"text\": \"cake\"}",
    ] {
        let (_folder, input) = file(content);
        let scores = |lines: &[Value]| {
            lines.iter().map(|line| line["categories"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(scores(&json_lines(&score(&input, &[]))), scores(&plain), "{content:?}");
    }
}

#[test]
fn a_bad_line_stops_after_what_came_before_it() {
    for (bad, message) in [
        (
            "{\"text\": \"hidden",
            "error: malformed JSON at line 3 column 16: EOF while parsing a string\n",
        ),
        ("[\"hidden\"]", "error: line 3: the line must be an object, found an array\n"),
        ("{\"txt\": \"hidden\"}", "error: line 3: text is missing\n"),
        ("{\"text\": 5}", "error: line 3: text must be a string, found a number\n"),
        ("{\"text\": \" \"}", "error: line 3: text 0 is empty\n"),
    ] {
        let content = format!(
            "{{\"text\": \"tea\"}}\n{{\"text\": \"cake\"}}\n{bad}\n{{\"text\": \"jam\"}}\n"
        );
        let (_folder, input) = file(&content);
        let output = score(&input, &[]);
        assert_eq!(output.status.code(), Some(65), "{bad}");
        assert_eq!(stderr(&output), message, "{bad}");
        assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 2, "{bad}");
    }
}

#[test]
fn bad_lines_can_be_skipped_and_are_named() {
    let content = b"{\"text\": \"tea\"}\nhidden\n{\"text\": \"\xff\"}\n{\"text\": \"jam\"}\n";
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.jsonl");
    std::fs::write(&input, content).unwrap();
    let output = score(&input, &["--on-error", "skip"]);
    assert_eq!(json_lines(&output).len(), 2);
    let log = stderr(&output);
    assert!(
        log.contains("malformed JSON at line 2") && log.contains("malformed JSON at line 3"),
        "{log}"
    );
    assert!(log.contains("n_skipped=2") && !log.contains("hidden"), "{log}");
}

#[test]
fn a_line_from_a_pipe_is_answered_before_the_next_one_comes() {
    let mut child = quiet()
        .args(["score", "--input", "-", "--output", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    for text in ["tea", "cake"] {
        writeln!(input, "{{\"text\": \"{text}\"}}").unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert!(line.starts_with(&format!("{{\"text\":\"{text}\"")), "{line}");
    }
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let (_folder, input) = file(&"{\"text\": \"tea\"}\n".repeat(20_000));
    let mut child = quiet()
        .args(["score", "--input", input.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("{\"text\":\"tea\""), "{line}");
    let output = child.wait_with_output().unwrap();
    assert_eq!(stderr(&output), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let (folder, input) = file("{\"text\": \"tea\"}\n");
    let missing = folder.path().join("missing.jsonl");
    let output = score(&missing, &[]);
    assert_eq!(output.status.code(), Some(66));
    assert!(stderr(&output).contains("missing.jsonl: reading failed: "), "{}", stderr(&output));
    let output = score(&input, &["--output", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(74));
    assert!(stderr(&output).contains(": writing failed: "), "{}", stderr(&output));
    let output = score(&input, &["--output", input.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(64));
    assert_eq!(stderr(&output), "error: output: the same file as the input\n");
    assert_eq!(std::fs::read_to_string(&input).unwrap(), "{\"text\": \"tea\"}\n");
}

#[test]
fn a_missing_input_leaves_the_output_of_another_time_alone() {
    let (folder, output) = file("precious\n");
    let missing = folder.path().join("missing.jsonl");
    let ended = score(&missing, &["--output", output.to_str().unwrap()]);
    assert_eq!(ended.status.code(), Some(66));
    assert_eq!(std::fs::read_to_string(&output).unwrap(), "precious\n");
}

#[test]
fn a_line_without_end_is_refused() {
    let line = format!("{{\"text\": \"tea\"}}\n{{\"text\": \"{}\"}}\n", "a".repeat(17 << 20));
    let (_folder, input) = file(&line);
    let output = score(&input, &[]);
    assert_eq!(output.status.code(), Some(65));
    assert_eq!(stderr(&output), "error: line 2: has more than 16777216 bytes\n");
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 1);
}

fn file(content: &str) -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.jsonl");
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

fn score(input: &Path, arguments: &[&str]) -> Output {
    quiet()
        .args([
            "score",
            "--input",
            input.to_str().unwrap(),
            "--log",
            "warn,moderato::engine::loader=error",
        ])
        .args(arguments)
        .output()
        .unwrap()
}
