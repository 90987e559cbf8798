//! Characters one by one: invisible ones and heaps of marks dropped, ornamental letters made plain.

use std::ops::Range;

use unicode_normalization::char::compose;
use unicode_normalization::char::decompose_compatible;

/// A character of the plain text and the bytes of the original that it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Glyph {
    pub(super) letter: char,
    pub(super) from: usize,
    pub(super) to: usize,
    ornamental: bool, // whether it was another letter in the original
}

/// A character and the byte at which it begins.
type Placed = (usize, char);

impl Glyph {
    fn new((from, letter): Placed) -> Self {
        Self { letter, from, to: from + letter.len_utf8(), ornamental: false }
    }

    /// The same place with another letter.
    pub(super) fn with(self, letter: char) -> Self {
        Self { letter, ..self }
    }

    /// A space in place of what stands between two others.
    pub(super) fn space_between(before: &Self, after: &Self) -> Self {
        Self { letter: ' ', from: before.to, to: after.from, ornamental: false }
    }
}

/// Reads a text, and reports whether a word in it was disguised.
pub(super) fn read(text: &str, disguised: &mut bool) -> Vec<Glyph> {
    let mut glyphs = Vec::with_capacity(text.len());
    let mut rest = text.char_indices().peekable();
    while let Some(placed) = rest.next() {
        let mut run = vec![];
        if is_invisible(placed.1) {
            run.push(placed);
            run.extend(std::iter::from_fn(|| rest.next_if(|next| is_invisible(next.1))));
            let next = rest.peek().map(|next| next.1);
            *disguised |= drop_invisible(&mut glyphs, &run, next);
        } else if is_mark(placed.1) {
            run.push(placed);
            run.extend(std::iter::from_fn(|| rest.next_if(|next| is_mark(next.1))));
            *disguised |= drop_heap(&mut glyphs, &run);
        } else if placed.1.is_ascii() {
            glyphs.push(Glyph::new(placed));
        } else {
            let is_paired = is_flag_letter(placed.1)
                && (glyphs.last().is_some_and(|glyph| is_flag_letter(glyph.letter))
                    || rest.peek().is_some_and(|next| is_flag_letter(next.1)));
            unadorn(&mut glyphs, placed, is_paired);
        }
    }
    *disguised |= words(&glyphs).iter().any(|word| is_ornamental(&glyphs[word.clone()]));
    glyphs
}

/// The words of letters, digits and marks, as ranges of glyphs.
pub(super) fn words(glyphs: &[Glyph]) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = vec![];
    for (at, glyph) in glyphs.iter().enumerate() {
        if !glyph.letter.is_alphanumeric() && !is_mark(glyph.letter) {
            continue;
        }
        match words.last_mut() {
            Some(word) if word.end == at => word.end += 1,
            _ => words.push(at..at + 1),
        }
    }
    words
}

/// Ordinary texts have ornaments too: ordinals, units, the letters of a formula.
fn is_ornamental(word: &[Glyph]) -> bool {
    let n_letters = word.iter().filter(|glyph| glyph.letter.is_alphabetic()).count();
    n_letters >= 3 && word.iter().any(|glyph| glyph.ornamental)
}

/// Drops invisible characters, unless they join those of an emoji or of a script that needs them.
fn drop_invisible(glyphs: &mut Vec<Glyph>, run: &[Placed], next: Option<char>) -> bool {
    let before = glyphs.last().map(|glyph| glyph.letter);
    if before.is_some_and(|before| !before.is_ascii() && !is_western(before)) {
        glyphs.extend(run.iter().map(|&placed| Glyph::new(placed)));
        return false;
    }
    let has_tag = run.iter().any(|placed| matches!(placed.1, '\u{e0000}'..='\u{e007f}'));
    has_tag || (before.is_some_and(is_western) && next.is_some_and(is_western))
}

