//! Which parts of the texts carry their violations: asked of the model once more, in one request.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::engine::Caller;
use crate::engine::Engine;
use crate::engine::Scored;
use crate::engine::ScoredWindow;
use crate::error::Result;
use crate::score::Ruleset;
use crate::score::Span;
use crate::score::Verdict;
use crate::score::carriers;
use crate::score::sentences;
use crate::text::Limits;
use crate::text::Subject;
use crate::text::Text;

/// The spans of one text, by the place of the category in the policy; none for what is not
/// violated.
pub type Spans = BTreeMap<usize, Vec<Span>>;

/// A subject with what has been found out about it.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// What was judged.
    pub subject: &'a Subject,
    /// Its scores.
    pub scored: &'a Scored,
    /// What the policy says of them.
    pub verdict: &'a Verdict,
}

/// A window that violates some category, and its sentences.
struct Suspect<'a> {
    index: usize, // of the subject
    window: &'a ScoredWindow,
    sentences: Vec<Range<usize>>,
}

impl Engine {
    /// For each subject the parts that carry its violations: whole sentences of the windows that
    /// violate a category, found by leaving out one at a time and scoring what is left.
    ///
    /// The texts that lack a sentence are scored in one further request of at most `span_tokens`
    /// tokens: sentences are taken together until they fit, and where not even two parts of each
    /// window fit, the whole window is the span.
    pub async fn locate(
        &self,
        ruleset: &Ruleset,
        judged: &[Judged<'_>],
        caller: Caller<'_>,
    ) -> Result<Vec<Spans>> {
        let suspects = self.suspects(judged);
        let occluded: Vec<_> =
            suspects.iter().flat_map(|suspect| suspect.occluded(judged)).collect();
        let scored = if occluded.is_empty() {
            Vec::new()
        } else {
            self.score_uncounted(&ruleset.scorer, occluded, caller).await?
        };
        let mut scored = scored.as_slice();
        let mut spans = vec![Spans::new(); judged.len()];
        for suspect in &suspects {
            let (own, rest) = scored.split_at(suspect.n_occluded());
            suspect.mark(judged, own, &mut spans[suspect.index]);
            scored = rest;
        }
        for (spans, judged) in spans.iter_mut().zip(judged) {
            for spans in spans.values_mut() {
                merge(spans, judged.subject.judged().as_str());
            }
        }
        Ok(spans)
    }

    /// The windows that violate a category, each with as many sentences as the budget allows.
    fn suspects<'a>(&self, judged: &[Judged<'a>]) -> Vec<Suspect<'a>> {
        let windows: Vec<_> = judged
            .iter()
            .enumerate()
            .flat_map(|(index, judged)| {
                let windows = judged.scored.windows.iter();
                windows.filter(|window| violates(judged.verdict, window)).map(move |w| (index, w))
            })
            .collect();
        // Each part left out costs about as much as the window, twice where it is disguised.
        let window_tokens = self.card().max_window_tokens;
        let tokens = |(index, _): &(usize, &ScoredWindow)| {
            let scored = judged[*index].scored;
            scored.n_tokens.min(window_tokens) * if scored.normalised { 2 } else { 1 }
        };
        let n_tokens: usize = windows.iter().map(tokens).sum();
        // Cuts may cost a token here and there.
        let budget =
            self.capacity.settings.span_tokens.min(self.capacity.settings.max_request_tokens) / 10
                * 9;
        let most = (budget / n_tokens.max(1)).min(MOST_SENTENCES);
        let suspect = |(index, window): (usize, &'a ScoredWindow)| {
            let text = judged[index].subject.judged().as_str();
            let most = if most < 2 { 1 } else { most };
            Suspect { index, window, sentences: sentences(text, window.bytes.clone(), most) }
        };
        windows.into_iter().map(suspect).collect()
    }
}

impl Suspect<'_> {
    /// Leaving out the only sentence would leave nothing.
    fn n_occluded(&self) -> usize {
        if self.sentences.len() < 2 { 0 } else { self.sentences.len() }
    }

    /// The window without each of its sentences.
    fn occluded(&self, judged: &[Judged<'_>]) -> Vec<Subject> {
        let subject = judged[self.index].subject;
        let text = subject.judged().as_str();
        let ends = self.sentences.first().zip(self.sentences.last());
        let bytes = ends.map_or(0..0, |(first, last)| first.start..last.end);
        let unlimited = Limits { max_texts: 1, max_chars: usize::MAX };
        let without = |sentence: &Range<usize>| {
            let left = [&text[bytes.start..sentence.start], &text[sentence.end..bytes.end]];
            // What is left holds another sentence, and so is not empty.
            let left = Text::new(0, left.concat(), &unlimited);
            subject.with_judged(left.unwrap_or_else(|_| subject.judged().clone()))
        };
        self.sentences[..self.n_occluded()].iter().map(without).collect()
    }

    /// Adds what carries each category that the window violates.
    fn mark(&self, judged: &[Judged<'_>], occluded: &[Scored], spans: &mut Spans) {
        let Judged { subject, verdict, .. } = judged[self.index];
        let text = subject.judged().as_str();
        for judgement in &verdict.categories {
            let score = self.window.scores.0[judgement.category];
            if !judgement.threshold.is_violated_by(score) {
                continue;
            }
            let without: Vec<_> =
                occluded.iter().map(|scored| scored.scores.0[judgement.category]).collect();
            let carriers = carriers(score, &without, judgement.threshold);
            let parts: Vec<_> = if carriers.is_empty() {
                vec![self.window.bytes.clone()]
            } else {
                carriers.iter().map(|&place| self.sentences[place].clone()).collect()
            };
            let parts = parts.into_iter().map(|bytes| Span::new(text, bytes, score));
            spans.entry(judgement.category).or_default().extend(parts);
        }
    }
}

fn violates(verdict: &Verdict, window: &ScoredWindow) -> bool {
    verdict
        .categories
        .iter()
        .any(|judgement| judgement.threshold.is_violated_by(window.scores.0[judgement.category]))
}

/// Puts spans in order and joins those that overlap or have nothing but white space between them.
fn merge(spans: &mut Vec<Span>, text: &str) {
    spans.sort_by_key(|span| span.bytes);
    let parts = std::mem::take(spans);
    for part in parts {
        match spans.last_mut() {
            Some(last) if touch(text, last, &part) => {
                let end = last.bytes[1].max(part.bytes[1]);
                *last = Span::new(text, last.bytes[0]..end, last.score.max(part.score));
            }
            _ => spans.push(part),
        }
    }
}

fn touch(text: &str, one: &Span, next: &Span) -> bool {
    text.get(one.bytes[1]..next.bytes[0]).is_none_or(|between| between.trim().is_empty())
}

/// Beyond, neighbouring sentences are taken together: a finer answer is not worth the work.
const MOST_SENTENCES: usize = 32;
