//! Canaries: texts with the scores that a model must give them, or it does not serve.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::batch::Batch;
use crate::encode::Encoder;
use crate::error::Error;
use crate::error::Result;
use crate::model::Forward;
use crate::model::Logits;
use crate::score::Ruleset;
use crate::text::Limits;
use crate::text::Text;

/// The lines of `canaries.jsonl`.
#[derive(Debug, Default)]
pub(super) struct Canaries {
    file: String,
    all: Vec<Canary>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Canary {
    text: String,
    scores: BTreeMap<String, f64>, // by category id of the model's own policy
    tolerance: f64,
}

impl Canaries {
    /// Reads JSON lines; `file` is named in errors.
    pub(super) fn parse(file: &str, lines: &[u8]) -> Result<Self> {
        let fault = |expected: &str, found: String| Error::Artifact {
            file: file.into(),
            expected: expected.into(),
            found,
        };
        let lines =
            std::str::from_utf8(lines).map_err(|cause| fault("UTF-8", cause.to_string()))?;
        let read = |(place, line): (usize, &str)| {
            serde_json::from_str(line)
                .map_err(|cause| fault("a canary", format!("line {}: {cause}", place + 1)))
        };
        let lines = lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        Ok(Self { file: file.into(), all: lines.map(read).collect::<Result<_>>()? })
    }

    /// Scores every canary and holds it against what is expected.
    pub(super) fn check(
        &self,
        encoder: &Encoder,
        forward: &dyn Forward,
        ruleset: &Ruleset,
    ) -> Result<()> {
        let limits = Limits { max_texts: 1, max_chars: usize::MAX };
        for (place, canary) in self.all.iter().enumerate() {
            let text = Text::new(place, canary.text.clone(), &limits)?;
            let read = encoder.encode(place, &text)?;
            let Logits(logits) = forward.forward(&Batch::pack(&read.windows))?;
            let scores = ruleset.scorer.score(&logits.view());
            let scores = scores.ok_or(Error::NonFinite { index: place })?;
            for (id, &expected) in &canary.scores {
                let found = ruleset.policy.position(id).map(|category| scores.0[category]);
                let is_near = found
                    .is_some_and(|score| (f64::from(score) - expected).abs() <= canary.tolerance);
                if !is_near {
                    let found = found.map_or("no such category".into(), |score| score.to_string());
                    return Err(self.fault(place, id, expected, canary.tolerance, &found));
                }
            }
        }
        Ok(())
    }

    fn fault(&self, place: usize, id: &str, score: f64, tolerance: f64, found: &str) -> Error {
        Error::Artifact {
            file: self.file.clone(),
            expected: format!("{score} to within {tolerance} for {id} of canary {}", place + 1),
            found: found.into(),
        }
    }
}