/// Drops marks that no language puts upon their letter, or upon each other.
fn drop_heap(glyphs: &mut Vec<Glyph>, run: &[Placed]) -> bool {
    let mut is_heap = false;
    if let Some(base) = glyphs.last_mut() {
        let mut composed = base.letter;
        let loose = |&&(_, mark): &&Placed| match compose(composed, mark) {
            Some(accented) => {
                composed = accented;
                false
            }
            None => true,
        };
        let n_loose = run.iter().filter(loose).count();
        let is_struck = n_loose > 0 && run.iter().any(|&(_, mark)| is_overlay(mark));
        let is_letter = base.letter.is_alphabetic();
        // Marks the Latin alphabet has no use for stand alone only in other alphabets.
        let is_odd = n_loose > 0 && base.letter.is_ascii();
        is_heap = n_loose > 1 || (is_letter && (is_struck || is_odd));
        is_heap &= base.letter.is_ascii() || is_western(base.letter);
        if is_heap {
            base.to = run.last().map_or(base.to, |&(from, mark)| from + mark.len_utf8());
            return is_letter;
        }
    }
    glyphs.extend(run.iter().map(|&placed| Glyph::new(placed)));
    is_heap
}

/// Puts a character down as the ASCII ones it is an ornamental form of, if it is.
fn unadorn(glyphs: &mut Vec<Glyph>, placed: Placed, is_paired: bool) {
    let glyph = Glyph::new(placed);
    let letter = placed.1;
    let mut plain = String::new();
    match letter {
        // What a language or a typesetter means by them is not the plain letter.
        '\u{80}'..='\u{24f}' if letter != '\u{17f}' && !letter.is_whitespace() => {}
        '\u{2070}' | '\u{2074}'..='\u{207e}' | '\u{2080}'..='\u{208e}' => {}
        // White on black, which Unicode takes for symbols; and the letters that flags are made of.
        '\u{1f150}'..='\u{1f189}' => plain.extend(look_alike(letter)),
        _ if is_flag_letter(letter) && !is_paired => plain.extend(look_alike(letter)),
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

/// The ASCII letter or digit that a character looks like, whatever its script.
pub(super) fn look_alike(letter: char) -> Option<char> {
    match decancer::cure_char!(letter) {
        decancer::Translation::Character(plain) if plain.is_ascii_alphanumeric() => {
            Some(if letter.is_uppercase() { plain.to_ascii_uppercase() } else { plain })
        }
        _ => None,
    }
}

/// Characters that take no room: format characters, fillers and selectors of variants.
pub(super) fn is_invisible(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Marks that go with letters of any script.
fn is_mark(letter: char) -> bool {
    matches!(letter,
        '\u{300}'..='\u{34e}' | '\u{350}'..='\u{36f}' | '\u{483}'..='\u{489}'
        | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
        | '\u{fe20}'..='\u{fe2f}')
}

/// Marks that strike a letter out, underline it or fence it in.
fn is_overlay(mark: char) -> bool {
    matches!(mark, '\u{332}' | '\u{333}' | '\u{334}'..='\u{338}' | '\u{20d2}'..='\u{20f0}')
}

fn is_flag_letter(letter: char) -> bool {
    matches!(letter, '\u{1f1e6}'..='\u{1f1ff}')
}

/// Letters and digits of scripts that know neither joiners nor words without spaces.
fn is_western(letter: char) -> bool {
    letter.is_alphanumeric()
        && !matches!(letter,
            '\u{590}'..='\u{109f}' | '\u{1100}'..='\u{137f}' | '\u{1700}'..='\u{1cff}'
            | '\u{2e80}'..='\u{a4cf}' | '\u{a800}'..='\u{ab2f}' | '\u{abc0}'..='\u{d7ff}'
            | '\u{f900}'..='\u{faff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}'
            | '\u{ff66}'..='\u{ffdc}' | '\u{10800}'..='\u{1cfff}' | '\u{1e800}'..='\u{1efff}'
            | '\u{20000}'..='\u{3ffff}')
}

/// Scripts that are written without spaces, so that a foreign letter in a word says nothing.
pub(super) fn is_unspaced(letter: char) -> bool {
    letter.is_alphabetic() && !is_western(letter)
}
