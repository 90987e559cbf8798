//! The order of the modules: who may name whom, and where each foreign crate lives.

use std::path::Path;

use crate::support;

/// From the bottom; a module names modules of lower layers and itself.
const LAYERS: &[&[&str]] = &[
    &["error"],
    &["policy", "text", "metrics", "lifecycle", "json", "key", "text_file", "progress_bar"],
    &["encode", "score", "evaluate"],
    &["batch"],
    &["model"],
    &["engine"],
    &["cli", "http"],
];

/// The same inside `engine`: files, each with the folder below it.
const ENGINE: &[&[&str]] = &[
    &["deadline", "flow", "load_request", "memory", "priority", "settings", "timings"],
    &["fair_queue", "request_context", "throughput", "token_budget"],
    &["scheduler", "tokenization", "replica", "scored"],
    &["dispatcher"],
    &["place"],
    &["group"],
    &["instance"],
    &["loader", "shadow", "spans"],
    &["slot"],
    &["models"],
];

/// Files of `engine` that decide and do nothing else: time is an argument.
const PURE: &[&str] = &["fair_queue", "scheduler", "throughput", "token_budget"];

/// What a file that only decides has no use for.
const IMPURE: &[&str] = &["Instant::now", "Mutex", "Condvar", "thread", "tokio", "metrics"];

/// Arrows against the order: from, to, why.
const EXCEPTIONS: &[(&str, &str, &str)] =
    &[("cli", "http", "its command `serve` is what starts the router, and `batch` asks it")];

/// The two roots of the crate, which are in no layer.
const ROOTS: &[&str] = &["lib", "main"];

/// Foreign crates and their homes: `model/hub.rs` is that file, `model` is also all below it.
const CRATES: &[(&[&str], &[&str])] = &[
    (
        &["candle_core", "candle_nn"],
        &["model/tensor", "model/device.rs", "model/cpu.rs", "model/ops/twins.rs"],
    ),
    (&["half", "rayon", "safetensors"], &["model"]),
    // Of weights, of keys, and of texts that the audit log must not hold.
    (&["sha2"], &["model", "key/secret.rs", "http/audit"]),
    (&["base64", "subtle"], &["key/secret.rs"]),
    (&["getrandom"], &["cli/key.rs"]),
    (&["rten_simd"], &["model/ops"]),
    (&["libc"], &["cli/allocator.rs"]),
    (&["tokenizers"], &["encode"]),
    (&["decancer", "unicode_normalization"], &["text/normalise"]),
    (&["unicode_segmentation"], &["score/span.rs"]),
    (&["hf_hub"], &["model/hub"]),
    (&["hyper", "hyper_util", "socket2", "tokio_rustls"], &["http/connections"]),
    (&["opentelemetry", "opentelemetry_otlp", "opentelemetry_sdk"], &["http/traces.rs"]),
    (&["rustix"], &["model/low_priority.rs"]),
    // What is said, and how it is sent.
    (&["sd_notify"], &["cli/supervisor.rs", "cli/notify.rs"]),
    // Turns descriptors into sockets without `unsafe` of ours.
    (&["listenfd"], &["cli/inherited.rs"]),
    (&["axum", "tower", "tower_http", "utoipa", "utoipa_swagger_ui"], &["http"]),
    (&["clap", "comfy_table", "tracing_subscriber"], &["cli"]),
    (&["toml"], &["policy.rs", "cli"]),
    (&["tokio"], &["engine", "http", "cli", "lifecycle.rs", "main.rs"]),
    (&["indicatif"], &["progress_bar.rs"]),
    (&["metrics", "metrics_exporter_prometheus"], &["metrics"]),
    (&["ndarray"], &["score", "evaluate", "model", "engine", "cli"]),
];

/// Code that has a home too. `feature = "` is what every `cfg` of a feature contains.
const PHRASES: &[(&[&str], &[&str])] = &[
    (&["feature = \""], &["model/device.rs", "model/hub.rs", "model/embedded.rs"]),
    (&["env::var", "env::var_os", "env::vars", "env::vars_os"], &["cli/environment.rs"]),
    (&["unsafe"], &["model/ops/kernel", "cli/allocator.rs"]),
    // The clock on the wall jumps: it tells people when something was, and decides nothing.
    // Deadlines, quotas and paces count on `Instant`.
    (
        &["SystemTime"],
        &[
            "engine/slot.rs",
            "engine/shadow.rs",
            "http/clock.rs",
            "http/audit/entry.rs",
            "http/traces.rs",
            "http/ask.rs",  // for the audit log
            "http/vllm.rs", // its field `created`
            "metrics/process.rs",
        ],
    ),
];

