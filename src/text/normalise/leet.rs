//! Digits and signs that stand for letters.

use std::ops::Range;

use super::glyphs::Glyph;
use super::lexicon::Lexicon;

/// Replaces digits and signs by letters where that makes a known word.
pub(super) fn replace(glyphs: &mut [Glyph], lexicon: &Lexicon, disguised: &mut bool) {
    let mut finds = vec![];
    for token in tokens(glyphs) {
        if !is_address(&glyphs[token.clone()]) {
            finds.extend(words(glyphs, token).filter_map(|word| Find::of(glyphs, word, lexicon)));
        }
    }
    let n_sure = finds.iter().filter(|find| find.is_sure).count();
    // What may be an ordinary name or number is believed in the company of what may not.
    let is_company = 2 * n_sure > finds.len() - n_sure;
    for find in finds.into_iter().filter(|find| find.is_sure || is_company) {
        find.spell(glyphs);
        *disguised = true;
    }
}

/// The known word that one with digits and signs in it stands for, with as many letters.
pub(super) fn read(word: &str, lexicon: &Lexicon) -> Option<String> {
    let n_letters = word.chars().filter(char::is_ascii_alphabetic).count();
    if word.len() > MAX_BYTES || n_letters == 0 && !word.contains('@') {
        return None;
    }
    let options: Vec<&[u8]> = word.chars().map(stands_for).collect::<Option<_>>()?;
    let n_open = options.iter().filter(|letters| letters.len() > 1).count();
    let n_readings = 1 << n_open.min(MAX_OPEN);
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

/// The place of a word, of which only what stands before an apostrophe is looked up.
fn rank(word: &str, lexicon: &Lexicon) -> Option<usize> {
    match word.split_once('\'') {
        None => lexicon.rank(word),
        Some((stem, tail)) if tail.len() <= 2 => lexicon.rank(stem),
        Some(_) => None,
    }
}

/// A word with digits or signs in it, and what it reads.
struct Find {
    word: Range<usize>,
    reading: String,
    is_sure: bool,
}

impl Find {
    fn of(glyphs: &[Glyph], word: Range<usize>, lexicon: &Lexicon) -> Option<Self> {
        let raw: String = glyphs[word.clone()].iter().map(|glyph| straight(glyph.letter)).collect();
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
        let is_loud = glyphs.iter().any(|glyph| glyph.letter.is_ascii_uppercase())
            && !glyphs.iter().any(|glyph| glyph.letter.is_ascii_lowercase());
        for (glyph, letter) in glyphs.iter_mut().zip(self.reading.chars()) {
            let is_stand_in = straight(glyph.letter) != '\'' && !glyph.letter.is_alphabetic();
            if is_stand_in {
                glyph.letter = if is_loud { letter.to_ascii_uppercase() } else { letter };
            }
        }
    }
}

/// Whether no ordinary name, number or abbreviation is written like this.
fn is_sure(raw: &str, lexicon: &Lexicon) -> bool {
    let n_letters = raw.chars().filter(char::is_ascii_alphabetic).count();
    let core = raw.trim_matches(|letter: char| letter.is_ascii_digit() || "@!|+".contains(letter));
    let is_inside = !core.chars().all(|letter| letter.is_ascii_alphabetic() || letter == '\'');
    let has_thin = raw.contains(['|', '+']);
    match raw.chars().count() {
        0..=2 => false,
        3 => is_inside && n_letters > 1 && !has_thin && !raw.ends_with('$'), // US$
        // A name with a number behind it, a word with a number before it.
        _ => is_inside || (core.len() + 2 >= raw.len() && core.len() > 1 && !lexicon.knows(core)),
    }
}

/// A number with its unit or its ending: 10am, 4th, 70s.
fn is_quantity(raw: &str) -> bool {
    let unit = raw.trim_start_matches(|letter: char| letter.is_ascii_digit());
    unit.len() < raw.len() && UNITS.contains(&unit)
}

/// A word with the number of its inner letters in their place: a11y, i18n.
fn is_numeronym(raw: &str) -> bool {
    let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or("");
    inner.len() == 2 && inner.starts_with('1') && inner.bytes().all(|byte| byte.is_ascii_digit())
}

/// The letters a character may stand for, the likeliest first; itself, if it is one.
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

/// Whether a character is a digit or sign that may stand for a letter.
pub(super) fn is_stand_in(letter: char) -> bool {
    !letter.is_ascii_alphabetic() && letter != '\'' && stands_for(letter).is_some()
}

/// What stands between white space.
fn tokens(glyphs: &[Glyph]) -> impl Iterator<Item = Range<usize>> {
    ranges(glyphs, 0..glyphs.len(), |letter| !letter.is_whitespace())
}

/// The words of a token, without the signs that are rather marks of punctuation.
fn words(glyphs: &[Glyph], token: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let is_part =
        |letter: char| letter.is_alphanumeric() || straight(letter) == '\'' || is_stand_in(letter);
    ranges(glyphs, token, is_part).filter_map(|mut word| {
        let is_edge = |at: usize, signs: &str| signs.contains(straight(glyphs[at].letter));
        while !word.is_empty() && is_edge(word.end - 1, "'!|+") {
            word.end -= 1;
        }
        while !word.is_empty() && is_edge(word.start, "'+") {
            word.start += 1;
        }
        (2..=MAX_BYTES).contains(&word.len()).then_some(word)
    })
}

/// The longest ranges of glyphs that are all of a kind.
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

/// The apostrophe of typewriters for that of typesetters.
fn straight(letter: char) -> char {
    if letter == '\u{2019}' { '\'' } else { letter }
}

/// Whether a token is the address of a page, a file or a mailbox.
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
/// Beyond this many strokes that may be an i or an l, the rest are taken for what they look like.
const MAX_OPEN: usize = 4;
/// What ordinarily follows a number without a space.
const UNITS: &[&str] = &[
    "", "am", "b", "bn", "c", "cc", "cm", "d", "db", "e", "f", "ft", "g", "gb", "h", "hp", "hr",
    "hrs", "hz", "in", "k", "kb", "kg", "km", "ks", "l", "lb", "lbs", "m", "mb", "mg", "mi", "min",
    "mins", "ml", "mm", "mph", "ms", "nd", "nm", "oz", "p", "pm", "pt", "px", "rd", "s", "sec",
    "st", "t", "tb", "th", "v", "w", "x", "yo", "yr", "yrs",
];
