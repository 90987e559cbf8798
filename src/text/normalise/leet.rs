//! Digits and symbols that stand for letters.

use std::ops::Range;

use super::glyphs::Glyph;
use super::lexicon::Lexicon;

/// Replaces digits and symbols by letters where that makes a known word.
pub(super) fn replace(glyphs: &mut [Glyph], lexicon: &Lexicon, obfuscated: &mut bool) {
    let mut candidates = vec![];
    for token in tokens(glyphs) {
        if !is_address(&glyphs[token.clone()]) {
            candidates.extend(
                words(glyphs, token).filter_map(|word| Candidate::new(glyphs, word, lexicon)),
            );
        }
    }
    let n_sure = candidates.iter().filter(|candidate| candidate.is_sure).count();
    // A candidate that may be an ordinary name or number counts only if enough candidates cannot be.
    let has_enough_sure = 2 * n_sure > candidates.len() - n_sure;
    for candidate in candidates.into_iter().filter(|candidate| candidate.is_sure || has_enough_sure)
    {
        candidate.spell(glyphs);
        *obfuscated = true;
    }
}

/// Returns the known word that a word with digits and symbols stands for, of the same length.
pub(super) fn read(word: &str, lexicon: &Lexicon) -> Option<String> {
    let n_letters = word.chars().filter(char::is_ascii_alphabetic).count();
    if word.len() > MAX_BYTES || n_letters == 0 && !word.contains('@') {
        return None;
    }
    let options: Vec<&[u8]> = word.chars().map(stands_for).collect::<Option<_>>()?;
    let n_ambiguous = options.iter().filter(|letters| letters.len() > 1).count();
    let n_readings = 1 << n_ambiguous.min(MAX_AMBIGUOUS);
    let reading = |choices: usize| {
        let mut bits = choices;
        let letters = options.iter().map(|letters| {
            let chosen = bits & usize::from(letters.len() > 1);
            bits >>= usize::from(letters.len() > 1);
            char::from(letters[chosen])
        });
        letters.collect::<String>()
    };
    let ranked = |word: String| rank(&word, lexicon).map(|rank| (rank, word));
    (0..n_readings).map(reading).filter_map(ranked).min().map(|(_, word)| word)
}

/// Returns the frequency rank of a word; only the part before an apostrophe is looked up.
fn rank(word: &str, lexicon: &Lexicon) -> Option<usize> {
    match word.split_once('\'') {
        None => lexicon.rank(word),
        Some((stem, tail)) if tail.len() <= 2 => lexicon.rank(stem),
        Some(_) => None,
    }
}

/// A word with digits or symbols, and the known word that it stands for.
struct Candidate {
    word: Range<usize>,
    reading: String,
    is_sure: bool,
}

impl Candidate {
    fn new(glyphs: &[Glyph], word: Range<usize>, lexicon: &Lexicon) -> Option<Self> {
        let raw: String =
            glyphs[word.clone()].iter().map(|glyph| ascii_apostrophe(glyph.letter)).collect();
        let raw = raw.to_ascii_lowercase();
        if raw.chars().all(|letter| letter.is_ascii_alphabetic() || letter == '\'') {
            return None;
        }
        if is_quantity(&raw) {
            return None;
        }
        let reading = read(&raw, lexicon)?;
        let is_sure = !is_numeronym(&raw) && is_sure(&raw, lexicon);
        Some(Self { word, reading, is_sure })
    }

    fn spell(self, glyphs: &mut [Glyph]) {
        let glyphs = &mut glyphs[self.word];
        let is_all_caps = glyphs.iter().any(|glyph| glyph.letter.is_ascii_uppercase())
            && !glyphs.iter().any(|glyph| glyph.letter.is_ascii_lowercase());
        for (glyph, letter) in glyphs.iter_mut().zip(self.reading.chars()) {
            let is_substitute =
                ascii_apostrophe(glyph.letter) != '\'' && !glyph.letter.is_alphabetic();
            if is_substitute {
                glyph.letter = if is_all_caps { letter.to_ascii_uppercase() } else { letter };
            }
        }
    }
}

/// Returns whether no ordinary name, number or abbreviation is written like `raw`.
fn is_sure(raw: &str, lexicon: &Lexicon) -> bool {
    let n_letters = raw.chars().filter(char::is_ascii_alphabetic).count();
    let core = raw.trim_matches(|letter: char| letter.is_ascii_digit() || "@!|+".contains(letter));
    let is_inside = !core.chars().all(|letter| letter.is_ascii_alphabetic() || letter == '\'');
    let has_thin = raw.contains(['|', '+']);
    match raw.chars().count() {
        0..=2 => false,
        3 => is_inside && n_letters > 1 && !has_thin && !raw.ends_with('$'), // US$
        // Not sure: a name followed by a number, a word preceded by a number.
        _ => is_inside || (core.len() + 2 >= raw.len() && core.len() > 1 && !lexicon.knows(core)),
    }
}

