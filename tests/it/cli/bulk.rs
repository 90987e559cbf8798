//! JSON Lines files through `moderato score`.

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
    let (folder, input) = file(lines.join("\n"));
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
    let (_folder, input) = file(format!("{{{fields}\"text\":\"tea\"}}"));
    let output = score(&input, &[]);
    let line = String::from_utf8(output.stdout).unwrap();
    let written = format!("{{{fields}\"text\":\"tea\",\"flagged\":");
    assert!(line.starts_with(&written), "{line}");
}

#[test]
fn a_field_that_the_results_would_overwrite_is_refused_by_its_line() {
    for name in ["flagged", "action", "categories", "n_tokens", "n_windows", "normalised"] {
        let lines = format!("{{\"text\":\"tea\"}}\n\n{{\"text\":\"tea\",\"{name}\":null}}\n");
        let (_folder, input) = file(&lines);
        let output = score(&input, &[]);
        assert_eq!(output.status.code(), Some(65), "{name}");
        let message = format!(
            "error: line 3: field \"{name}\" is in the input already; --result-key NAME puts the \
             results into a field of another name\n"
        );
        assert_eq!(stderr(&output), message);
        assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 1, "{name}");
        let output = score(&input, &["--on-error", "skip"]);
        assert_eq!(json_lines(&output).len(), 1, "{name}");
        assert!(stderr(&output).contains("skipped: line 3: field"), "{}", stderr(&output));
    }
}

#[test]
fn results_go_into_a_field_of_the_name_that_is_asked_for() {
    let (_folder, input) = file("{\"flagged\":[7],\"text\":\"tea\",\"n\":1.50}\n");
    let output = score(&input, &["--result-key", "results"]);
    let lines = json_lines(&output);
    let written = String::from_utf8(output.stdout).unwrap();
    let start = r#"{"flagged":[7],"text":"tea","n":1.50,"results":{"flagged":"#;
    assert!(written.starts_with(start), "{written}");
    let (_folder, plain) = file("{\"text\":\"tea\"}\n");
    let mut expected = json_lines(&score(&plain, &[])).remove(0);
    expected.as_object_mut().unwrap().remove("text");
    assert_eq!(lines[0]["results"], expected);
    // The input may already have that field, too.
    let output = score(&input, &["--result-key", "n"]);
    assert_eq!(output.status.code(), Some(65));
    let fault = "line 1: field \"n\" is in the input already; --result-key NAME puts";
    assert!(stderr(&output).contains(fault), "{}", stderr(&output));
    for (name, fault) in [("text", "the field of the text itself"), ("", "a field needs a name")] {
        let output = score(&input, &["--result-key", name]);
        assert_eq!(output.status.code(), Some(64), "{name:?}");
        assert!(stderr(&output).contains(fault), "{}", stderr(&output));
    }
}

#[test]
fn a_blank_text_scores_0() {
    for text in [r#""""#, r#"" \t\r\n""#, "\"\u{a0}\u{3000}\"", r#""\u2028""#] {
        let (_folder, input) = file(format!("{{\"text\":{text},\"id\":1}}\n"));
        let output = score(&input, &[]);
        let line = json_lines(&output).remove(0);
        let written = String::from_utf8(output.stdout).unwrap();
        assert!(written.starts_with(&format!("{{\"text\":{text},\"id\":1,")), "{written}");
        let category = json!({"score": 0.0, "threshold": 0.5, "violated": false});
        let categories = line["categories"].as_object().unwrap();
        assert_eq!(categories.keys().collect::<Vec<_>>(), ["spam", "insult", "threat", "leak"]);
        assert!(categories.values().all(|found| *found == category), "{text}: {line}");
        assert_eq!(line["flagged"], false, "{text}");
        assert_eq!(line["action"], "allow", "{text}");
        assert_eq!((&line["n_tokens"], &line["n_windows"]), (&json!(0), &json!(0)), "{text}");
    }
}

#[test]
fn broken_unicode_in_a_text_is_read_as_the_replacement_character() {
    let scored = |line: &[u8]| json_lines(&score_bytes(line)).remove(0);
    let expected = scored("{\"text\":\"tea\u{fffd}cake\"}".as_bytes());
    assert_eq!(expected["text"], "tea\u{fffd}cake");
    for line in [
        &b"{\"text\":\"tea\xffcake\"}"[..],
        b"{\"text\":\"tea\xe2\x82cake\"}", // a truncated character
        b"{\"text\":\"tea\\ud800cake\"}",
        b"{\"text\":\"tea\\uDC00cake\"}",
        b"\xef\xbb\xbf{\"text\":\"tea\xffcake\"}\r\n",
    ] {
        assert_eq!(scored(line), expected, "{}", line.escape_ascii());
    }
}

#[test]
fn broken_unicode_in_other_fields_is_no_fault() {
    let output = score_bytes(
        b"{\"\\udfff\":\"\\ud800\",\"a\xff\":\"\xfe b\",\"text\":\"\\u0074ea\\ud800\"}",
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let written = String::from_utf8(output.stdout).unwrap();
    // Escapes are preserved, except in the text; bytes that are not UTF-8 cannot be kept in JSON.
    let start = concat!(
        r#"{"\udfff":"\ud800","a"#,
        "\u{fffd}\":\"\u{fffd} b\",",
        r#""text":"\u0074ea\ufffd","flagged":"#
    );
    assert!(written.starts_with(start), "{written}");
}

#[test]
fn input_in_utf_16_is_refused_by_its_name() {
    let line = "{\"text\":\"tea\"}\n";
    let units: Vec<_> = format!("\u{feff}{line}").encode_utf16().collect();
    for bytes in [
        units.iter().flat_map(|unit| unit.to_le_bytes()).collect::<Vec<_>>(),
        units.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
    ] {
        let output = score_bytes(&bytes);
        assert_eq!(output.status.code(), Some(65));
        let message = "error: line 1: the line must be text in UTF-8, not in UTF-16\n";
        assert_eq!(stderr(&output), message);
    }
}

#[test]
fn what_does_not_change_the_text_does_not_matter() {
    let plain = json_lines(&score(&file("{\"text\": \"tea\"}\n{\"text\": \"cake\"}\n").1, &[]));
    for content in [
        "\u{feff}{\"text\": \"tea\"}\n{\"text\": \"cake\"}",
        "\u{feff}{\"text\": \"tea\"}\r\n\u{feff}{\"text\": \"cake\"}\r\n\u{feff}", // two files
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
    let content = "{\"text\": \"tea\"}\nhidden\n{\"text\": \"}\n{\"text\": \"jam\"}\n";
    let (_folder, input) = file(content);
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
    let (_folder, input) = file("{\"text\": \"tea\"}\n".repeat(20_000));
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
    let link = folder.path().join("link.jsonl");
    std::fs::hard_link(&input, &link).unwrap();
    let output = score(&input, &["--output", link.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(64), "a link to the same file");
    let mut command = quiet();
    command.args(["score", "--input", "-", "--output", input.to_str().unwrap()]);
    let output = command.stdin(std::fs::File::open(&input).unwrap()).output().unwrap();
    assert_eq!(output.status.code(), Some(64), "the same file as stdin");
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

fn score_bytes(content: &[u8]) -> Output {
    let (_folder, input) = file(content);
    score(&input, &[])
}

fn file(content: impl AsRef<[u8]>) -> (TempDir, std::path::PathBuf) {
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
