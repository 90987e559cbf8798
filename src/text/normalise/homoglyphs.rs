//! Letters of other alphabets that pass for Latin ones.

use std::ops::Range;

use unicode_normalization::char::decompose_canonical;

use super::glyphs::Glyph;
use super::glyphs::is_unspaced;
use super::glyphs::look_alike;
use super::glyphs::words;
use super::leet;
use super::lexicon::Lexicon;

/// Replaces foreign letters by their Latin look-alikes, in words that they disguise.
pub(super) fn replace(glyphs: &mut [Glyph], lexicon: &Lexicon, disguised: &mut bool) {
    // Most texts come here for a quotation mark or an emoji.
    if !glyphs.iter().any(|glyph| is_foreign(glyph.letter)) {
        return;
    }
    let mut census = Census::default();
    let mut suspects = vec![];
    for word in words(glyphs) {
        suspects.extend(Suspect::of(&glyphs[word.clone()], word, lexicon, &mut census));
    }
    suspects.retain(|suspect| census.allows(suspect));
    let is_sure = suspects.iter().any(|suspect| suspect.doubt != Doubt::Great);
    if is_sure {
        for suspect in suspects {
            for (glyph, letter) in glyphs[suspect.word].iter_mut().zip(suspect.reading) {
                glyph.letter = letter;
            }
        }
        *disguised = true;
    }
}

/// A letter, or the Latin one that a foreign letter looks like.
pub(super) fn latin(letter: char) -> char {
    let is_replaced = is_foreign(letter) && !is_unspaced(letter);
    is_replaced.then(|| look_alike(letter)).flatten().unwrap_or(letter)
}

/// How many letters of a text speak for which alphabet.
#[derive(Debug, Default)]
struct Census {
    latin: usize,
    foreign: usize,
    either: usize, // in foreign letters, and yet a known word
}

impl Census {
    fn allows(&self, suspect: &Suspect) -> bool {
        match suspect.doubt {
            Doubt::None => true,
            Doubt::Mixed | Doubt::Great => self.latin > self.foreign,
            // Words of a quotation in another language may look like Latin ones by chance.
            Doubt::Foreign => self.latin + self.either > 2 * self.foreign && self.latin > 0,
        }
    }
}

/// A word with foreign letters, all of which look like Latin ones.
struct Suspect {
    word: Range<usize>,
    reading: Vec<char>, // one letter for each glyph
    doubt: Doubt,
}

/// What a suspect has against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// Some of its letters are Latin, and it is a known word.
    None,
    /// Some of its letters are Latin, but it is no known word.
    Mixed,
    /// It is a known word, but none of its letters are Latin.
    Foreign,
    /// It is too short or too strange to be believed without another.
    Great,
}

impl Suspect {
    fn of(
        glyphs: &[Glyph],
        word: Range<usize>,
        lexicon: &Lexicon,
        census: &mut Census,
    ) -> Option<Self> {
        let is_letter = |glyph: &&Glyph| glyph.letter.is_alphabetic();
        let n_letters = glyphs.iter().filter(is_letter).count();
        let n_foreign = glyphs.iter().filter(|glyph| is_foreign(glyph.letter)).count();
        let n_latin_like =
            glyphs.iter().filter(is_letter).filter(|glyph| is_latin(glyph.letter)).count();
        if n_foreign == 0 {
            census.latin += n_letters;
            return None;
        }
        let reading = (!glyphs.iter().any(|glyph| is_unspaced(glyph.letter)))
            .then(|| read(glyphs, lexicon))
            .flatten();
        let is_known = reading.as_ref().is_some_and(|reading| knows(lexicon, reading));
        let in_latin = n_latin_like > 0;
        match (in_latin, is_known && n_letters > 2) {
            (true, _) => census.latin += n_letters,
            (false, true) => census.either += n_letters,
            (false, false) if n_letters > 2 || reading.is_none() => census.foreign += n_letters,
            (false, false) => {}
        }
        let doubt = match (in_latin, is_known, n_letters) {
            (true, true, 3..) => Doubt::None,
            (true, false, 3..) if n_foreign > 1 && !glyphs.iter().any(is_fancy) => Doubt::Mixed,
            (false, true, 3..) => Doubt::Foreign,
            (true, _, 3..) | (_, true, _) => Doubt::Great,
            _ => return None,
        };
        Some(Self { word, reading: reading?, doubt })
    }
}

/// The word in Latin letters; a stroke may be an i or an l.
fn read(glyphs: &[Glyph], lexicon: &Lexicon) -> Option<Vec<char>> {
    let letter = |glyph: &Glyph| {
        if is_foreign(glyph.letter) { look_alike(glyph.letter) } else { Some(glyph.letter) }
    };
    let reading: Vec<char> = glyphs.iter().map(letter).collect::<Option<_>>()?;
    if knows(lexicon, &reading) {
        return Some(reading);
    }
    let stroke = |(glyph, &letter): (&Glyph, &char)| match letter {
        'i' | 'I' if is_foreign(glyph.letter) => 'l',
        _ => letter,
    };
    let other: Vec<char> = glyphs.iter().zip(&reading).map(stroke).collect();
    Some(if knows(lexicon, &other) { other } else { reading })
}

fn knows(lexicon: &Lexicon, reading: &[char]) -> bool {
    let word: String = reading.iter().map(|&letter| unaccented(letter)).collect();
    lexicon.knows(&word) || leet::read(&word, lexicon).is_some()
}

fn unaccented(letter: char) -> char {
    let mut base = None;
    decompose_canonical(letter, |part| {
        base.get_or_insert(part.to_ascii_lowercase());
    });
    base.unwrap_or(letter)
}

/// Letters that are neither ASCII nor accented Latin ones.
fn is_foreign(letter: char) -> bool {
    !letter.is_ascii()
        && letter.is_alphabetic()
        && match letter {
            '\u{126}' | '\u{127}' | '\u{131}' | '\u{138}' | '\u{14a}' | '\u{14b}' | '\u{166}'
            | '\u{167}' => true,
            '\u{80}'..='\u{17f}' => false,
            _ => !unaccented(letter).is_ascii(),
        }
}

/// Letters of the Latin alphabet in the widest sense, those of phonetics included.
fn is_latin(letter: char) -> bool {
    matches!(letter,
        '\0'..='\u{2af}' | '\u{1d00}'..='\u{1dbf}' | '\u{1e00}'..='\u{1eff}'
        | '\u{2c60}'..='\u{2c7f}' | '\u{a720}'..='\u{a7ff}' | '\u{ab30}'..='\u{ab6f}')
}

/// Letters of phonetics and of far languages, which are no disguise by themselves.
fn is_fancy(glyph: &Glyph) -> bool {
    is_latin(glyph.letter) && is_foreign(glyph.letter)
}
