//! `moderato evaluate`: measures the quality of the scores on labelled texts.

use std::collections::HashMap;
use std::sync::Arc;

use ndarray::Array2;
use serde::Serialize;
use serde_json::Value;

use crate::cli::ExitCode;
use crate::cli::args::EvaluateArgs;
use crate::cli::bulk;
use crate::cli::bulk::InputFile;
use crate::cli::bulk::ScoredLine;
use crate::cli::config::EngineConfig;
use crate::cli::output;
use crate::cli::output::Output;
use crate::cli::record::Record;
use crate::engine::ScoredInput;
use crate::error::Error;
use crate::error::Result;
use crate::evaluate;
use crate::evaluate::CategoryReport;
use crate::evaluate::Evaluation;
use crate::evaluate::Labelled;
use crate::evaluate::MacroAverage;
use crate::json;
use crate::json::OrderedMap;
use crate::metrics::Metrics;
use crate::model::HubSettings;
use crate::policy::Category;
use crate::policy::Policy;
use crate::text::Limits;

pub(super) async fn run(args: EvaluateArgs, hub: HubSettings) -> Result<ExitCode> {
    let input = InputFile::open(&args.input)?;
    let limits = Limits::for_lines(&args.limits);
    let config = EngineConfig::for_lines(args.model, &args.limits, hub)?;
    let engine = Arc::new(config.start(Arc::new(Metrics::new()))?);
    let rules = engine.rules(None)?.clone();
    let columns = Columns { policy: rules.policy(), labels: &engine.card().labels.clone() };
    let mut rows = Rows { n_columns: columns.policy.categories.len(), ..Rows::default() };
    let sink = |line: ScoredLine| {
        let number = line.number;
        let add = |(record, scored): (Record, ScoredInput)| {
            let labels = columns.read_labels(&record)?;
            if args.max_windows.is_some_and(|max| scored.n_windows() > max) {
                rows.n_left_out += 1;
                return Ok(());
            }
            let verdict = rules.judge(&scored.scores.pooled);
            rows.scores.extend(verdict.categories.iter().map(|it| it.judgement.score));
            rows.labels.extend(labels);
            Ok(())
        };
        line.result.and_then(add).map_err(|error| error.at_line(number))
    };
    let model = engine.card().reference();
    bulk::score_lines(engine, input, limits, sink).await?;
    let summary = rows.evaluate(rules.policy(), model)?;
    let mut output = Output::stdout();
    if args.json {
        output.json(&summary)?;
    } else {
        summary.show(&mut output)?;
    }
    output.flush()?;
    Ok(ExitCode::Success)
}

/// The scores and labels of all texts in row-major order: (text, category).
#[derive(Default)]
struct Rows {
    n_columns: usize,
    scores: Vec<f32>,
    labels: Vec<Option<bool>>,
    n_left_out: usize,
}

/// The quality metrics, with the model and the policy that they apply to.
#[derive(Serialize)]
struct Summary {
    model: String,
    policy: String,
    n_texts: usize,
    n_left_out: usize,
    categories: OrderedMap<CategoryReport>,
    macro_average: MacroAverage,
    any_category: CategoryReport,
}

impl Rows {
    fn evaluate(self, policy: &Policy, model: String) -> Result<Summary> {
        let n_texts = self.scores.len() / self.n_columns;
        let shape = (n_texts, self.n_columns);
        let scores = Array2::from_shape_vec(shape, self.scores);
        let labels = Array2::from_shape_vec(shape, self.labels);
        let thresholds: Vec<_> =
            policy.categories.iter().map(|category| category.threshold).collect();
        let (scores, labels) =
            (scores.map_err(|_| Error::NoTexts)?, labels.map_err(|_| Error::NoTexts)?);
        let labelled =
            Labelled::new(scores.view(), labels.view(), &thresholds).ok_or(Error::NoTexts)?;
        if n_texts == 0 {
            return Err(Error::NoTexts);
        }
        let Evaluation { categories, macro_average, any_category } = evaluate::evaluate(&labelled);
        Ok(Summary {
            model,
            policy: policy.reference(),
            n_texts,
            n_left_out: self.n_left_out,
            categories: OrderedMap(policy.ids().into_iter().zip(categories).collect()),
            macro_average,
            any_category,
        })
    }
}

impl Summary {
    fn show(&self, output: &mut Output) -> Result<()> {
        let Self { model, policy, n_texts, n_left_out, .. } = self;
        output.line(format_args!("{n_texts} texts, {n_left_out} left out; {model}, {policy}"))?;
        let mut rows: Vec<_> =
            self.categories.0.iter().map(|(id, report)| row(id, report)).collect();
        rows.push(macro_row(&self.macro_average));
        rows.push(row("any category", &self.any_category));
        output.line(output::table(HEADER, rows))
    }
}

