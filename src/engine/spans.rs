//! Finds the parts of texts that cause their violations, with one further request to the model.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::engine::instance::Engine;
use crate::engine::request_context::RequestContext;
use crate::engine::scored_input::ScoredInput;
use crate::error::Result;
use crate::score::Judgement;
use crate::score::Rules;
use crate::score::Span;
use crate::score::Verdict;
use crate::score::carriers;
use crate::score::sentences;
use crate::text::Input;
use crate::text::Limits;
use crate::text::Text;

/// The spans of one text, by the index of the category in the policy; categories that are not
/// violated have no entry.
pub type Spans = BTreeMap<usize, Vec<Span>>;

/// The inputs of a request with their scores, and the rules that judge them.
#[derive(Debug, Clone, Copy)]
pub struct SpanRequest<'a> {
    /// The inputs that were judged.
    pub inputs: &'a [Input],
    /// The scored inputs, in order.
    pub scored: &'a [ScoredInput],
    /// The rules of the request.
    pub rules: &'a Rules,
}

/// A window that violates at least one category, and its sentences.
struct FlaggedWindow<'a> {
    index: usize, // of the input
    input: &'a Input,
    bytes: &'a Range<usize>,
    verdict: Verdict, // on the window alone
    sentences: Vec<Range<usize>>,
}

impl Engine {
    /// Returns the parts of each input that cause its violations: whole sentences of the windows
    /// that violate a category, found by leaving out one at a time and scoring the rest.
    ///
    /// The shortened texts are scored in one further request of at most `span_tokens` tokens:
    /// neighbouring sentences are grouped until they fit, and where not even two groups per window
    /// fit, the whole window is the span.
    pub async fn locate(
        &self,
        request: SpanRequest<'_>,
        context: RequestContext<'_>,
    ) -> Result<Vec<Spans>> {
        let flagged = self.flagged(request);
        let occluded: Vec<_> = flagged.iter().flat_map(FlaggedWindow::occluded).collect();
        let scored = if occluded.is_empty() {
            Vec::new()
        } else {
            let origins = flagged.iter().map(|flagged| (flagged.index, flagged.n_occluded()));
            let origins: Vec<_> =
                origins.flat_map(|(index, n)| std::iter::repeat_n(index, n)).collect();
            let scored = self.score_uncounted(occluded, context).await;
            scored.map_err(|fault| fault.map_index(|index| origins[index]))?
        };
        let mut scored = scored.as_slice();
        let mut spans = vec![Spans::new(); request.inputs.len()];
        for flagged in &flagged {
            let (own, rest) = scored.split_at(flagged.n_occluded());
            let without = own.iter().map(|scored| request.rules.judge(&scored.scores.pooled));
            flagged.mark(&without.collect::<Vec<_>>(), &mut spans[flagged.index]);
            scored = rest;
        }
        for (spans, input) in spans.iter_mut().zip(request.inputs) {
            for spans in spans.values_mut() {
                merge(spans, input.judged().as_str());
            }
        }
        Ok(spans)
    }

    /// Returns the windows that violate a category, each split into as many sentences as the budget
    /// allows.
    fn flagged<'a>(
        &self,
        SpanRequest { inputs, scored, rules }: SpanRequest<'a>,
    ) -> Vec<FlaggedWindow<'a>> {
        let mut flagged = Vec::new();
        let mut n_tokens = 0;
        // Each part left out costs about as much as the window, twice if it is obfuscated.
        let window_tokens = self.card().max_window_tokens;
        for (index, (input, scored)) in std::iter::zip(inputs, scored).enumerate() {
            let windows = std::iter::zip(&scored.window_bytes, &scored.scores.windows);
            for (bytes, scores) in windows {
                let verdict = rules.judge(scores);
                if verdict.categories.iter().any(|category| category.judgement.violated) {
                    let times = if scored.normalised { 2 } else { 1 };
                    n_tokens += scored.n_tokens.min(window_tokens) * times;
                    flagged.push(FlaggedWindow {
                        index,
                        input,
                        bytes,
                        verdict,
                        sentences: Vec::new(),
                    });
                }
            }
        }
        // Cutting a text may add a few tokens.
        let budget = self.max_span_tokens() / 10 * 9;
        let most = (budget / n_tokens.max(1)).min(MAX_SENTENCES);
        for flagged in &mut flagged {
            let text = flagged.input.judged().as_str();
            let most = if most < 2 { 1 } else { most };
            flagged.sentences = sentences(text, flagged.bytes.clone(), most);
        }
        flagged
    }
}

impl FlaggedWindow<'_> {
    /// Returns the number of shortened texts: none for a single sentence, since nothing would be
    /// left.
    fn n_occluded(&self) -> usize {
        if self.sentences.len() < 2 { 0 } else { self.sentences.len() }
    }

    /// Returns the window without each of its sentences in turn.
    fn occluded(&self) -> Vec<Input> {
        let text = self.input.judged().as_str();
        let ends = self.sentences.first().zip(self.sentences.last());
        let bytes = ends.map_or(0..0, |(first, last)| first.start..last.end);
        let unlimited = Limits { max_texts: 1, max_chars: usize::MAX };
        let without = |sentence: &Range<usize>| {
            let left = [&text[bytes.start..sentence.start], &text[sentence.end..bytes.end]];
            // The rest contains another sentence, so it is not empty.
            let left = Text::new(0, left.concat(), &unlimited);
            self.input.with_judged(left.unwrap_or_else(|_| self.input.judged().clone()))
        };
        self.sentences[..self.n_occluded()].iter().map(without).collect()
    }

    /// Adds the spans of each category that the window violates; `without` is the verdict on the
    /// window without each of its sentences.
    fn mark(&self, without: &[Verdict], spans: &mut Spans) {
        let text = self.input.judged().as_str();
        for (index, category) in self.verdict.categories.iter().enumerate() {
            let Judgement { score, threshold, violated, .. } = category.judgement;
            if !violated {
                continue;
            }
            let without = without.iter().map(|verdict| verdict.categories[index].judgement.score);
            let carriers = carriers(score, &without.collect::<Vec<_>>(), threshold);
            let parts: Vec<_> = if carriers.is_empty() {
                vec![self.bytes.clone()]
            } else {
                carriers.iter().map(|&index| self.sentences[index].clone()).collect()
            };
            let parts = parts
                .into_iter()
                .map(|bytes| Span::new(text, bytes, score).with_clauses(&category.clauses));
            spans.entry(category.category).or_default().extend(parts);
        }
    }
}

/// Sorts spans and joins those that overlap or are separated only by white space.
fn merge(spans: &mut Vec<Span>, text: &str) {
    spans.sort_by_key(|span| span.bytes);
    let parts = std::mem::take(spans);
    for part in parts {
        match spans.last_mut() {
            Some(last) if are_adjacent(text, last, &part) => {
                *last = last.join(&part, text);
            }
            _ => spans.push(part),
        }
    }
}

fn are_adjacent(text: &str, one: &Span, next: &Span) -> bool {
    text.get(one.bytes[1]..next.bytes[0]).is_none_or(|between| between.trim().is_empty())
}

/// Beyond this number, neighbouring sentences are grouped: a finer answer is not worth the cost.
const MAX_SENTENCES: usize = 32;
