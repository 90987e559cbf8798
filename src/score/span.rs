//! Finds the sentences that cause a violation, by leaving out one at a time.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use crate::policy::Threshold;
use crate::score::ClauseScore;

/// A part of a text that causes a violation.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Start and exclusive end, in bytes of the text in UTF-8.
    pub bytes: [usize; 2],
    /// Start and exclusive end, in characters (Unicode scalar values).
    pub chars: [usize; 2],
    /// The score of the window that contains the part, from 0 to 1.
    pub score: f32,
    /// The scores of clauses in the same window.
    pub clauses: Vec<ClauseScore>,
}

impl Span {
    /// Creates the span of `text` at `bytes`, without the surrounding white space.
    pub fn new(text: &str, bytes: Range<usize>, score: f32) -> Self {
        let Range { start, end } = whole_characters(text, bytes);
        let part = &text[start..end];
        let start = start + (part.len() - part.trim_start().len());
        let end = start + part.trim().len();
        let n_before = text[..start].chars().count();
        let n_chars = text[start..end].chars().count();
        let chars = [n_before, n_before + n_chars];
        Self { bytes: [start, end], chars, score, clauses: Vec::new() }
    }

    /// Returns the span with these scores of clauses.
    #[must_use]
    pub fn with_clauses(mut self, clauses: &[ClauseScore]) -> Self {
        self.clauses = clauses.to_vec();
        self
    }

    /// Merges this span with one that begins inside it or right after it, keeping the higher of the
    /// scores.
    #[must_use]
    pub fn join(&self, next: &Self, text: &str) -> Self {
        let end = self.bytes[1].max(next.bytes[1]);
        let mut clauses = self.clauses.clone();
        for (own, other) in clauses.iter_mut().zip(&next.clauses) {
            own.score = own.score.max(other.score);
        }
        let joined = Self::new(text, self.bytes[0]..end, self.score.max(next.score));
        Self { clauses, ..joined }
    }
}

/// Returns the byte ranges of the sentences in a part of a text, split by the Unicode rules (UAX
/// 29) and at line breaks; adjacent sentences are merged so that at most `most` remain.
pub fn sentences(text: &str, bytes: Range<usize>, most: usize) -> Vec<Range<usize>> {
    let bytes = whole_characters(text, bytes);
    let part = &text[bytes.clone()];
    let mut ends: Vec<_> = part
        .split_sentence_bound_indices()
        .filter(|(_, sentence)| !sentence.trim().is_empty())
        .map(|(start, sentence)| bytes.start + start + sentence.len())
        .collect();
    // White space at the very end belongs to the last sentence.
    if let Some(end) = ends.last_mut() {
        *end = bytes.end;
    }
    let n_together = ends.len().div_ceil(most.max(1)).max(1);
    let mut start = bytes.start;
    let group = |ends: &[usize]| {
        let end = ends.last().copied().unwrap_or(start);
        std::mem::replace(&mut start, end)..end
    };
    ends.chunks(n_together).map(group).collect()
}

/// Returns the indices of the sentences that cause a violation: `whole` is the score of all
/// sentences, `without` the scores with each one left out in turn.
///
/// A sentence counts if leaving it out lowers the score and either brings it below the threshold or
/// lowers the log-odds by at least half of the largest drop. Empty if no omission lowers the score:
/// then several sentences say the same.
pub fn carriers(whole: f32, without: &[f32], threshold: Threshold) -> Vec<usize> {
    let drops: Vec<_> = without.iter().map(|&score| log_odds(whole) - log_odds(score)).collect();
    let largest = drops.iter().copied().fold(0.0, f64::max);
    let carries = |index: &usize| {
        let (drop, is_needed) = (drops[*index], !threshold.is_violated_by(without[*index]));
        drop > 0.0 && (is_needed || drop >= largest * SHARE_OF_LARGEST)
    };
    (0..without.len()).filter(carries).collect()
}

