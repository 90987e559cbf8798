//! Candidates for noise: words in brackets, and symbols by themselves.

use std::ops::Range;

use super::super::glyphs::Glyph;
use super::is_of_word;
use crate::text::is_control_name;

/// A short word in brackets, or symbols that stand alone.
#[derive(Debug)]
pub(super) struct Marker {
    pub(super) places: Range<usize>,
    /// The characters of the marker, in lower case.
    pub(super) key: String,
    pub(super) kind: Kind,
    /// Number of words before the marker.
    pub(super) n_words: usize,
    /// Number of letters in the word before the marker.
    pub(super) n_letters: usize,
    /// Whether the marker has text on both sides on its line, or on neither side. A marker in
    /// brackets is not between words if no word follows, or if it is attached to only one of the
    /// words beside it: `read()`, `<b>tea`.
    pub(super) is_between: bool,
}

/// How strong a marker is as evidence of obfuscation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The name of a control token.
    Control,
    /// Rare between the words of ordinary texts.
    Odd,
    /// Common in lists, tables and formulas.
    Ordinary,
}

/// Returns all markers of a text, in order.
pub(super) fn find_markers(glyphs: &[Glyph]) -> Vec<Marker> {
    let mut markers = vec![];
    let mut scan = Scan::default();
    let mut at = 0;
    while at < glyphs.len() {
        if let Some((end, kind)) = marker_at(glyphs, at) {
            markers.push(scan.marker(glyphs, at..end, kind));
            at = end;
        } else {
            scan.pass(glyphs[at].letter);
            at += 1;
        }
    }
    markers
}

/// The state of the scan: what precedes the current index.
#[derive(Debug, Default)]
struct Scan {
    n_words: usize,
    n_letters: usize, // of the last word
    is_in_word: bool,
    has_line: bool, // whether the current line has anything but white space so far
}

impl Scan {
    fn pass(&mut self, letter: char) {
        let is_of_word = is_of_word(letter);
        if is_of_word && !self.is_in_word {
            self.n_words += 1;
            self.n_letters = 0;
        }
        self.n_letters += usize::from(letter.is_alphabetic());
        self.is_in_word = is_of_word;
        self.has_line = letter != '\n' && (self.has_line || !letter.is_whitespace());
    }

    fn marker(&mut self, glyphs: &[Glyph], places: Range<usize>, kind: Kind) -> Marker {
        let letters = glyphs[places.clone()].iter().map(|glyph| glyph.letter);
        let key = letters.flat_map(char::to_lowercase).collect();
        let mut rest = glyphs[places.end..].iter().map(|glyph| glyph.letter);
        let next = rest.find(|&letter| letter == '\n' || !letter.is_whitespace());
        let goes_on = next.is_some_and(|letter| letter != '\n');
        let mut is_between = self.has_line == goes_on;
        if goes_on && is_closed(&glyphs[places.clone()]) {
            let is_glued = glyphs.get(places.end).is_some_and(|after| is_of_word(after.letter));
            is_between &= next.is_some_and(is_of_word) && is_glued == self.is_in_word;
        }
        self.is_in_word = false;
        self.has_line = true;
        let Self { n_words, n_letters, .. } = *self;
        Marker { places, key, kind, n_words, n_letters, is_between }
    }
}

/// Returns the end and the kind of the marker at an index, if there is one.
fn marker_at(glyphs: &[Glyph], at: usize) -> Option<(usize, Kind)> {
    let letter = glyphs[at].letter;
    if is_of_word(letter) || letter.is_whitespace() {
        return None;
    }
    bracketed(glyphs, at).or_else(|| signs(glyphs, at))
}

