//! Runs of single letters with separators between them.

use std::ops::Range;

use super::super::glyphs::Glyph;
use super::is_letter;

/// Single letters with the same separator between them.
#[derive(Debug)]
pub(super) struct Run {
    /// The glyph indices of each word, without separators; no word is empty.
    pub(super) words: Vec<Vec<usize>>,
    /// Whether the gaps between words are wider than those between letters.
    pub(super) has_wide_gaps: bool,
    /// The glyph index after the run.
    pub(super) end: usize,
    separator: char,
}

impl Run {
    /// Returns the run that begins at a glyph index, if the run has three letters or more.
    pub(super) fn at(glyphs: &[Glyph], at: usize) -> Option<Self> {
        let before = at.checked_sub(1).map(|before| glyphs[before].letter);
        if before.is_some_and(char::is_alphanumeric) {
            return None;
        }
        let run = if before.is_none_or(char::is_whitespace) { spaced(glyphs, at) } else { None };
        let run = run.or_else(|| separated(glyphs, at))?;
        let places = || run.words.iter().flatten();
        let n_letters = places().filter(|&&place| is_letter(glyphs[place].letter)).count();
        (n_letters >= 3).then_some(run)
    }

    /// Returns whether any letter is an ASCII letter.
    pub(super) fn has_latin(&self, glyphs: &[Glyph]) -> bool {
        self.letters(glyphs).any(|letter| letter.is_ascii_alphabetic())
    }

    /// Returns whether the letters are consecutive in the alphabet or all the same: a b c, x x x.
    pub(super) fn is_enumeration(&self, glyphs: &[Glyph]) -> bool {
        let letters: Vec<u32> = self.letters(glyphs).map(|letter| letter as u32 | 32).collect();
        let has_step = |step| letters.windows(2).all(|pair| pair[0] + step == pair[1]);
        has_step(0) || has_step(1)
    }

    /// Returns whether the run is an abbreviation with full stops, like U.S.A. or a.k.a.
    pub(super) fn is_acronym(&self, glyphs: &[Glyph]) -> bool {
        let n_letters = self.letters(glyphs).count();
        let is_upper = self.letters(glyphs).all(char::is_uppercase);
        let is_stopped = glyphs.get(self.end).is_some_and(|glyph| glyph.letter == '.');
        let longest = match (is_upper, is_stopped) {
            (true, true) => 5,
            (true, false) | (false, true) => 3,
            (false, false) => 0,
        };
        self.separator == '.' && self.words.len() == 1 && n_letters <= longest
    }

    fn letters<'a>(&'a self, glyphs: &'a [Glyph]) -> impl Iterator<Item = char> + 'a {
        let letters = self.words.iter().flatten().map(|&place| glyphs[place].letter);
        letters.filter(|&letter| is_letter(letter))
    }
}

/// Returns the run of letters separated by white space, where wider white space separates words.
fn spaced(glyphs: &[Glyph], start: usize) -> Option<Run> {
    let mut run = Run { words: vec![vec![]], has_wide_gaps: false, end: start, separator: ' ' };
    let mut at = start;
    let mut n_marks = 0;
    while let Some(token) = Token::at(glyphs, at) {
        n_marks = if token.has_letter { 0 } else { n_marks + 1 };
        // These limits keep runs without letters short, and the search for the next run cheap.
        if n_marks > MAX_MARKS || (run.end == start && !token.has_letter) {
            break;
        }
        let is_new = run.words.last().is_some_and(|word| !word.is_empty());
        if token.opens && is_new {
            run.words.push(vec![]);
        }
        run.end = token.places.end;
        run.words.last_mut().expect("one is there from the start").extend(token.places);
        let n_gap = gap(glyphs, run.end);
        if n_gap == 0 {
            break;
        }
        let is_wide = n_gap > 1 || glyphs[run.end].letter == '\n';
        run.has_wide_gaps |= is_wide;
        if is_wide || token.closes {
            run.words.push(vec![]);
        }
        at = run.end + n_gap;
    }
    run.words.retain(|word| !word.is_empty());
    (run.words.iter().map(Vec::len).sum::<usize>() >= 3).then_some(run)
}

/// A single letter, perhaps with punctuation attached, or punctuation alone.
struct Token {
    places: Range<usize>,
    has_letter: bool,
    opens: bool,  // begins a word
    closes: bool, // ends a word
}