const HEADER: &[&str] = &[
    "category",
    "texts",
    "positive",
    "AUPRC",
    "ROC AUC",
    "threshold",
    "precision",
    "recall",
    "F1",
    "best F1",
    "at",
    "recall@1%FPR",
    "ECE",
];

fn row(name: &str, report: &CategoryReport) -> Vec<String> {
    vec![
        name.into(),
        report.n_texts.to_string(),
        report.n_positives.to_string(),
        figure(report.average_precision),
        figure(report.roc_auc),
        report
            .threshold
            .map_or_else(|| "own".into(), |threshold| format!("{:.2}", threshold.value())),
        figure(report.precision),
        figure(report.recall),
        figure(report.f1),
        figure(report.best_f1),
        figure(report.best_threshold),
        figure(report.recall_at_1pct_fpr),
        figure(report.expected_calibration_error),
    ]
}

fn macro_row(average: &MacroAverage) -> Vec<String> {
    vec![
        "macro".into(),
        String::new(),
        String::new(),
        figure(average.average_precision.value),
        figure(average.roc_auc.value),
        String::new(),
        figure(average.precision.value),
        figure(average.recall.value),
        figure(average.f1.value),
        figure(average.best_f1.value),
        String::new(),
        figure(average.recall_at_1pct_fpr.value),
        figure(average.expected_calibration_error.value),
    ]
}

/// Formats a quality metric; an undefined one is a dash, not a zero.
fn figure(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.4}"))
}

/// The names that the labels of a line may use.
#[derive(Clone, Copy)]
struct Columns<'a> {
    policy: &'a Policy,
    labels: &'a [String], // of the model
}

impl Columns<'_> {
    /// Returns the label of each category, in the order of the policy; `None` where the line has
    /// none.
    ///
    /// A line uses either categories of the policy or labels of the model. With labels of the
    /// model, a category is true if any of its labels is true, false if all are false, and unknown
    /// otherwise.
    fn read_labels(&self, record: &Record) -> Result<Vec<Option<bool>>> {
        let value = record.require("labels")?;
        let Value::Object(entries) = value else {
            return Err(json::invalid("labels", "an object", &value));
        };
        let mut known = HashMap::new();
        for (name, value) in entries {
            let label = read_label(&format!("labels.{name}"), &value)?;
            known.insert(name, label);
        }
        let of = |name: &String| known.get(name).copied().flatten();
        let of_labels = |category: &Category| any_of(category.labels.iter().map(of));
        let categories = &self.policy.categories;
        let is_category = |name: &String| self.policy.position(name).is_some();
        if known.keys().all(is_category) {
            Ok(categories.iter().map(|category| of(&category.id)).collect())
        } else if known.keys().all(|name| self.labels.contains(name)) {
            Ok(categories.iter().map(of_labels).collect())
        } else {
            Err(self.unknown(known.into_keys().collect()))
        }
    }

    /// Creates the error for names that are neither all categories nor all labels.
    fn unknown(&self, mut unknown: Vec<String>) -> Error {
        let mut known = self.policy.ids();
        unknown.retain(|name| !known.contains(name));
        unknown.sort();
        if unknown.iter().all(|name| self.labels.contains(name)) {
            let expected = "categories of the policy only, or labels of the model only".into();
            return Error::InvalidValue { param: "labels".into(), expected };
        }
        unknown.retain(|name| !self.labels.contains(name));
        known
            .extend(self.labels.iter().filter(|label| !self.policy.ids().contains(label)).cloned());
        Error::UnknownCategories { param: "labels", unknown, known }
    }
}

/// Returns whether any label is true; `None` if that depends on unknown labels.
fn any_of(labels: impl Iterator<Item = Option<bool>> + Clone) -> Option<bool> {
    let is_any_true = labels.clone().any(|label| label == Some(true));
    let are_all_known = labels.clone().all(|label| label.is_some());
    (is_any_true || are_all_known).then_some(is_any_true)
}

/// Parses a label given as a number, a boolean or a string; `None` if it is null.
fn read_label(param: &str, value: &Value) -> Result<Option<bool>> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(label) => Ok(Some(*label)),
        Value::Number(number) if number.as_f64() == Some(1.0) => Ok(Some(true)),
        Value::Number(number) if number.as_f64() == Some(0.0) => Ok(Some(false)),
        Value::String(digit) if digit == "1" => Ok(Some(true)),
        Value::String(digit) if digit == "0" => Ok(Some(false)),
        _ => Err(json::invalid(param, r#"1, 0, true, false, "1", "0" or null"#, value)),
    }
}
