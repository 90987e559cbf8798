//! The layers of modules: which modules may use which, and where each external crate may be used.

use std::collections::BTreeSet;
use std::path::Path;

use proc_macro2::Span;
use proc_macro2::TokenStream;
use proc_macro2::TokenTree;
use syn::Meta;
use syn::UseTree;
use syn::spanned::Spanned;
use syn::visit;
use syn::visit::Visit;

use crate::support;

/// The layers, from the bottom; a module uses only modules of lower layers and itself.
const LAYERS: &[&[&str]] = &[
    &["error"],
    &["policy", "text", "metrics", "lifecycle", "json", "key", "text_file", "progress_bar"],
    &["tokenize", "score", "evaluate"],
    &["batch"],
    &["model"],
    &["engine"],
    &["cli", "http"],
];

/// The layers inside a module: its files, each with the folder of the same name.
struct Inside {
    module: &'static str, // path below src/
    layers: &'static [&'static [&'static str]],
}

const INSIDE: &[Inside] = &[
    Inside { module: "engine", layers: ENGINE },
    Inside { module: "http", layers: HTTP },
    Inside { module: "http/contracts", layers: CONTRACTS },
];

const HTTP: &[&[&str]] = &[
    &["problem"],
    &["server"],
    &["auth"],
    &["telemetry"],
    &["app"],
    &["request"],
    &["contracts", "pages"],
    &["replay"],
];

/// No contract uses another.
const CONTRACTS: &[&[&str]] = &[&[
    "classifications",
    "fms",
    "guardrail_webhook",
    "hugging_face",
    "kserve_v1",
    "kserve_v2",
    "litellm",
    "moderations",
    "perspective",
    "score",
    "tei",
    "vllm",
]];

const ENGINE: &[&[&str]] = &[
    &["deadline", "flow", "load_request", "memory", "priority", "settings", "timings"],
    &["fair_queue", "request_context", "throughput", "token_budget"],
    &["scheduler", "tokenization", "replica", "scored_input"],
    &["dispatcher"],
    &["worker"],
    &["group"],
    &["instance"],
    &["loader", "shadow", "spans"],
    &["slot"],
    &["models"],
];

/// Files of `engine` with pure logic: the time is an argument.
const PURE: &[&str] = &["fair_queue", "scheduler", "throughput", "token_budget"];

/// Names that a file with pure logic must not use.
const IMPURE: &[&str] = &["Instant::now", "Mutex", "Condvar", "thread", "tokio", "metrics"];

/// Dependencies against the order: from, to, reason.
const EXCEPTIONS: &[(&str, &str, &str)] =
    &[("cli", "http", "its command `serve` is what starts the router, and `batch` asks it")];

/// The two crate roots, which are in no layer.
const ROOTS: &[&str] = &["lib", "main"];

/// External crates and the only modules that may use them: `model/hub.rs` is that file, `model`
/// also includes everything below it.
const CRATES: &[(&[&str], &[&str])] = &[
    (
        &["candle_core", "candle_nn"],
        &["model/tensor", "model/device.rs", "model/cpu.rs", "model/ops/reference.rs"],
    ),
    (&["half", "rayon", "safetensors"], &["model"]),
    // Hashes of weights, of keys, and of texts that the audit log must not contain.
    (&["sha2"], &["model", "key/secret.rs", "http/request/audit_entry.rs"]),
    (&["subtle"], &["key/secret.rs"]),
    // For keys, and for tensors.
    (&["base64"], &["key/secret.rs", "http/contracts/kserve_v2.rs"]),
    (&["getrandom"], &["cli/key.rs"]),
    (&["rten_simd"], &["model/ops"]),
    (&["libc"], &["cli/allocator.rs", "model/load_priority.rs"]),
    (&["tokenizers"], &["tokenize"]),
    (&["decancer", "unicode_normalization"], &["text/normalise"]),
    (&["unicode_segmentation"], &["score/span.rs"]),
    (&["hf_hub"], &["model/hub"]),
    (&["hyper", "hyper_util", "socket2", "tokio_rustls"], &["http/server"]),
    (&["opentelemetry", "opentelemetry_otlp", "opentelemetry_sdk"], &["http/telemetry/traces.rs"]),
    (&["const_hex"], &["model/sha256.rs", "key/secret.rs", "http/request/audit_entry.rs"]),
    (&["rustix"], &["model/load_priority.rs"]),
    // The notifications, and how they are sent.
    (&["sd_notify"], &["cli/supervisor.rs", "cli/notify.rs"]),
    // Turns file descriptors into sockets without `unsafe` code in this crate.
    (&["listenfd"], &["cli/inherited.rs"]),
    (&["axum", "tower", "tower_http", "utoipa", "utoipa_axum", "utoipa_swagger_ui"], &["http"]),
    (&["clap", "comfy_table", "tracing_subscriber"], &["cli"]),
    (&["toml"], &["policy.rs", "cli"]),
    (&["tokio"], &["engine", "http", "cli", "lifecycle.rs", "main.rs"]),
    (&["serde_path_to_error"], &["json"]),
    (&["humantime"], &["http/telemetry/clock.rs"]),
    (&["indicatif"], &["progress_bar.rs"]),
    (&["prometheus_client"], &["metrics"]),
    (&["procfs"], &["metrics/process.rs", "model/load_priority.rs"]),
    (&["ndarray"], &["score", "evaluate", "model", "engine", "cli"]),
];

/// Other names that only these modules may use; `feature` is the one in `cfg`.
const NAMES: &[(&[&str], &[&str])] = &[
    (&["feature"], &["model/device.rs", "model/hub.rs", "model/embedded.rs"]),
    (&["env::var", "env::var_os", "env::vars", "env::vars_os"], &["cli/environment.rs"]),
    (&["unsafe"], &["model/ops/kernel", "model/load_priority.rs", "cli/allocator.rs"]),
    // The wall clock can jump: it only gives timestamps for people. Deadlines, quotas and
    // throughput use `Instant`.
    (
        &["SystemTime"],
        &[
            "engine/slot.rs",
            "engine/shadow.rs",
            "http/telemetry/clock.rs",
            "http/request/audit_entry.rs",
            "http/telemetry/traces.rs",
            "http/request/scoring.rs", // for the audit log
            "http/contracts/vllm.rs",  // its field `created`
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
fn files_name_lower_files_of_their_module_and_what_decides_does_nothing_else() {
    let sources = sources();
    let findings: Vec<_> = sources.iter().flat_map(Source::inner_findings).collect();
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
    for inside in INSIDE {
        let files = sources.iter().filter_map(|source| source.file_in(inside));
        let files: BTreeSet<_> = files.collect();
        for file in inside.layers.concat() {
            assert!(files.contains(file), "{file} is gone");
        }
    }
}

#[test]
fn the_inner_scanner_finds_what_it_looks_for() {
    for (path, text, finding) in [
        ("engine/spans.rs", "use crate::engine::Engine;", "1: `Engine` is no file of engine"),
        ("engine/deadline.rs", "use crate::engine::slot::Slot;", "1: deadline names slot"),
        (
            "engine/spans.rs",
            "use crate::engine::{instance::Engine, slot::Slot};",
            "1: spans names slot",
        ),
        ("engine/scheduler/turns.rs", "\nuse crate::engine::group::X;", "2: scheduler names group"),
        ("engine/shadow.rs", "use super::Engine;", "1: `Engine` is no file of engine"),
        ("engine/shadow.rs", "use super::*;", "1: `*` is no file of engine"),
        ("engine/deadline.rs", "use super::slot::Slot;", "1: deadline names slot"),
        ("engine/slot/state.rs", "use super::super::Engine;", "1: `Engine` is no file of engine"),
        ("engine/new.rs", "", "1: `new` is no file of engine"),
        (
            "engine/scheduler.rs",
            "fn f() { let now = Instant::now(); }",
            "1: Instant::now in a file of pure logic",
        ),
        (
            "engine/scheduler.rs",
            "fn f() { assert!(std::time::Instant::now() > x); }",
            "1: Instant::now in a file of pure logic",
        ),
        ("engine/fair_queue/x.rs", "use tokio::sync::watch;", "1: tokio in a file of pure logic"),
        ("engine/fair_queue.rs", "struct X(Mutex<u32>);", "1: Mutex in a file of pure logic"),
        ("http/auth.rs", "use crate::http::app::App;", "1: auth names app"),
        ("http/auth/x.rs", "use super::super::app::App;", "1: auth names app"),
        ("http/contracts/tei.rs", "use crate::http::contracts::fms::X;", "1: tei names fms"),
        ("http/contracts/tei.rs", "fn f(x: super::fms::X) {}", "1: tei names fms"),
    ] {
        let expected = format!("src/{path}:{finding}");
        assert_eq!(Source::new(path, text).inner_findings(), [expected], "{path}: {text}");
    }
    for (path, text) in [
        ("engine.rs", "pub use self::slot::Slot;"),
        ("engine/slot.rs", "use crate::engine::instance::Engine;\nuse crate::engine::slot::Slot;"),
        ("engine/slot/tests.rs", "use super::*;"),
        ("engine/slot.rs", "mod tests {\n    use super::*; }"),
        ("engine/slot.rs", "pub(super) struct X;\npub(in crate::engine) struct Y;"),
        ("engine/scheduler/simulation/world.rs", "fn f() { Instant::now(); }"),
        ("engine/scheduler.rs", "#[cfg(test)] mod tests { fn f() { Instant::now(); } }"),
        ("engine/scheduler/turns.rs", "use std::time::Instant;"),
        ("http/request/scoring.rs", "use crate::engine::Engine;"),
    ] {
        let findings = Source::new(path, text).inner_findings();
        assert!(findings.is_empty(), "{path}: {text}: {findings:?}");
    }
}

#[test]
fn the_scanner_has_seen_the_crate_and_the_map_holds_nothing_that_is_gone() {
    let sources = sources();
    assert!(sources.len() >= 30, "read {} files", sources.len());
    let arrows: Vec<_> = sources
        .iter()
        .flat_map(|source| source.own_names(&[]).map(|(name, _)| (source.module(), name)))
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
fn every_file_of_the_map_exists() {
    let map = std::fs::read_to_string(support::repo("src/lib.rs")).unwrap();
    let is_source = |word: &&str| Path::new(word).extension().is_some_and(|it| it == "rs");
    let files: BTreeSet<_> = map.split('`').filter(is_source).collect();
    assert!(files.len() > 40, "{files:?}");
    for file in files {
        let path = if file.starts_with("tests/") { file.into() } else { format!("src/{file}") };
        assert!(support::repo(&path).exists(), "{file}");
    }
}

#[test]
fn the_scanner_finds_what_it_looks_for() {
    // A higher layer, the same layer, and every syntax for a path.
    finds("batch.rs", "use crate::http::App;", "1: batch names http");
    finds("text.rs", "\nuse crate::json;", "2: text names json");
    finds("http/app.rs", "use crate::cli;", "1: http names cli");
    finds("score.rs", "pub(in crate::cli) fn f() {}", "1: score names cli");
    finds("text.rs", "use crate::{http, error};", "1: text names http");
    finds("text.rs", "fn f() { assert_eq!(crate::http::x(), 1); }", "1: text names http");
    finds("text.rs", "#[x(crate::http::y)] struct X;", "1: text names http");
    let group = "use crate::{\n    error::{Error, Kind},\n    model::{Model, Logits},\n};";
    finds("score.rs", group, "3: score names model");
    finds("text.rs", "use crate::*;", "1: `*` is in no layer");
    finds("extra/new.rs", "", "1: `extra` is in no layer");
    finds("text.rs", "use super::http;", "1: text names http");
    let inner = "mod tests {\n    use super::super::super::http; }";
    finds("score/rules.rs", inner, "2: score names http");
    // An external crate: in a use, a path, an attribute, a rename, a macro; below a home that is
    // one file.
    finds("engine.rs", "use axum::Router;", "1: axum is not at home");
    finds("score.rs", "#[derive(utoipa::ToSchema)] struct X;", "1: utoipa is not at home");
    finds("text.rs", "fn f() { ::tokio::spawn(x); }", "1: tokio is not at home");
    finds("text.rs", "#[clap::x] struct X;", "1: clap is not at home");
    finds("batch.rs", "use rayon as r;", "1: rayon is not at home");
    finds("http.rs", "fn f() { prometheus_client::x!(X); }", "1: prometheus_client is not at home");
    finds("policy/x.rs", "fn f(x: toml::Table) {}", "1: toml is not at home");
    // Names that are not crates.
    finds("engine.rs", "#[cfg(not(feature = \"hub\"))] struct X;", "1: feature is not at home");
    finds("text.rs", "fn f() { std::env::var(x); }", "1: env::var is not at home");
    finds("model.rs", "fn f() { unsafe {} }", "1: unsafe is not at home");
    finds("model.rs", "unsafe fn f() {}", "1: unsafe is not at home");
}

#[test]
fn the_scanner_lets_pass_what_is_allowed() {
    for (path, text) in [
        ("engine/slot.rs", "use crate::model::Logits;\nuse crate::engine::deadline::Deadline;"),
        ("cli/serve.rs", "use crate::http;"),
        ("engine.rs", "use crate::metrics::Metrics;\nuse self::metrics::x;"),
        ("engine.rs", "//! crate::http\n    // use axum::Router;\nconst X: u8 = 1; // crate::cli"),
        ("text.rs", "#[cfg(test)]\nmod tests {\n    use super::*; }"),
        ("score/rules.rs", "use super::Verdict;\nmod tests {\n    use super::super::Scores; }"),
        (
            "error.rs",
            "fn f() { let x = \"model.safetensors\"; sha256(my_crate::http, unsafe_code) }",
        ),
        ("main.rs", "fn f() { moderato::cli::run(std::env::args_os()) }"),
        ("http/pages/health.rs", "fn f(x: axum::http::StatusCode) {}"),
        ("http/contracts/score.rs", "#[derive(utoipa::ToSchema)] struct X;"),
        ("policy.rs", "/// The feature of `axum::http`, unsafe to name.\nstruct X;"),
    ] {
        let findings = Source::new(path, text).findings();
        assert!(findings.is_empty(), "{path}: {text}: {findings:?}");
    }
}

fn finds(path: &str, text: &str, finding: &str) {
    let expected = format!("src/{path}:{finding}");
    assert_eq!(Source::new(path, text).findings(), [expected], "{path}: {text}");
}

/// A source file and every path in it.
struct Source {
    path: String, // below src/
    names: Vec<Name>,
}

/// A path as written, except that a relative path is resolved to one from `crate`.
struct Name {
    segments: Vec<String>,
    line: usize,
    is_test: bool, // inside a test module
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let file = syn::parse_file(text).unwrap_or_else(|fault| panic!("{path}: {fault}"));
        let module = path.strip_suffix(".rs").unwrap().split('/').map(str::to_owned).collect();
        let mut collector = Collector { module, names: Vec::new(), n_tests: 0 };
        collector.visit_file(&file);
        Self { path: path.into(), names: collector.names }
    }

    /// Returns the top-level module that the file belongs to.
    fn module(&self) -> &str {
        self.path.split(['/', '.']).next().unwrap()
    }

    fn findings(&self) -> Vec<String> {
        let mut findings = self.misplaced();
        if !ROOTS.contains(&self.module()) {
            findings.extend(self.against_the_order());
        }
        findings.dedup();
        findings
    }

    fn against_the_order(&self) -> Vec<String> {
        let from = self.module();
        let excepted = |to: &str| EXCEPTIONS.iter().any(|&(a, b, _)| (a, b) == (from, to));
        let Some(layer) = place(LAYERS, from) else {
            return vec![self.finding(1, &format!("`{from}` is in no layer"))];
        };
        let judge = |(name, line): (&str, usize)| match place(LAYERS, name) {
            None => Some(self.finding(line, &format!("`{name}` is in no layer"))),
            Some(other) if other < layer || name == from || excepted(name) => None,
            Some(_) => Some(self.finding(line, &format!("{from} names {name}"))),
        };
        self.own_names(&[]).filter_map(judge).collect()
    }

    /// Returns the findings inside the modules of [`INSIDE`]: files used against the order or
    /// through the module itself, and impure names in files with pure logic.
    fn inner_findings(&self) -> Vec<String> {
        INSIDE.iter().flat_map(|inside| self.findings_in(inside)).collect()
    }

    fn findings_in(&self, inside: &Inside) -> Vec<String> {
        let Some(from) = self.file_in(inside) else { return Vec::new() };
        let Inside { module, layers } = inside;
        let Some(layer) = place(layers, from) else {
            return vec![self.finding(1, &format!("`{from}` is no file of {module}"))];
        };
        let judge = |(name, line): (&str, usize)| match place(layers, name) {
            None => Some(self.finding(line, &format!("`{name}` is no file of {module}"))),
            Some(other) if other < layer || name == from => None,
            Some(_) => Some(self.finding(line, &format!("{from} names {name}"))),
        };
        let module: Vec<_> = module.split('/').collect();
        self.own_names(&module).filter_map(judge).chain(self.impurities(from)).collect()
    }

    fn impurities(&self, file: &str) -> impl Iterator<Item = String> {
        let is_test = self.path.contains("/tests") || self.path.contains("/simulation");
        let is_pure = self.path.starts_with("engine/") && PURE.contains(&file) && !is_test;
        let names = self.names.iter().filter(move |name| is_pure && !name.is_test);
        names.flat_map(|name| {
            let words = IMPURE.iter().filter(|word| name.contains(word));
            words.map(|word| self.finding(name.line, &format!("{word} in a file of pure logic")))
        })
    }

    /// Returns the file of that module that this is, or whose folder it is in.
    fn file_in(&self, inside: &Inside) -> Option<&str> {
        let path = self.path.strip_prefix(inside.module)?.strip_prefix('/')?;
        path.split(['/', '.']).next()
    }

    /// Returns the names used directly below a module of this crate, with their lines.
    fn own_names<'a>(&'a self, module: &[&str]) -> impl Iterator<Item = (&'a str, usize)> {
        self.names.iter().filter_map(move |Name { segments, line, .. }| {
            let below = segments.strip_prefix(&["crate".to_owned()])?;
            let is_there = std::iter::zip(module, below).all(|(one, other)| one == other);
            let name = below.get(module.len()).filter(|_| is_there)?;
            Some((name.as_str(), *line))
        })
    }

    /// Returns the external crates and other names used outside their homes.
    fn misplaced(&self) -> Vec<String> {
        let crates = CRATES.iter().map(|entry| (entry, true));
        let others = NAMES.iter().map(|entry| (entry, false));
        let mut findings = Vec::new();
        for ((words, homes), is_crate) in crates.chain(others) {
            if homes.iter().any(|home| self.is_at(home)) {
                continue;
            }
            for word in *words {
                let found = self.names.iter().filter(|name| {
                    if is_crate {
                        name.segments.len() > 1 && name.segments[0] == *word
                    } else {
                        name.contains(word)
                    }
                });
                let what = format!("{word} is not at home");
                findings.extend(found.map(|name| self.finding(name.line, &what)));
            }
        }
        findings
    }

    fn is_at(&self, home: &str) -> bool {
        let below = self.path.strip_prefix(home);
        self.path == home || below.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    }

    fn finding(&self, line: usize, what: &str) -> String {
        format!("src/{}:{line}: {what}", self.path)
    }
}

impl Name {
    /// Returns whether the path contains these segments in sequence.
    fn contains(&self, path: &str) -> bool {
        let wanted: Vec<_> = path.split("::").collect();
        self.segments.windows(wanted.len()).any(|segments| segments == wanted)
    }
}

/// Collects every path in a file.
struct Collector {
    module: Vec<String>, // includes modules inside the file
    names: Vec<Name>,
    n_tests: usize, // nesting depth of test modules
}

impl Collector {
    fn add(&mut self, segments: Vec<String>, span: Span) {
        let n_supers = segments.iter().take_while(|&segment| segment == "super").count();
        let n_kept = self.module.len().saturating_sub(n_supers);
        let segments = match segments[0].as_str() {
            "super" | "self" => {
                let module = self.module[..n_kept].iter().cloned();
                let rest = segments.into_iter().skip(n_supers.max(1));
                ["crate".to_owned()].into_iter().chain(module).chain(rest).collect()
            }
            _ => segments,
        };
        let (line, is_test) = (span.start().line, self.n_tests > 0);
        self.names.push(Name { segments, line, is_test });
    }

    fn add_tree(&mut self, before: &[String], tree: &UseTree) {
        let with = |last: String| [before, &[last]].concat();
        match tree {
            UseTree::Path(path) => {
                self.add_tree(&with(path.ident.to_string()), &path.tree);
            }
            UseTree::Name(name) => self.add(with(name.ident.to_string()), name.span()),
            // Adds a segment, since a path of one segment does not count as a crate.
            UseTree::Rename(name) => {
                self.add([with(name.ident.to_string()), vec!["_".into()]].concat(), name.span());
            }
            UseTree::Glob(glob) => self.add(with("*".into()), glob.span()),
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.add_tree(before, tree));
            }
        }
    }

    /// Collects the paths in tokens that only a macro can parse.
    fn scan(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut begin = Span::call_site();
        let mut n_colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) if n_colons == 2 && !path.is_empty() => {
                    path.push(name.to_string());
                    n_colons = 0;
                }
                TokenTree::Ident(name) => {
                    self.finish(&mut path, begin);
                    (path, begin, n_colons) = (vec![name.to_string()], name.span(), 0);
                }
                TokenTree::Punct(colon) if colon.as_char() == ':' => n_colons += 1,
                other => {
                    self.finish(&mut path, begin);
                    n_colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.scan(group.stream());
                    }
                }
            }
        }
        self.finish(&mut path, begin);
    }

    fn finish(&mut self, path: &mut Vec<String>, begin: Span) {
        if !path.is_empty() {
            self.add(std::mem::take(path), begin);
        }
    }
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.add(segments, path.span());
        visit::visit_path(self, path);
    }

    fn visit_vis_restricted(&mut self, visibility: &'ast syn::VisRestricted) {
        // `pub(super)` refers to no other module.
        if visibility.in_token.is_some() {
            visit::visit_vis_restricted(self, visibility);
        }
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        visit::visit_macro(self, called);
        self.scan(called.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        visit::visit_attribute(self, attribute);
        if let Meta::List(list) = &attribute.meta {
            self.scan(list.tokens.clone());
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let is_test = usize::from(item.content.is_some() && item.ident == "tests");
        self.module.push(item.ident.to_string());
        self.n_tests += is_test;
        visit::visit_item_mod(self, item);
        self.n_tests -= is_test;
        self.module.pop();
    }

    fn visit_expr_unsafe(&mut self, block: &'ast syn::ExprUnsafe) {
        self.add(vec!["unsafe".into()], block.span());
        visit::visit_expr_unsafe(self, block);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        if let syn::Safety::Unsafe(_) = signature.safety {
            self.add(vec!["unsafe".into()], signature.span());
        }
        visit::visit_signature(self, signature);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if item.unsafety.is_some() {
            self.add(vec!["unsafe".into()], item.span());
        }
        visit::visit_item_impl(self, item);
    }
}

/// Returns the layer that contains a name, counted from the bottom.
fn place(layers: &[&[&str]], name: &str) -> Option<usize> {
    layers.iter().position(|layer| layer.contains(&name))
}

/// Reads every file below `src/`, sorted by path.
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
