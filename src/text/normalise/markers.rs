//! Noise between words: names of control tokens, and the same marker repeated.

mod marker;

use std::collections::HashMap;

use self::marker::Kind;
use self::marker::Marker;
use self::marker::find_markers;
use super::glyphs::Glyph;
use super::lexicon::Lexicon;
use crate::text::control::control_name_at;

/// Returns whether a text may have markers to drop; hardly any ordinary text may.
pub(super) fn are_likely(text: &str) -> bool {
    let bytes = text.as_bytes();
    let n_brackets = bytes.iter().filter(|byte| b"[<{(".contains(byte)).count();
    let names_control = || {
        let opens = text.match_indices(['[', '<']);
        opens.into_iter().any(|(at, _)| control_name_at(&text[at..]).is_some())
    };
    let n_alone = || text.split_whitespace().filter(|word| !word.contains(is_of_word)).count();
    let n_doubled = || bytes.windows(2).filter(|pair| marker::is_doubled(pair)).count();
    n_brackets >= MIN_MARKERS
        || n_alone() >= MIN_MARKERS
        || n_doubled() >= MIN_MARKERS
        || (n_brackets > 0 && names_control())
}

/// Drops the names of control tokens, and other markers that separate most words of a phrase.
pub(super) fn drop(glyphs: Vec<Glyph>, lexicon: &Lexicon, obfuscated: &mut bool) -> Vec<Glyph> {
    let markers = keep_noise(find_markers(&glyphs));
    if markers.is_empty() {
        return glyphs;
    }
    *obfuscated = true;
    let mut is_dropped = vec![false; glyphs.len()];
    for marker in &markers {
        is_dropped[marker.places.clone()].fill(true);
    }
    let text = MarkedText { glyphs: &glyphs, is_dropped: &is_dropped, lexicon };
    let mut kept = Vec::with_capacity(glyphs.len());
    let mut at = 0;
    for marker in &markers {
        kept.extend_from_slice(glyphs.get(at..marker.places.start).unwrap_or_default());
        at = at.max(marker.places.end) + text.close_up(&mut kept, marker);
    }
    kept.extend_from_slice(glyphs.get(at..).unwrap_or_default());
    kept
}

/// Returns the markers that are noise: names of control tokens, and markers of long enough runs.
fn keep_noise(markers: Vec<Marker>) -> Vec<Marker> {
    let mut runs: HashMap<String, Run> = HashMap::new();
    let mut is_noise = vec![false; markers.len()];
    for (place, marker) in markers.iter().enumerate() {
        if marker.kind == Kind::Control {
            is_noise[place] = true;
            continue;
        }
        let run = runs.entry(marker.key.clone()).or_default();
        if !run.reaches(marker) {
            run.close(&mut is_noise);
        }
        run.add(place, marker);
    }
    for mut run in runs.into_values() {
        run.close(&mut is_noise);
    }
    markers
        .into_iter()
        .zip(is_noise)
        .filter(|(_, is_noise)| *is_noise)
        .map(|(marker, _)| marker)
        .collect()
}

/// Repetitions of the same marker, with few words between them.
#[derive(Debug, Default)]
struct Run {
    places: Vec<usize>,
    last: usize,         // words before the last marker
    n_between: usize,    // markers with words on both sides; adjacent markers count once
    n_after_word: usize, // of these, those that follow a word, not a number or a single letter
    is_ordinary: bool,
}

impl Run {
    fn reaches(&self, marker: &Marker) -> bool {
        let longest = if marker.kind == Kind::Ordinary { 1 } else { MAX_WORDS };
        marker.n_words <= self.last + longest
    }

    fn add(&mut self, place: usize, marker: &Marker) {
        if marker.is_between && (self.n_between == 0 || marker.n_words > self.last) {
            let is_ordinary = marker.kind == Kind::Ordinary;
            self.n_between += 1;
            self.n_after_word += usize::from(marker.n_letters > usize::from(is_ordinary));
            self.is_ordinary |= is_ordinary;
        }
        self.places.push(place);
        self.last = marker.n_words;
    }

    /// Ends the run, and sets `is_noise` for its markers if the run was long enough.
    fn close(&mut self, is_noise: &mut [bool]) {
        let Self { places, n_between, n_after_word, is_ordinary, .. } = std::mem::take(self);
        let n_enough = if is_ordinary { MIN_ORDINARY } else { MIN_MARKERS };
        if n_between >= n_enough && 2 * n_after_word > n_between {
            for place in places {
                is_noise[place] = true;
            }
        }
    }
}

/// A text, and which of its glyphs are dropped.
struct MarkedText<'a> {
    glyphs: &'a [Glyph],
    is_dropped: &'a [bool],
    lexicon: &'a Lexicon,
}

impl MarkedText<'_> {
    /// Closes the gap that a marker leaves; returns how many glyphs after it are dropped too.
    fn close_up(&self, kept: &mut Vec<Glyph>, marker: &Marker) -> usize {
        let is_space = |glyph: &Glyph| glyph.letter.is_whitespace() && glyph.letter != '\n';
        let next = self.glyphs.get(marker.places.end);
        match (kept.last(), next) {
            (Some(before), None) if is_space(before) => {
                kept.pop();
                0
            }
            (None, Some(after)) if is_space(after) => 1,
            (Some(before), Some(after)) if before.letter.is_whitespace() => {
                usize::from(is_space(after))
            }
            (Some(before), Some(after))
                if is_of_word(before.letter) && is_of_word(after.letter) =>
            {
                if !self.is_within_word(marker) {
                    kept.push(Glyph::space_between(before, after));
                }
                0
            }
            _ => 0,
        }
    }

    /// Returns whether the letters around a marker, other markers left out, form a known word.
    fn is_within_word(&self, marker: &Marker) -> bool {
        let letter = |place: usize| (!self.is_dropped[place]).then(|| self.glyphs[place].letter);
        let nearby = |letters: &mut dyn Iterator<Item = Option<char>>| -> String {
            let letters = letters.take(MAX_WORD_GLYPHS).flatten();
            letters.take_while(|&letter| is_of_word(letter)).collect()
        };
        let left = nearby(&mut (0..marker.places.start).rev().map(letter));
        let right = nearby(&mut (marker.places.end..self.glyphs.len()).map(letter));
        let word: String = left.chars().rev().chain(right.chars()).collect();
        self.lexicon.knows(&word.to_lowercase())
    }
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric()
}

/// Two may be a pair of quotation marks or brackets.
const MIN_MARKERS: usize = 3;
/// The separators of ordinary lists and tables rarely form a run of five.
const MIN_ORDINARY: usize = 5;
/// Maximum number of words between two markers of a run.
const MAX_WORDS: usize = 2;
/// How far to look for the letters of one word, in glyphs.
const MAX_WORD_GLYPHS: usize = 64;