#[test]
fn modules_name_lower_layers_and_foreign_crates_stay_at_home() {
    let findings: Vec<_> = sources().iter().flat_map(Source::findings).collect();
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

#[test]
fn files_of_the_engine_name_lower_files_and_what_decides_does_nothing_else() {
    let sources = sources();
    let findings: Vec<_> = sources.iter().flat_map(Source::engine_findings).collect();
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
    let files = sources.iter().filter_map(Source::engine_file);
    let files: std::collections::BTreeSet<_> = files.collect();
    for file in ENGINE.concat() {
        assert!(files.contains(file), "{file} is gone");
    }
}

#[test]
fn the_scanner_of_the_engine_finds_what_it_looks_for() {
    for (path, text, finding) in [
        ("engine/spans.rs", "use crate::engine::Engine;", "1: `Engine` is no file of the engine"),
        ("engine/deadline.rs", "use crate::engine::slot::Slot;", "1: deadline names slot"),
        (
            "engine/spans.rs",
            "use crate::engine::{instance::Engine, slot::Slot};",
            "1: spans names slot",
        ),
        ("engine/scheduler/turns.rs", "\nuse crate::engine::group::X;", "2: scheduler names group"),
        ("engine/shadow.rs", "use super::Engine;", "1: `super` climbs to the engine"),
        ("engine/slot/state.rs", "use super::super::Engine;", "1: `super` climbs to the engine"),
        ("engine/new.rs", "", "1: `new` is no file of the engine"),
        ("engine/scheduler.rs", "let now = Instant::now();", "1: Instant::now where time is told"),
        ("engine/fair_queue/x.rs", "use tokio::sync::watch;", "1: tokio where time is told"),
    ] {
        let expected = format!("src/{path}:{finding}");
        assert_eq!(Source::new(path, text).engine_findings(), [expected], "{path}: {text}");
    }
    for (path, text) in [
        ("engine.rs", "pub use self::slot::Slot;"),
        ("engine/slot.rs", "use crate::engine::instance::Engine;\nuse crate::engine::slot::Slot;"),
        ("engine/slot/tests.rs", "use super::*;"),
        ("engine/slot.rs", "mod tests {\n    use super::*;"),
        ("engine/scheduler/simulation/world.rs", "Instant::now()"),
        ("engine/scheduler/turns.rs", "use std::time::Instant;"),
        ("http/ask.rs", "use crate::engine::Engine;"),
    ] {
        let findings = Source::new(path, text).engine_findings();
        assert!(findings.is_empty(), "{path}: {text}: {findings:?}");
    }
}

#[test]
fn the_scanner_has_seen_the_crate_and_the_map_holds_nothing_that_is_gone() {
    let sources = sources();
    assert!(sources.len() >= 30, "read {} files", sources.len());
    let arrows: Vec<_> = sources
        .iter()
        .flat_map(|source| source.paths().into_iter().map(|path| (source.module(), path.name)))
        .collect();
    assert!(arrows.len() >= 50, "found {} paths", arrows.len());
    for module in LAYERS.concat() {
        assert!(sources.iter().any(|source| source.module() == module), "{module} is gone");
    }
    for (from, to, _) in EXCEPTIONS {
        assert!(arrows.contains(&(from, to)), "{from} does not name {to} any more");
    }
}

#[test]
fn the_scanner_finds_what_it_looks_for() {
    // Upwards, sideways, and in each way to write it.
    finds("batch.rs", "use crate::http::App;", "1: batch names http");
    finds("text.rs", "\nuse crate::json;", "2: text names json");
    finds("http/app.rs", "use crate::cli;", "1: http names cli");
    finds("score.rs", "pub(in crate::cli) fn", "1: score names cli");
    finds("text.rs", "use crate::{http, error};", "1: text names http");
    let group = "use crate::{\n    error::{Error, Kind},\n    model::{Model, Logits},\n};";
    finds("score.rs", group, "1: score names model");
    finds("text.rs", "use crate::*;", "1: `*` is in no layer");
    finds("extra/new.rs", "", "1: `extra` is in no layer");
    finds("text.rs", "use super::http;", "1: `super` climbs to the root");
    let inner = "mod tests {\n    use super::super::super::http;";
    finds("score/rules.rs", inner, "2: `super` climbs to the root");
    // A foreign crate: in a use, a path, an attribute, a rename, a macro; below a home of one file.
    finds("engine.rs", "use axum::Router;", "1: axum is not at home");
    finds("score.rs", "utoipa::ToSchema", "1: utoipa is not at home");
    finds("text.rs", "x = ::tokio::spawn(", "1: tokio is not at home");
    finds("text.rs", "#[clap::x]", "1: clap is not at home");
    finds("batch.rs", "use rayon as r;", "1: rayon is not at home");
    finds("http.rs", "metrics::gauge!(X)", "1: metrics is not at home");
    finds("policy/x.rs", "toml::Table", "1: toml is not at home");
    // What is no crate.
    finds("engine.rs", "#[cfg(not(feature = \"hub\"))]", "1: feature = \" is not at home");
    finds("text.rs", "std::env::var(", "1: env::var is not at home");
    finds("model.rs", "unsafe {", "1: unsafe is not at home");
}

#[test]
fn the_scanner_lets_pass_what_is_allowed() {
    for (path, text) in [
        ("engine/slot.rs", "use crate::model::Logits;\nuse crate::engine::deadline::Deadline;"),
        ("cli/serve.rs", "use crate::http;"),
        ("engine.rs", "use crate::metrics::Metrics;\nuse self::metrics::x;"),
        ("engine.rs", "//! crate::http\n    // use axum::Router;\nlet x = 1; // crate::cli"),
        ("text.rs", "#[cfg(test)]\nmod tests {\n    use super::*;"),
        ("score/rules.rs", "use super::Verdict;\nmod tests {\n    use super::super::Scores;"),
        ("error.rs", "let file = \"model.safetensors\"; sha256(my_crate::http, unsafe_code)"),
        ("main.rs", "moderato::cli::run(std::env::args_os())"),
        ("http/health.rs", "axum::http::StatusCode"),
        ("http/score.rs", "utoipa::ToSchema"),
    ] {
        let findings = Source::new(path, text).findings();
        assert!(findings.is_empty(), "{path}: {text}: {findings:?}");
    }
}

fn finds(path: &str, text: &str, finding: &str) {
    let expected = format!("src/{path}:{finding}");
    assert_eq!(Source::new(path, text).findings(), [expected], "{path}: {text}");
}

struct Source {
    path: String, // below src/
    code: String, // without comments; lines are where they were
}

/// What a `crate::` path names first.
struct Named<'a> {
    place: usize,
    name: &'a str,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let code: Vec<_> = text.lines().map(without_comment).collect();
        Self { path: path.into(), code: code.join("\n") }
    }

    /// The top module that the file belongs to.
    fn module(&self) -> &str {
        self.path.split(['/', '.']).next().unwrap()
    }

    fn findings(&self) -> Vec<String> {
        let mut findings = self.misplaced();
        if !ROOTS.contains(&self.module()) {
            findings.extend(self.against_the_order());
        }
        findings
    }

    fn against_the_order(&self) -> Vec<String> {
        let from = self.module();
        let Some(layer) = layer_of(from) else {
            return vec![self.finding(0, &format!("`{from}` is in no layer"))];
        };
        let excepted = |to| EXCEPTIONS.iter().any(|&(a, b, _)| (a, b) == (from, to));
        let judge = |Named { place, name }| match layer_of(name) {
            None => Some(self.finding(place, &format!("`{name}` is in no layer"))),
            Some(other) if other < layer || name == from || excepted(name) => None,
            Some(_) => Some(self.finding(place, &format!("{from} names {name}"))),
        };
        self.paths().into_iter().filter_map(judge).chain(self.climbs()).collect()
    }

    /// What is wrong in a file of the engine: other files named against their order, or through
    /// `engine` itself, and what has no place where nothing is done.
    fn engine_findings(&self) -> Vec<String> {
        let Some(from) = self.engine_file() else { return Vec::new() };
        let layer_of = |file| ENGINE.iter().position(|layer| layer.contains(&file));
        let Some(layer) = layer_of(from) else {
            return vec![self.finding(0, &format!("`{from}` is no file of the engine"))];
        };
        let judge = |Named { place, name }| match layer_of(name) {
            None => Some(self.finding(place, &format!("`{name}` is no file of the engine"))),
            Some(other) if other < layer || name == from => None,
            Some(_) => Some(self.finding(place, &format!("{from} names {name}"))),
        };
        let arrows = self.paths_after("crate::engine::").into_iter().filter_map(judge);
        let climbs = self.climbs_to(1, "`super` climbs to the engine");
        arrows.chain(climbs).chain(self.impurities(from)).collect()
    }

    fn impurities(&self, file: &str) -> impl Iterator<Item = String> {
        let is_test = self.path.contains("/tests") || self.path.contains("/simulation");
        let is_pure = PURE.contains(&file) && !is_test;
        // Tests at the end of a file may look at the clock.
        let end = self.code.find("#[cfg(test)]\nmod tests {").unwrap_or(self.code.len());
        IMPURE.iter().filter(move |_| is_pure).flat_map(move |word| {
            let found = places(&self.code[..end], word);
            found.map(move |place| self.finding(place, &format!("{word} where time is told")))
        })
    }

    /// The file of the engine that it is, or is below.
    fn engine_file(&self) -> Option<&str> {
        self.path.strip_prefix("engine/")?.split(['/', '.']).next()
    }

    fn paths(&self) -> Vec<Named<'_>> {
        self.paths_after("crate::")
    }

    /// What is named after that root.
    fn paths_after(&self, root: &'static str) -> Vec<Named<'_>> {
        let names = |place| names(&self.code[place + root.len()..]);
        places(&self.code, root)
            .flat_map(|place| names(place).into_iter().map(move |name| Named { place, name }))
            .collect()
    }

    /// Relative paths that reach the root, where `crate::` would have been seen.
    fn climbs(&self) -> impl Iterator<Item = String> {
        self.climbs_to(0, "`super` climbs to the root")
    }

    /// Relative paths that reach the module of that depth.
    fn climbs_to(&self, depth: usize, what: &'static str) -> impl Iterator<Item = String> {
        let depth = self.path.split('/').count() - depth;
        let is_inner = |line: &str| line.ends_with('{') && places(line, "mod").next().is_some();
        places(&self.code, "super::").filter_map(move |place| {
            // One module inside the file is known, such as its tests; deeper ones are not used.
            let depth = depth + usize::from(self.code[..place].lines().any(is_inner));
            let reaches = self.code[place..].starts_with(&"super::".repeat(depth));
            reaches.then(|| self.finding(place, what))
        })
    }

    /// Foreign crates and phrases outside their homes.
    fn misplaced(&self) -> Vec<String> {
        let crates = CRATES.iter().map(|entry| (entry, true));
        let phrases = PHRASES.iter().map(|entry| (entry, false));
        let mut findings = Vec::new();
        for ((words, homes), is_crate) in crates.chain(phrases) {
            if homes.iter().any(|home| self.is_at(home)) {
                continue;
            }
            for word in *words {
                let found = places(&self.code, word)
                    .filter(|&place| !is_crate || is_crate_at(&self.code, place, word));
                findings.extend(
                    found.map(|place| self.finding(place, &format!("{word} is not at home"))),
                );
            }
        }
        findings
    }

    fn is_at(&self, home: &str) -> bool {
        let below = self.path.strip_prefix(home);
        self.path == home || below.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    }

    fn finding(&self, place: usize, what: &str) -> String {
        let line = 1 + self.code[..place].matches('\n').count();
        format!("src/{}:{line}: {what}", self.path)
    }
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// A comment begins a line or stands after a space; `https://` does neither.
fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with("//") { "" } else { line.split(" // ").next().unwrap() }
}