impl Token {
    fn at(glyphs: &[Glyph], start: usize) -> Option<Self> {
        let mut letters = glyphs[start..].iter().map(|glyph| glyph.letter);
        let n_glyphs =
            letters.by_ref().take(4).take_while(|letter| !letter.is_whitespace()).count();
        let places = start..start + n_glyphs;
        if !(1..=3).contains(&n_glyphs) {
            return None;
        }
        let token = &glyphs[places.clone()];
        let mut lettered = (0..n_glyphs).filter(|&place| is_letter(token[place].letter));
        let (first, second) = (lettered.next(), lettered.next());
        let letter = token[0].letter;
        let (opens, closes) = match (first, second) {
            (Some(_), Some(_)) => return None,
            (Some(place), None) => (place > 0, place + 1 < n_glyphs),
            // In the middle of a word, `!` stands for an i.
            (None, _) if letter == '!' && n_glyphs == 1 => (false, !is_followed(glyphs, start)),
            (None, _) if !token.iter().all(|glyph| is_prose(glyph.letter)) => return None,
            (None, _) => (false, n_glyphs > 1 || ",.;:?)".contains(letter)),
        };
        let has_letter = first.is_some();
        Some(Self { places, has_letter, opens, closes })
    }
}

/// Returns whether a character is a digit or a punctuation mark of prose, rather than of tables and
/// formulas.
fn is_prose(letter: char) -> bool {
    letter.is_numeric() || "'\u{2019}-,.;:?!)(\"".contains(letter)
}

/// Returns whether a letter follows after a single white-space character.
fn is_followed(glyphs: &[Glyph], at: usize) -> bool {
    gap(glyphs, at + 1) == 1 && glyphs.get(at + 2).is_some_and(|glyph| is_letter(glyph.letter))
}

/// Returns the run of letters separated by a punctuation mark, where white space separates words.
fn separated(glyphs: &[Glyph], start: usize) -> Option<Run> {
    let separator = glyphs.get(start + 1)?.letter;
    if !SEPARATORS.contains(&separator) {
        return None;
    }
    let mut run = Run { words: vec![], has_wide_gaps: false, end: start, separator };
    let mut at = start;
    loop {
        let word = separated_word(glyphs, at, separator);
        let Some(&last) = word.last() else {
            break;
        };
        run.has_wide_gaps |= !run.words.is_empty();
        run.end = last + 1;
        run.words.push(word);
        let n_gap = gap(glyphs, run.end);
        if n_gap == 0 {
            break;
        }
        at = run.end + n_gap;
    }
    (run.words.first()?.len() > 1 || run.words.len() > 1).then_some(run)
}

/// Returns the glyph indices of the letters of one word; none if the first two letters are not
/// separated.
fn separated_word(glyphs: &[Glyph], start: usize, separator: char) -> Vec<usize> {
    let is_letter_at = |place: usize| {
        glyphs.get(place).is_some_and(|glyph| is_letter(glyph.letter) && glyph.letter != separator)
    };
    let mut places = vec![];
    let mut at = start;
    while is_letter_at(at) && !is_letter_at(at + 1) {
        places.push(at);
        if glyphs.get(at + 1).is_none_or(|glyph| glyph.letter != separator) {
            break;
        }
        at += 2;
    }
    // A letter before another separator begins a new run.
    let follower = places.first().and_then(|place| glyphs.get(place + 1)).map(|glyph| glyph.letter);
    let is_other = follower.is_some_and(|next| next != separator && SEPARATORS.contains(&next));
    if is_other { vec![] } else { places }
}

/// Returns the number of white-space characters at an index; 0 if more than `MAX_GAP`, or if
/// nothing follows them.
fn gap(glyphs: &[Glyph], at: usize) -> usize {
    let letters = glyphs[at..].iter().take(MAX_GAP + 1);
    let n_gap = letters.take_while(|glyph| glyph.letter.is_whitespace()).count();
    if n_gap > MAX_GAP || at + n_gap == glyphs.len() { 0 } else { n_gap }
}

const SEPARATORS: [char; 8] = ['.', '-', '_', '*', '/', '~', '\u{b7}', '\u{2022}'];
/// Enough for three dots and a hyphen.
const MAX_MARKS: usize = 4;
/// Wider white space is page layout.
const MAX_GAP: usize = 8;