/// Widens a byte range to character boundaries and clamps it to the text.
fn whole_characters(text: &str, bytes: Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(bytes.start);
    start..text.ceil_char_boundary(bytes.end).max(start)
}

fn log_odds(score: f32) -> f64 {
    // A score may have been rounded to 0 or 1, whose log-odds are infinite.
    let score = f64::from(score).clamp(1e-9, 1.0 - 1e-9);
    (score / (1.0 - score)).ln()
}

const SHARE_OF_LARGEST: f64 = 0.5;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(text: &str, most: usize) -> Vec<&str> {
        sentences(text, 0..text.len(), most).into_iter().map(|bytes| &text[bytes]).collect()
    }

    #[test]
    fn sentences_end_where_unicode_says_and_cover_everything() {
        let text = "Tea is ready.  Is it? Yes!\nGood ";
        assert_eq!(parts(text, 9), ["Tea is ready.  ", "Is it? ", "Yes!\n", "Good "]);
        assert_eq!(parts(text, 2), ["Tea is ready.  Is it? ", "Yes!\nGood "]);
        assert_eq!(parts("", 4), Vec::<&str>::new());
    }

    #[test]
    fn what_is_needed_and_what_weighs_most_carries() {
        let half = Threshold::DEFAULT;
        for (whole, without, expected) in [
            (0.9, vec![0.9, 0.1, 0.91], vec![1]),
            (0.9, vec![0.4, 0.3, 0.9], vec![0, 1]), // each is needed
            (0.99, vec![0.9, 0.8, 0.989], vec![0, 1]), // either would do
            (0.9, vec![0.9, 0.95], vec![]),
            (1.0, vec![1.0, 0.0], vec![1]),
        ] {
            assert_eq!(carriers(whole, &without, half), expected, "{whole} and {without:?}");
        }
    }

    #[test]
    fn a_span_counts_bytes_and_characters_without_the_space_around() {
        let text = "Où ? Là. Ça";
        let span = Span::new(text, 5..text.len(), 0.5);
        assert_eq!((span.bytes, span.chars), ([6, 14], [5, 11]));
        assert_eq!(&text[span.bytes[0]..span.bytes[1]], "Là. Ça");
    }

    #[test]
    fn joined_spans_reach_from_the_first_to_the_last_with_the_highest_scores() {
        let text = "Tea. Cake. Jam.";
        let clauses = |scores: [f32; 2]| {
            std::iter::zip([0, 2], scores).map(|(clause, score)| ClauseScore { clause, score })
        };
        let span = |bytes, score, scores| {
            Span::new(text, bytes, score).with_clauses(&clauses(scores).collect::<Vec<_>>())
        };
        let whole = span(0..10, 0.6, [0.1, 0.9]).join(&span(5..9, 0.7, [0.3, 0.2]), text);
        assert_eq!((whole.bytes, whole.chars), ([0, 10], [0, 10]), "the second lies in the first");
        assert!((whole.score - 0.7).abs() < f32::EPSILON);
        assert_eq!(whole.clauses, clauses([0.3, 0.9]).collect::<Vec<_>>());
        assert_eq!(
            span(0..4, 0.6, [0.0; 2]).join(&span(5..10, 0.6, [0.0; 2]), text).bytes,
            [0, 10]
        );
    }

    proptest! {
        #[test]
        fn any_text_is_covered_in_order(text in "\\PC{0,60}", most in 1_usize..6) {
            let found = sentences(&text, 0..text.len(), most);
            prop_assert!(found.len() <= most);
            let beyond = sentences(&text, 1..text.len() + 9, most);
            prop_assert!(beyond.iter().all(|bytes| text.get(bytes.clone()).is_some()));
            let whole: String = found.iter().map(|bytes| &text[bytes.clone()]).collect();
            if !text.trim().is_empty() {
                prop_assert_eq!(whole, text);
            }
        }
    }
}
