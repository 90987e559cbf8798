//! Which parts of the texts carry their violations: asked of the model once more, in one request.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::engine::instance::Engine;
use crate::engine::request_context::RequestContext;
use crate::engine::scored::Scored;
use crate::error::Result;
use crate::score::Judgement;
use crate::score::Rules;
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

/// The subjects of a request with their scores, and what they are judged by.
#[derive(Debug, Clone, Copy)]
pub struct SpanRequest<'a> {
    /// What was judged.
    pub subjects: &'a [Subject],
    /// The scores, in order.
    pub scored: &'a [Scored],
    /// The rules of the request.
    pub rules: &'a Rules,
}

/// A window that violates some category, and its sentences.
struct Suspect<'a> {
    index: usize, // of the subject
    subject: &'a Subject,
    bytes: &'a Range<usize>,
    verdict: Verdict, // on the window by itself
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
        request: SpanRequest<'_>,
        context: RequestContext<'_>,
    ) -> Result<Vec<Spans>> {
        let suspects = self.suspects(request);
        let occluded: Vec<_> = suspects.iter().flat_map(Suspect::occluded).collect();
        let scored = if occluded.is_empty() {
            Vec::new()
        } else {
            self.score_uncounted(occluded, context).await?
        };
        let mut scored = scored.as_slice();
        let mut spans = vec![Spans::new(); request.subjects.len()];
        for suspect in &suspects {
            let (own, rest) = scored.split_at(suspect.n_occluded());
            let without = own.iter().map(|scored| request.rules.judge(&scored.scores.pooled));
            suspect.mark(&without.collect::<Vec<_>>(), &mut spans[suspect.index]);
            scored = rest;
        }
        for (spans, subject) in spans.iter_mut().zip(request.subjects) {
            for spans in spans.values_mut() {
                merge(spans, subject.judged().as_str());
            }
        }
        Ok(spans)
    }

    /// The windows that violate a category, each with as many sentences as the budget allows.
    fn suspects<'a>(
        &self,
        SpanRequest { subjects, scored, rules }: SpanRequest<'a>,
    ) -> Vec<Suspect<'a>> {
        let mut suspects = Vec::new();
        let mut n_tokens = 0;
        // Each part left out costs about as much as the window, twice where it is disguised.
        let window_tokens = self.card().max_window_tokens;
        for (index, (subject, scored)) in std::iter::zip(subjects, scored).enumerate() {
            let windows = std::iter::zip(&scored.window_bytes, &scored.scores.windows);
            for (bytes, scores) in windows {
                let verdict = rules.judge(scores);
                if verdict.categories.iter().any(|category| category.judgement.violated) {
                    let times = if scored.normalised { 2 } else { 1 };
                    n_tokens += scored.n_tokens.min(window_tokens) * times;
                    suspects.push(Suspect {
                        index,
                        subject,
                        bytes,
                        verdict,
                        sentences: Vec::new(),
                    });
                }
            }
        }
        // Cuts may cost a token here and there.
        let budget = self.max_span_tokens() / 10 * 9;
        let most = (budget / n_tokens.max(1)).min(MOST_SENTENCES);
        for suspect in &mut suspects {
            let text = suspect.subject.judged().as_str();
            let most = if most < 2 { 1 } else { most };
            suspect.sentences = sentences(text, suspect.bytes.clone(), most);
        }
        suspects
    }
}

impl Suspect<'_> {
    /// Leaving out the only sentence would leave nothing.
    fn n_occluded(&self) -> usize {
        if self.sentences.len() < 2 { 0 } else { self.sentences.len() }
    }

    /// The window without each of its sentences.
    fn occluded(&self) -> Vec<Subject> {
        let text = self.subject.judged().as_str();
        let ends = self.sentences.first().zip(self.sentences.last());
        let bytes = ends.map_or(0..0, |(first, last)| first.start..last.end);
        let unlimited = Limits { max_texts: 1, max_chars: usize::MAX };
        let without = |sentence: &Range<usize>| {
            let left = [&text[bytes.start..sentence.start], &text[sentence.end..bytes.end]];
            // What is left holds another sentence, and so is not empty.
            let left = Text::new(0, left.concat(), &unlimited);
            self.subject.with_judged(left.unwrap_or_else(|_| self.subject.judged().clone()))
        };
        self.sentences[..self.n_occluded()].iter().map(without).collect()
    }

    /// Adds what carries each category that the window violates; `without` is what the rules say of
    /// the window without each of its sentences.
    fn mark(&self, without: &[Verdict], spans: &mut Spans) {
        let text = self.subject.judged().as_str();
        for (place, category) in self.verdict.categories.iter().enumerate() {
            let Judgement { score, threshold, violated, .. } = category.judgement;
            if !violated {
                continue;
            }
            let without = without.iter().map(|verdict| verdict.categories[place].judgement.score);
            let carriers = carriers(score, &without.collect::<Vec<_>>(), threshold);
            let parts: Vec<_> = if carriers.is_empty() {
                vec![self.bytes.clone()]
            } else {
                carriers.iter().map(|&place| self.sentences[place].clone()).collect()
            };
            let parts = parts
                .into_iter()
                .map(|bytes| Span::new(text, bytes, score).with_clauses(&category.clauses));
            spans.entry(category.category).or_default().extend(parts);
        }
    }
}

/// Puts spans in order and joins those that overlap or have nothing but white space between them.
fn merge(spans: &mut Vec<Span>, text: &str) {
    spans.sort_by_key(|span| span.bytes);
    let parts = std::mem::take(spans);
    for part in parts {
        match spans.last_mut() {
            Some(last) if touch(text, last, &part) => {
                *last = last.join(&part, text);
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
