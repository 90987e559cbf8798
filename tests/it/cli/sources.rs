//! Folders and files whose names contain the separators of lists, names and revisions.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use super::json_lines;
use super::run;
use super::stderr;
use crate::support;

/// Folder names that `=`, `,` and `@` could turn into a name, a list, a revision, or all of these.
const NAMES: [&str; 6] = ["a=b", "a,b", "a@b", "org/name@v1", "x=a,y=b@c", "embedded,a"];

#[test]
fn a_folder_of_any_name_is_loaded() {
    let models = models();
    for name in NAMES {
        let absolute = models.path().join(name).display().to_string();
        let named = format!("x={name}");
        for source in [name, &absolute, &named] {
            let flag = program(models.path()).args(["--model", source]).output().unwrap();
            assert_eq!(json_lines(&flag).len(), 1, "{source}");
            let variable = program(models.path()).env("MODERATO_MODEL", source).output().unwrap();
            assert_eq!(variable.stdout, flag.stdout, "{source}: {}", stderr(&variable));
        }
    }
}

#[test]
fn several_sources_in_one_value_are_still_several() {
    let models = models();
    let (list, flags) = ("x=a,b,y=a@b", ["--policy", "nowhere.toml"]);
    for (source, message) in [
        // Parsed as two models, so that the next fault is reported.
        (list, "nowhere.toml: reading failed"),
        ("x=a,b,x=a@b", "model: two models have the same name"),
        ("a,b,y=a@b", "of several models, each needs a name: expected NAME=SOURCE, found a,b"),
    ] {
        let mut serve = support::moderato();
        serve.current_dir(models.path()).args(["serve", "--model", source]).args(flags);
        let output = serve.output().unwrap();
        assert!(stderr(&output).contains(message), "{source}: {}", stderr(&output));
        assert!([64, 66].contains(&output.status.code().unwrap()), "{source}");
    }
    let output = program(models.path()).args(["--model", list]).output().unwrap();
    assert!(stderr(&output).contains("only serve takes several"), "{}", stderr(&output));
}

#[test]
fn a_missing_folder_is_refused_with_every_reading_that_was_tried() {
    for (source, message) in [
        ("no=where", "no such folder; read as a model called no: no such folder and not ORG/NAME"),
        (
            "no,where",
            "no such folder; read as a list separated by commas: no such folder and not ORG/NAME\
             [@REVISION]: no",
        ),
        ("no@where", "no such folder and not ORG/NAME[@REVISION]: no@where"),
    ] {
        let output = run(&["score", "hi", "--model", source]);
        assert_eq!(output.status.code(), Some(64), "{source}: {}", stderr(&output));
        assert!(stderr(&output).contains(message), "{source}: {}", stderr(&output));
    }
}

#[test]
fn a_policy_file_may_have_a_comma_in_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let toml = String::from_utf8(run(&["policy", "--toml"]).stdout).unwrap();
    let toml = toml.replace("threshold = 0.5", "threshold = 0.0");
    let [first, second] = ["mine,strict.toml", "mine"].map(|name| folder.path().join(name));
    std::fs::write(&first, &toml).unwrap();
    std::fs::write(&second, toml.replace("id = \"model-labels\"", "id = \"second\"")).unwrap();
    let both = format!("{},{}", first.display(), second.display());
    for policies in [first.display().to_string(), both] {
        let scored = run(&["score", "--policy", &policies, "Good morning"]);
        assert_eq!(json_lines(&scored)[0]["flagged"], json!(true), "{policies}");
    }
    let list = format!("{},nowhere.toml", second.display());
    let output = run(&["score", "--policy", &list, "Good morning"]);
    assert_eq!(output.status.code(), Some(64), "{}", stderr(&output));
    let message = "no such file; read as a list separated by commas: no such file: nowhere.toml";
    assert!(stderr(&output).contains(message), "{}", stderr(&output));
}

/// Copies the tiny model to a folder of each name.
fn models() -> TempDir {
    let models = tempfile::tempdir().unwrap();
    for name in NAMES {
        std::fs::create_dir_all(models.path().join(name)).unwrap();
        for entry in std::fs::read_dir(support::tiny()).unwrap() {
            let entry = entry.unwrap();
            let copy = models.path().join(name).join(entry.file_name());
            std::fs::copy(entry.path(), copy).unwrap();
        }
    }
    models
}

/// Returns a command that scores a text, run in a folder.
fn program(folder: &Path) -> Command {
    let mut command = support::moderato();
    command.current_dir(folder).args(["score", "Good morning"]).env("MODERATO_LOG", "error");
    command
}
