//! Normalisation of single characters: drops invisible characters and stacked combining marks, and
//! replaces ornamental letters by plain ones.

use std::ops::Range;

use unicode_normalization::char::compose;
use unicode_normalization::char::decompose_compatible;

/// A character of the normalised text and the byte range of the original that it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Glyph {
    pub(super) letter: char,
    pub(super) from: usize,
    pub(super) to: usize,
    ornamental: bool, // whether the original has an ornamental form of the letter
}

/// The byte offset of a character, and the character.
type IndexedChar = (usize, char);

impl Glyph {
    fn new((from, letter): IndexedChar) -> Self {
        Self { letter, from, to: from + letter.len_utf8(), ornamental: false }
    }

    /// Returns the same glyph with another letter.
    pub(super) fn with(self, letter: char) -> Self {
        Self { letter, ..self }
    }

    /// Returns a space in place of everything between two glyphs.
    pub(super) fn space_between(before: &Self, after: &Self) -> Self {
        Self { letter: ' ', from: before.to, to: after.from, ornamental: false }
    }
}

/// Converts a text to glyphs, and sets `obfuscated` if a word in the text was obfuscated.
pub(super) fn read(text: &str, obfuscated: &mut bool) -> Vec<Glyph> {
    let mut glyphs = Vec::with_capacity(text.len());
    let mut rest = text.char_indices().peekable();
    while let Some(placed) = rest.next() {
        let mut run = vec![];
        if is_invisible(placed.1) {
            run.push(placed);
            run.extend(std::iter::from_fn(|| rest.next_if(|next| is_invisible(next.1))));
            let next = rest.peek().map(|next| next.1);
            *obfuscated |= drop_invisible(&mut glyphs, &run, next);
        } else if is_combining_mark(placed.1) {
            run.push(placed);
            run.extend(std::iter::from_fn(|| rest.next_if(|next| is_combining_mark(next.1))));
            *obfuscated |= drop_stacked_marks(&mut glyphs, &run);
        } else if placed.1.is_ascii() {
            glyphs.push(Glyph::new(placed));
        } else {
            let is_paired = is_regional_indicator(placed.1)
                && (glyphs.last().is_some_and(|glyph| is_regional_indicator(glyph.letter))
                    || rest.peek().is_some_and(|next| is_regional_indicator(next.1)));
            push_plain(&mut glyphs, placed, is_paired);
        }
    }
    *obfuscated |= words(&glyphs).iter().any(|word| is_ornamental(&glyphs[word.clone()]));
    glyphs
}

/// Returns the words of letters, digits and combining marks, as ranges of glyphs.
pub(super) fn words(glyphs: &[Glyph]) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = vec![];
    for (at, glyph) in glyphs.iter().enumerate() {
        if !glyph.letter.is_alphanumeric() && !is_combining_mark(glyph.letter) {
            continue;
        }
        match words.last_mut() {
            Some(word) if word.end == at => word.end += 1,
            _ => words.push(at..at + 1),
        }
    }
    words
}

/// Returns whether a word is obfuscated by ornamental letters. Words of one or two letters are not:
/// ordinals, units, the letters of a formula.
fn is_ornamental(word: &[Glyph]) -> bool {
    let n_letters = word.iter().filter(|glyph| glyph.letter.is_alphabetic()).count();
    n_letters >= 3 && word.iter().any(|glyph| glyph.ornamental)
}

/// Drops invisible characters, except after an emoji or a letter of a script that needs them.
/// Returns whether the dropped characters obfuscated a word.
fn drop_invisible(glyphs: &mut Vec<Glyph>, run: &[IndexedChar], next: Option<char>) -> bool {
    let before = glyphs.last().map(|glyph| glyph.letter);
    if before.is_some_and(|before| !before.is_ascii() && !is_western(before)) {
        glyphs.extend(run.iter().map(|&placed| Glyph::new(placed)));
        return false;
    }
    let has_tag = run.iter().any(|placed| matches!(placed.1, '\u{e0000}'..='\u{e007f}'));
    has_tag || (before.is_some_and(is_western) && next.is_some_and(is_western))
}

