//! The files for operators, checked against the program: dashboard, alerts, guides, unit.

use std::collections::BTreeSet;
use std::path::Path;

use moderato::metrics::Instrument;
use moderato::metrics::Kind;
use moderato::metrics::Metrics;
use serde_json::Value;

use crate::support;

#[test]
fn every_metric_that_is_named_exists_and_every_one_that_exists_is_documented() {
    let documented = read("docs/operating.md");
    for file in [DASHBOARD, ALERTS, "docs/operating.md", "docs/runbook.md"] {
        assert!(names(&read(file)).len() > 1, "{file} names no metric");
    }
    for file in [DASHBOARD, ALERTS].map(str::to_owned).into_iter().chain(guides()) {
        let text = read(&file);
        let named = names(&text);
        for name in named {
            assert!(is_series(name), "{file}: there is no {name}");
        }
    }
    for Instrument { name, kind, labels, help } in Metrics::instruments() {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let row = format!("| `{name}` | {} | {} | {help} |", kind.name(), labels.join(", "));
        assert!(documented.contains(&row), "docs/operating.md has no row\n{row}");
    }
}

#[test]
fn the_dashboard_asks_for_labels_that_there_are() {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets: Vec<_> = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().into_iter().flatten())
        .map(|target| target["expr"].as_str().unwrap())
        .collect();
    assert!(targets.len() > 20, "{}", targets.len());
    for expression in targets {
        check_labels(DASHBOARD, expression);
    }
    check_labels(ALERTS, &read(ALERTS));
}

#[test]
fn every_alert_is_in_the_runbook_and_the_other_way_round() {
    let (alerts, runbook) = (read(ALERTS), read("docs/runbook.md"));
    let in_file: Vec<_> = alerts.lines().filter_map(|line| line.split_once("alert: ")).collect();
    let in_file: BTreeSet<_> = in_file.into_iter().map(|(_, name)| name.trim()).collect();
    let in_book: BTreeSet<_> =
        runbook.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert!(in_file.len() > 10, "{in_file:?}");
    assert_eq!(in_file, in_book);
}

#[test]
fn every_guide_is_in_the_index() {
    let index = read("docs/README.md");
    for file in guides().filter_map(|file| file.strip_prefix("docs/").map(str::to_owned)) {
        assert!(file == "README.md" || index.contains(&format!("]({file})")), "{file}");
    }
}

#[test]
fn links_within_the_guides_lead_somewhere() {
    for file in guides() {
        let path = support::repo(&file);
        for link in read(&file).split("](").skip(1).filter_map(|rest| rest.split_once(')')) {
            let target = link.0.split('#').next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") {
                let there = path.parent().unwrap().join(target);
                assert!(there.exists(), "{file}: {target} is not there");
            }
        }
    }
}

#[test]
fn flags_of_the_unit_are_flags_of_the_program() {
    let unit = read("deploy/moderato.service");
    let help = support::moderato().args(["serve", "--help"]).output().unwrap().stdout;
    let help = String::from_utf8(help).unwrap();
    let flags: Vec<_> = unit.split_whitespace().filter(|word| word.starts_with("--")).collect();
    assert!(flags.len() > 2, "{flags:?}");
    for flag in flags {
        assert!(help.contains(&format!("{flag} <")), "{flag}");
    }
}

#[test]
fn the_socket_unit_has_the_name_that_it_says_to_ask_for() {
    let unit = read("deploy/moderato.socket");
    let name = unit.lines().find_map(|line| line.strip_prefix("FileDescriptorName=")).unwrap();
    assert!(unit.contains(&format!("--listen systemd:{name}`")), "{name}");
    let service = read("deploy/moderato.service");
    let listened = unit.lines().find_map(|line| line.strip_prefix("ListenStream=")).unwrap();
    assert!(service.contains(&format!("--listen {listened} ")), "{listened}");
}

/// Checks the names of labels, in `by (...)`, `{...}` and `{{...}}`.
fn check_labels(file: &str, text: &str) {
    let known: BTreeSet<_> =
        Metrics::instruments().iter().flat_map(|it| it.labels).copied().chain(COMMON).collect();
    let grouped = text.split("by (").skip(1).filter_map(|rest| rest.split_once(')'));
    let grouped = grouped.flat_map(|(names, _)| names.split(',')).map(str::trim);
    let chosen = text.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    let chosen = chosen.flat_map(|(pairs, _)| pairs.split(',')).filter_map(|pair| {
        let (name, _) = pair.split_once(['=', '!'])?;
        Some(name.trim())
    });
    for label in grouped.chain(chosen) {
        assert!(known.contains(label), "{file}: there is no label {label}");
    }
}

/// Returns the words that look like metrics of the program.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    let is_metric = |word: &&str| {
        let parts = word.split('_').filter(|part| !part.is_empty()).count();
        (word.starts_with("moderato_") || word.starts_with("process_")) && parts > 1
    };
    // A trailing underscore is a wildcard, as in `moderato_shadow_*`.
    words.filter(is_metric).filter(|word| !word.ends_with('_')).collect()
}

/// Returns whether a series of this name is exported.
fn is_series(name: &str) -> bool {
    Metrics::instruments().iter().any(|instrument| match instrument.kind {
        Kind::Histogram => ["", "_bucket", "_sum", "_count"]
            .iter()
            .any(|suffix| name.strip_suffix(suffix) == Some(instrument.name)),
        Kind::Counter | Kind::Gauge => name == instrument.name,
    })
}

/// Returns all guides, relative to the root of the repository.
fn guides() -> impl Iterator<Item = String> {
    let files = std::fs::read_dir(support::repo("docs")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let is_guide = |name: &String| Path::new(name).extension().is_some_and(|it| it == "md");
    let guides = names.filter(is_guide).map(|name| format!("docs/{name}"));
    guides.chain(["README.md".to_owned()])
}

fn read(file: &str) -> String {
    std::fs::read_to_string(support::repo(file)).unwrap()
}

const DASHBOARD: &str = "deploy/grafana/moderato.json";
const ALERTS: &str = "deploy/prometheus/alerts.yml";
/// The labels of every scraped series.
const COMMON: [&str; 3] = ["le", "job", "instance"];
