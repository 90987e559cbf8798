//! The self-test: texts with expected label scores. A model that fails it is not served.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::batch::Batch;
use crate::error::Error;
use crate::error::Result;
use crate::model::Forward;
use crate::model::Logits;
use crate::policy::Policy;
use crate::score::Scorer;
use crate::text::Limits;
use crate::text::Text;
use crate::tokenize::Tokenizer;

/// The texts of `self_test.jsonl`.
#[derive(Debug, Default)]
pub(super) struct SelfTest {
    file: String,
    texts: Vec<TestText>,
}

/// A text with its expected scores.
#[derive(Debug)]
struct TestText {
    text: String,
    scores: Vec<ExpectedScore>,
    tolerance: f64,
}

#[derive(Debug)]
struct ExpectedScore {
    name: String,
    labels: Vec<usize>, // at least one; the highest score counts
    score: f64,
}

/// A line of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    text: String,
    scores: BTreeMap<String, f64>,
    tolerance: f64,
}

impl SelfTest {
    /// Parses JSON lines with scores by model label; `file` is named in errors.
    ///
    /// Older files give scores by category: those of the first policy in `policies` that has all of
    /// them.
    pub(super) fn parse(
        file: &str,
        lines: &[u8],
        labels: &[String],
        policies: &[Policy],
    ) -> Result<Self> {
        let fault = |expected: &str, found: String| Error::Artifact {
            file: file.into(),
            expected: expected.into(),
            found,
        };
        let lines =
            std::str::from_utf8(lines).map_err(|cause| fault("UTF-8", cause.to_string()))?;
        let read = |(index, line): (usize, &str)| {
            let line: Line = serde_json::from_str(line).map_err(|cause| {
                fault("a text with its scores", format!("line {}: {cause}", index + 1))
            })?;
            Ok((index, line))
        };
        let lines = lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let lines: Vec<(usize, Line)> = lines.map(read).collect::<Result<_>>()?;
        let has_all = |policy: &&Policy| {
            let mut names = lines.iter().flat_map(|(_, line)| line.scores.keys());
            names.all(|name| policy.position(name).is_some())
        };
        let policy = policies.iter().find(has_all);
        let text = |(index, Line { text, scores, tolerance }): (usize, Line)| {
            let expected = |(name, score): (String, f64)| {
                let found = indices(&name, labels, policy).ok_or_else(|| {
                    let expected = format!("labels of the model ({})", labels.join(", "));
                    fault(&expected, format!("line {}: {name:?}", index + 1))
                })?;
                Ok(ExpectedScore { name, labels: found, score })
            };
            let scores = scores.into_iter().map(expected).collect::<Result<_>>()?;
            Ok(TestText { text, scores, tolerance })
        };
        Ok(Self { file: file.into(), texts: lines.into_iter().map(text).collect::<Result<_>>()? })
    }

    /// Scores every text, and fails if a score differs from the expected one by more than the
    /// tolerance.
    pub(super) fn check(
        &self,
        tokenizer: &Tokenizer,
        forward: &dyn Forward,
        scorer: &Scorer,
    ) -> Result<()> {
        let limits = Limits { max_texts: 1, max_chars: usize::MAX };
        for (index, TestText { text, scores, tolerance }) in self.texts.iter().enumerate() {
            let text = Text::new(index, text.clone(), &limits)?;
            let windows = tokenizer.encode(index, &text)?.windows;
            let Logits(logits) = forward.forward(&Batch::pack(&windows))?;
            let found = scorer.score(logits.view()).ok_or(Error::NonFinite { index })?;
            for ExpectedScore { name, labels, score } in scores {
                let of_labels = labels.iter().map(|&label| found.pooled.probabilities[label]);
                let found = of_labels.fold(0.0, f32::max);
                if (f64::from(found) - score).abs() > *tolerance {
                    return Err(Error::Artifact {
                        file: self.file.clone(),
                        expected: format!(
                            "{score} to within {tolerance} for {name} of text {}",
                            index + 1
                        ),
                        found: found.to_string(),
                    });
                }
            }
        }
        Ok(())
    }
}

/// Returns the indices of the labels that a name stands for: those of the category with that id, or
/// else the label with that name. `None` if a label is unknown.
fn indices(name: &str, labels: &[String], policy: Option<&Policy>) -> Option<Vec<usize>> {
    let index = |name: &str| labels.iter().position(|label| label == name);
    let category =
        policy.and_then(|policy| policy.categories.iter().find(|category| category.id == name));
    match category {
        Some(category) => category.labels.iter().map(|label| index(label)).collect(),
        None => Some(vec![index(name)?]),
    }
}