/// Returns whether a word is a number with a unit or a suffix: 10am, 4th, 70s.
fn is_quantity(raw: &str) -> bool {
    let unit = raw.trim_start_matches(|letter: char| letter.is_ascii_digit());
    unit.len() < raw.len() && UNITS.contains(&unit)
}

/// Returns whether a word has the number of its inner letters in their place: a11y, i18n.
fn is_numeronym(raw: &str) -> bool {
    let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or("");
    inner.len() == 2 && inner.starts_with('1') && inner.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns the letters that a character may stand for, the likeliest first; a letter stands for
/// itself.
fn stands_for(letter: char) -> Option<&'static [u8]> {
    Some(match letter {
        'a'..='z' => {
            let at = usize::from(letter as u8 - b'a');
            &ALPHABET[at..=at]
        }
        '0' => b"o",
        '1' | '!' => b"il",
        '|' => b"li",
        '3' | '€' => b"e",
        '4' | '@' => b"a",
        '5' | '$' => b"s",
        '7' | '+' => b"t",
        '8' => b"b",
        '9' => b"g",
        '\'' => b"'",
        _ => return None,
    })
}

/// Returns whether a character is a digit or symbol that may stand for a letter.
pub(super) fn is_substitute(letter: char) -> bool {
    !letter.is_ascii_alphabetic() && letter != '\'' && stands_for(letter).is_some()
}

/// Returns the tokens between white space, as ranges of glyphs.
fn tokens(glyphs: &[Glyph]) -> impl Iterator<Item = Range<usize>> {
    ranges(glyphs, 0..glyphs.len(), |letter| !letter.is_whitespace())
}

/// Returns the words of a token, without leading and trailing punctuation.
fn words(glyphs: &[Glyph], token: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let is_part = |letter: char| {
        letter.is_alphanumeric() || ascii_apostrophe(letter) == '\'' || is_substitute(letter)
    };
    ranges(glyphs, token, is_part).filter_map(|mut word| {
        let is_edge = |at: usize, signs: &str| signs.contains(ascii_apostrophe(glyphs[at].letter));
        while !word.is_empty() && is_edge(word.end - 1, "'!|+") {
            word.end -= 1;
        }
        while !word.is_empty() && is_edge(word.start, "'+") {
            word.start += 1;
        }
        (2..=MAX_BYTES).contains(&word.len()).then_some(word)
    })
}

/// Returns the maximal ranges of glyphs that all satisfy `is_part`.
fn ranges(
    glyphs: &[Glyph],
    within: Range<usize>,
    is_part: impl Fn(char) -> bool + Copy,
) -> impl Iterator<Item = Range<usize>> {
    let mut at = within.start;
    std::iter::from_fn(move || {
        let length = |from: usize, is_in: bool| {
            glyphs[from..within.end]
                .iter()
                .take_while(|glyph| is_part(glyph.letter) == is_in)
                .count()
        };
        let start = at + length(at, false);
        at = start + length(start, true);
        (start < at).then_some(start..at)
    })
}

/// Replaces the typographic apostrophe by the ASCII one.
fn ascii_apostrophe(letter: char) -> char {
    if letter == '\u{2019}' { '\'' } else { letter }
}

/// Returns whether a token is a URL, the address of a website or an email address.
fn is_address(token: &[Glyph]) -> bool {
    let at = |part: &str| {
        let part: Vec<char> = part.chars().collect();
        token.windows(part.len()).position(|window| {
            window.iter().zip(&part).all(|(glyph, &letter)| glyph.letter == letter)
        })
    };
    let has_host = || {
        let host = at("@").map_or(&[][..], |at| &token[at..]);
        host.windows(3).any(|glyphs| {
            glyphs[1].letter == '.'
                && glyphs[0].letter.is_alphanumeric()
                && glyphs[2].letter.is_alphanumeric()
        })
    };
    at("://").is_some() || at("www.").is_some() || has_host()
}

const ALPHABET: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";
/// The longest words of a vocabulary have about twenty letters.
const MAX_BYTES: usize = 24;
/// Maximum number of strokes in a word to try as both i and l; the rest are read as the likelier
/// letter.
const MAX_AMBIGUOUS: usize = 4;
/// Units and suffixes that ordinarily follow a number without a space.
const UNITS: &[&str] = &[
    "", "am", "b", "bn", "c", "cc", "cm", "d", "db", "e", "f", "ft", "g", "gb", "h", "hp", "hr",
    "hrs", "hz", "in", "k", "kb", "kg", "km", "ks", "l", "lb", "lbs", "m", "mb", "mg", "mi", "min",
    "mins", "ml", "mm", "mph", "ms", "nd", "nm", "oz", "p", "pm", "pt", "px", "rd", "s", "sec",
    "st", "t", "tb", "th", "v", "w", "x", "yo", "yr", "yrs",
];
