//! The self-test: texts with the scores that a model must give their labels, or it does not serve.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::batch::Batch;
use crate::encode::Encoder;
use crate::error::Error;
use crate::error::Result;
use crate::model::Forward;
use crate::model::Logits;
use crate::policy::Policy;
use crate::score::Scorer;
use crate::text::Limits;
use crate::text::Text;

/// The texts of `self_test.jsonl`.
#[derive(Debug, Default)]
pub(super) struct SelfTest {
    file: String,
    texts: Vec<TestText>,
}

/// A text with what it must score.
#[derive(Debug)]
struct TestText {
    text: String,
    scores: Vec<ExpectedScore>,
    tolerance: f64,
}

#[derive(Debug)]
struct ExpectedScore {
    name: String,
    labels: Vec<usize>, // one at least; the highest score counts
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
    /// Reads JSON lines with scores by label of the model; `file` is named in errors.
    ///
    /// Older files have scores by category: of the first of these policies that has all of them.
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
        let read = |(place, line): (usize, &str)| {
            let line: Line = serde_json::from_str(line).map_err(|cause| {
                fault("a text with its scores", format!("line {}: {cause}", place + 1))
            })?;
            Ok((place, line))
        };
        let lines = lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let lines: Vec<(usize, Line)> = lines.map(read).collect::<Result<_>>()?;
        let has_all = |policy: &&Policy| {
            let mut names = lines.iter().flat_map(|(_, line)| line.scores.keys());
            names.all(|name| policy.position(name).is_some())
        };
        let policy = policies.iter().find(has_all);
        let text = |(place, Line { text, scores, tolerance }): (usize, Line)| {
            let expected = |(name, score): (String, f64)| {
                let found = places(&name, labels, policy).ok_or_else(|| {
                    let expected = format!("labels of the model ({})", labels.join(", "));
                    fault(&expected, format!("line {}: {name:?}", place + 1))
                })?;
                Ok(ExpectedScore { name, labels: found, score })
            };
            let scores = scores.into_iter().map(expected).collect::<Result<_>>()?;
            Ok(TestText { text, scores, tolerance })
        };
        Ok(Self { file: file.into(), texts: lines.into_iter().map(text).collect::<Result<_>>()? })
    }

    /// Scores every text and holds it against what is expected.
    pub(super) fn check(
        &self,
        encoder: &Encoder,
        forward: &dyn Forward,
        scorer: &Scorer,
    ) -> Result<()> {
        let limits = Limits { max_texts: 1, max_chars: usize::MAX };
        for (place, TestText { text, scores, tolerance }) in self.texts.iter().enumerate() {
            let text = Text::new(place, text.clone(), &limits)?;
            let windows = encoder.encode(place, &text)?.windows;
            let Logits(logits) = forward.forward(&Batch::pack(&windows))?;
            let found = scorer.score(logits.view()).ok_or(Error::NonFinite { index: place })?;
            for ExpectedScore { name, labels, score } in scores {
                let of_labels = labels.iter().map(|&label| found.pooled.probabilities[label]);
                let found = of_labels.fold(0.0, f32::max);
                if (f64::from(found) - score).abs() > *tolerance {
                    return Err(Error::Artifact {
                        file: self.file.clone(),
                        expected: format!(
                            "{score} to within {tolerance} for {name} of text {}",
                            place + 1
                        ),
                        found: found.to_string(),
                    });
                }
            }
        }
        Ok(())
    }
}

/// The labels that a name stands for: those of a category of the policy, else the one of that name.
fn places(name: &str, labels: &[String], policy: Option<&Policy>) -> Option<Vec<usize>> {
    let place = |name: &str| labels.iter().position(|label| label == name);
    let category =
        policy.and_then(|policy| policy.categories.iter().find(|category| category.id == name));
    match category {
        Some(category) => category.labels.iter().map(|label| place(label)).collect(),
        None => Some(vec![place(name)?]),
    }
}