/// Drops combining marks that no language puts on their letter, or on each other. Returns whether
/// marks were dropped from a letter.
fn drop_stacked_marks(glyphs: &mut Vec<Glyph>, run: &[IndexedChar]) -> bool {
    let mut is_stacked = false;
    if let Some(base) = glyphs.last_mut() {
        let mut composed = base.letter;
        let loose = |&&(_, mark): &&IndexedChar| match compose(composed, mark) {
            Some(accented) => {
                composed = accented;
                false
            }
            None => true,
        };
        let n_loose = run.iter().filter(loose).count();
        let is_struck = n_loose > 0 && run.iter().any(|&(_, mark)| is_overlay(mark));
        let is_letter = base.letter.is_alphabetic();
        // A mark that does not compose with an ASCII letter is ordinary only in other alphabets.
        let is_odd = n_loose > 0 && base.letter.is_ascii();
        is_stacked = n_loose > 1 || (is_letter && (is_struck || is_odd));
        is_stacked &= base.letter.is_ascii() || is_western(base.letter);
        if is_stacked {
            base.to = run.last().map_or(base.to, |&(from, mark)| from + mark.len_utf8());
            return is_letter;
        }
    }
    glyphs.extend(run.iter().map(|&placed| Glyph::new(placed)));
    is_stacked
}

/// Appends the ASCII characters that an ornamental character stands for, or the character itself.
fn push_plain(glyphs: &mut Vec<Glyph>, placed: IndexedChar, is_paired: bool) {
    let glyph = Glyph::new(placed);
    let letter = placed.1;
    let mut plain = String::new();
    match letter {
        // In ordinary language and typography these do not stand for the plain letter.
        '\u{80}'..='\u{24f}' if letter != '\u{17f}' && !letter.is_whitespace() => {}
        '\u{2070}' | '\u{2074}'..='\u{207e}' | '\u{2080}'..='\u{208e}' => {}
        // Negative circled and squared letters, which Unicode classes as symbols; and regional
        // indicators that are not part of a flag.
        '\u{1f150}'..='\u{1f189}' => plain.extend(look_alike(letter)),
        _ if is_regional_indicator(letter) && !is_paired => plain.extend(look_alike(letter)),
        _ if letter.is_whitespace() => plain.push(' '),
        _ => decompose_compatible(letter, |part| plain.push(part)),
    }
    let is_ligature = matches!(letter, '\u{fb00}'..='\u{fb06}');
    if plain.is_ascii() && (plain.len() == 1 || is_ligature) {
        let ornamental = plain.bytes().all(|byte| byte.is_ascii_alphabetic());
        glyphs.extend(plain.chars().map(|letter| Glyph { letter, ornamental, ..glyph }));
    } else {
        glyphs.push(glyph);
    }
}

/// Returns the ASCII letter or digit that a character of any script looks like.
pub(super) fn look_alike(letter: char) -> Option<char> {
    match decancer::cure_char!(letter) {
        decancer::Translation::Character(plain) if plain.is_ascii_alphanumeric() => {
            Some(if letter.is_uppercase() { plain.to_ascii_uppercase() } else { plain })
        }
        _ => None,
    }
}

/// Returns whether a character is invisible: a format character, a filler or a variation selector.
pub(super) fn is_invisible(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Returns whether a character is a combining mark that is used with letters of any script.
fn is_combining_mark(letter: char) -> bool {
    matches!(letter,
        '\u{300}'..='\u{34e}' | '\u{350}'..='\u{36f}' | '\u{483}'..='\u{489}'
        | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
        | '\u{fe20}'..='\u{fe2f}')
}

/// Returns whether a combining mark strikes out, underlines or encloses a letter.
fn is_overlay(mark: char) -> bool {
    matches!(mark, '\u{332}' | '\u{333}' | '\u{334}'..='\u{338}' | '\u{20d2}'..='\u{20f0}')
}

fn is_regional_indicator(letter: char) -> bool {
    matches!(letter, '\u{1f1e6}'..='\u{1f1ff}')
}

/// Returns whether a character is a letter or digit of a script that uses no joiners and separates
/// words by spaces.
fn is_western(letter: char) -> bool {
    letter.is_alphanumeric()
        && !matches!(letter,
            '\u{590}'..='\u{109f}' | '\u{1100}'..='\u{137f}' | '\u{1700}'..='\u{1cff}'
            | '\u{2e80}'..='\u{a4cf}' | '\u{a800}'..='\u{ab2f}' | '\u{abc0}'..='\u{d7ff}'
            | '\u{f900}'..='\u{faff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}'
            | '\u{ff66}'..='\u{ffdc}' | '\u{10800}'..='\u{1cfff}' | '\u{1e800}'..='\u{1efff}'
            | '\u{20000}'..='\u{3ffff}')
}

/// Returns whether a letter is of a script written without spaces, so that a foreign letter in a
/// word is no evidence of obfuscation.
pub(super) fn is_unspaced(letter: char) -> bool {
    letter.is_alphabetic() && !is_western(letter)
}
