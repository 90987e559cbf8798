//! `moderato score`: texts from the command line, or JSON lines from a file.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use crate::cli::ExitCode;
use crate::cli::args::OnError;
use crate::cli::args::ScoreArgs;
use crate::cli::bulk;
use crate::cli::bulk::InputFile;
use crate::cli::bulk::ScoredLine;
use crate::cli::config::EngineConfig;
use crate::cli::output;
use crate::cli::output::Output;
use crate::cli::record::Record;
use crate::cli::report::Report;
use crate::engine::Engine;
use crate::engine::ScoredInput;
use crate::error::Result;
use crate::metrics::Metrics;
use crate::model::HubSettings;
use crate::score::Rules;
use crate::text::Limits;
use crate::text::Text;

pub(super) async fn run(args: ScoreArgs, hub: HubSettings) -> Result<ExitCode> {
    if let (Some(input), Some(output)) = (&args.input, &args.output) {
        output::refuse_same_file(input, output)?;
    }
    let is_live = args.input.as_deref() == Some(Path::new("-"));
    // Opened before the output is truncated, so that a misspelt input path destroys no file.
    let input = args.input.as_deref().map(InputFile::open).transpose()?;
    let limits = Limits::for_lines(&args.limits);
    let config = EngineConfig::for_lines(args.model, &args.limits, hub)?;
    let engine = Arc::new(config.start(Arc::new(Metrics::new()))?);
    let mut output = Output::open(args.output.as_deref())?;
    output.flush_each_line = is_live;
    let rules = engine.rules(None)?.clone();
    let scorer = Scoring { rules, engine, result_key: args.result_key, clauses: args.clauses };
    let result = match input {
        Some(input) => scorer.file(input, limits, args.on_error, &mut output).await,
        None => scorer.texts(&args.texts, limits, &mut output).await,
    };
    // Results that precede an error are still written.
    let flushed = output.flush();
    result.and_then(|code| flushed.map(|()| code))
}

/// An engine, the rules to judge its scores by, and the output options.
struct Scoring {
    engine: Arc<Engine>,
    rules: Rules,
    result_key: Option<String>, // field of an output line that holds the report
    clauses: bool,
}

impl Scoring {
    /// Scores the texts of the command line; writes each as a table on a terminal, else as a line
    /// of JSON.
    async fn texts(
        self,
        raws: &[OsString],
        limits: Limits,
        output: &mut Output,
    ) -> Result<ExitCode> {
        limits.check_count(raws.len())?;
        // Invalid UTF-8 is replaced by U+FFFD.
        let raws: Vec<_> = raws.iter().map(|raw| raw.to_string_lossy()).collect();
        let text = |(index, raw): (usize, &Cow<'_, str>)| {
            Text::unless_blank(index, raw.to_string(), &limits)
        };
        // All texts are checked before the first one is scored.
        let texts: Vec<_> = raws.iter().enumerate().map(text).collect::<Result<_>>()?;
        for (index, (raw, text)) in raws.iter().zip(texts).enumerate() {
            let report = self.report(&bulk::score_text(text, &self.engine).await?);
            if output.is_terminal {
                output.line(heading(index, &report))?;
                output.line(table(&report))?;
            } else {
                output.json(&self.with_report(Record::from_text(raw), &report)?)?;
            }
        }
        Ok(ExitCode::Success)
    }

    /// Scores JSON lines and writes each with the fields of its report added.
    async fn file(
        self,
        input: InputFile,
        limits: Limits,
        on_error: OnError,
        output: &mut Output,
    ) -> Result<ExitCode> {
        let mut n_skipped = 0;
        let add = |(record, scored)| self.with_report(record, &self.report(&scored));
        let sink = |line: ScoredLine| match line.result.and_then(add) {
            Ok(record) => output.json(&record),
            Err(error) if on_error == OnError::Stop => Err(error.at_line(line.number)),
            Err(error) => {
                n_skipped += 1;
                tracing::warn!("skipped: {}", error.at_line(line.number).chain());
                Ok(())
            }
        };
        bulk::score_lines(Arc::clone(&self.engine), input, limits, sink).await?;
        if n_skipped > 0 {
            tracing::warn!(n_skipped, "some lines were not scored");
        }
        Ok(ExitCode::Success)
    }

    fn with_report(&self, mut record: Record, report: &Report) -> Result<Record> {
        record.add(report, self.result_key.as_deref())?;
        Ok(record)
    }

    fn report(&self, scored: &ScoredInput) -> Report {
        Report::new(scored, &self.rules, self.clauses)
    }
}

fn heading(index: usize, report: &Report) -> String {
    let Report { action, n_tokens, n_windows, .. } = report;
    let windows = if *n_windows == 1 { "window" } else { "windows" };
    format!("text {index}: {action} ({n_tokens} tokens in {n_windows} {windows})")
}

fn table(report: &Report) -> comfy_table::Table {
    let mut rows = Vec::new();
    for (id, category) in &report.categories.0 {
        let violated = if category.violated { "violated" } else { "" };
        let threshold = format!("{:.2}", category.threshold.value());
        rows.push(vec![id.clone(), format!("{:.4}", category.score), threshold, violated.into()]);
        for (clause, report) in category.clauses.iter().flat_map(|clauses| &clauses.0) {
            let score = format!("{:.4}", report.score);
            rows.push(vec![format!("  {clause}"), score, String::new(), String::new()]);
        }
    }
    output::table(&["category", "score", "threshold", ""], rows)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::cli::report::CategoryReport;
    use crate::cli::report::ClauseReport;
    use crate::json::OrderedMap;
    use crate::policy::Action;
    use crate::policy::Threshold;

    #[test]
    fn a_terminal_shows_a_heading_and_a_table() {
        let category = |score, violated, clauses| CategoryReport {
            score,
            threshold: Threshold::DEFAULT,
            violated,
            clauses,
        };
        let adverts = OrderedMap(vec![("adverts".into(), ClauseReport { score: 0.5 })]);
        let (spam, leak) = (category(0.625, true, Some(adverts)), category(0.25, false, None));
        let categories = OrderedMap(vec![("spam".into(), spam), ("leak".into(), leak)]);
        let report = Report {
            flagged: true,
            action: Action::Block,
            categories,
            n_tokens: 7,
            n_windows: 1,
            normalised: false,
            context_turns_used: None,
        };
        let shown = format!("{}\n{}", heading(0, &report), table(&report));
        assert_snapshot!(shown, @"
        text 0: block (7 tokens in 1 window)
        | category  |  score | threshold |          |
        |-----------|--------|-----------|----------|
        | spam      | 0.6250 |      0.50 | violated |
        |   adverts | 0.5000 |           |          |
        | leak      | 0.2500 |      0.50 |          |
        ");
    }
}