/// Where a phrase stands, not as a part of longer words.
fn places<'a>(code: &'a str, phrase: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_cut = |left: &str, right: &str| left.ends_with(is_word) && right.starts_with(is_word);
    code.match_indices(phrase).map(|(place, _)| place).filter(move |&place| {
        let (before, rest) = code.split_at(place);
        let (phrase, after) = rest.split_at(phrase.len());
        !is_cut(before, phrase) && !is_cut(phrase, after)
    })
}

/// Whether a word is the crate at the root of a path, and not a module further on or a string.
fn is_crate_at(code: &str, place: usize, word: &str) -> bool {
    let before = &code[..place];
    let after = &code[place + word.len()..];
    let is_root = !before.strip_suffix("::").is_some_and(|path| path.ends_with(is_word));
    let is_alone = before.ends_with("use ") && after.starts_with([';', ' ']);
    is_root && (after.starts_with("::") || is_alone)
}

/// The first words of what follows `crate::`: one, or those of a group in braces.
fn names(path: &str) -> Vec<&str> {
    let Some(group) = path.strip_prefix('{') else { return vec![first_word(path)] };
    let mut names = Vec::new();
    let mut depth = 1;
    let mut begins = true;
    for (place, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' => begins = depth == 1,
            _ if character.is_whitespace() || !begins => {}
            _ => {
                names.push(first_word(&group[place..]));
                begins = false;
            }
        }
        if depth == 0 {
            break;
        }
    }
    names
}

/// At least one character, so that a `*` is seen too.
fn first_word(path: &str) -> &str {
    &path[..path.find(|character| !is_word(character)).unwrap_or(path.len()).max(1)]
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Every file below `src/`, in order of path.
fn sources() -> Vec<Source> {
    let root = support::repo("src");
    let mut sources = Vec::new();
    read_folder(&root, &root, &mut sources);
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    sources
}

fn read_folder(root: &Path, folder: &Path, sources: &mut Vec<Source>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_folder(root, &path, sources);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            sources.push(Source::new(&name, &std::fs::read_to_string(&path).unwrap()));
        }
    }
}