/// Returns the end and the kind of the short word in brackets at an index, if there is one.
fn bracketed(glyphs: &[Glyph], at: usize) -> Option<(usize, Kind)> {
    let close = closing(glyphs[at].letter)?;
    let within = glyphs[at + 1..].iter().take(MAX_NAME).map(|glyph| glyph.letter);
    let mut within =
        within.take_while(|letter| !letter.is_whitespace() && !"[<{(".contains(*letter));
    let n_within = within.position(|letter| letter == close)?;
    let end = at + n_within + 2;
    let word: String = glyphs[at..end].iter().map(|glyph| glyph.letter).collect();
    if is_control_name(&word) {
        return Some((end, Kind::Control));
    }
    let kind = if is_tag(&word) { Kind::Ordinary } else { Kind::Odd };
    (n_within <= MAX_LEN).then_some((end, kind))
}

/// Returns whether glyphs begin with an opening bracket and end with its closing bracket.
fn is_closed(glyphs: &[Glyph]) -> bool {
    let close = glyphs.first().and_then(|first| closing(first.letter));
    close.is_some() && close == glyphs.last().map(|last| last.letter)
}

fn closing(open: char) -> Option<char> {
    match open {
        '[' => Some(']'),
        '<' => Some('>'),
        '{' => Some('}'),
        '(' => Some(')'),
        _ => None,
    }
}

/// Returns whether a word is an HTML tag in angle brackets.
fn is_tag(word: &str) -> bool {
    let name = word.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    name.is_some_and(|name| {
        let name = name.trim_matches('/');
        TAGS.iter().any(|tag| name.eq_ignore_ascii_case(tag))
    })
}

/// Returns the end and the kind of symbols between white space, or of a doubled symbol within a
/// word.
fn signs(glyphs: &[Glyph], at: usize) -> Option<(usize, Kind)> {
    let is_sign = |letter: char| !is_of_word(letter) && !letter.is_whitespace();
    let before = at.checked_sub(1).map(|before| glyphs[before].letter);
    if before.is_some_and(is_sign) {
        return None;
    }
    let signs = glyphs[at..].iter().map(|glyph| glyph.letter).take(MAX_LEN + 1);
    let signs: String = signs.take_while(|&letter| is_sign(letter)).collect();
    let end = at + signs.chars().count();
    let after = glyphs.get(end).map(|glyph| glyph.letter);
    let stands_alone =
        before.is_none_or(char::is_whitespace) && after.is_none_or(char::is_whitespace);
    let is_within = before.is_some_and(is_of_word) && after.is_some_and(is_of_word);
    let is_mark = stands_alone || (is_within && is_doubled(signs.as_bytes()));
    let is_ordinary = ORDINARY.contains(&signs.as_str());
    let kind = if is_ordinary { Kind::Ordinary } else { Kind::Odd };
    (is_mark && end - at <= MAX_LEN).then_some((end, kind))
}

/// Returns whether bytes are the same symbol twice, a symbol not doubled in names and code.
pub(super) fn is_doubled(bytes: &[u8]) -> bool {
    matches!(bytes, [one, other] if one == other && b"#~%^@$".contains(one))
}

/// The longest names of control tokens in use have about thirty letters.
const MAX_NAME: usize = 32;
/// Longer markers carry meaning.
const MAX_LEN: usize = 8;
/// HTML tags that occur between words.
const TAGS: &[&str] = &[
    "a", "b", "br", "code", "dd", "div", "dt", "em", "hr", "i", "li", "ol", "p", "pre", "span",
    "strong", "sub", "sup", "td", "th", "tr", "u", "ul",
];
/// Symbols that occur between words in lists, tables, formulas and dialogues.
const ORDINARY: &[&str] = &[
    "-", "--", "\u{2013}", "\u{2014}", "\u{2022}", "\u{b7}", "|", "||", "/", "//", "\\", "&", "&&",
    "+", "=", "==", "*", "<", ">", ">>", "->", "=>", "\u{2192}", "\u{d7}", ".", "..", "...",
    "\u{2026}", ",", ":", "::", ";", "!", "?", "\"", "'", "~", "\u{ab}", "\u{bb}",
];
