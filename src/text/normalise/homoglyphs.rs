//! Letters of other alphabets that look like Latin ones.

use std::ops::Range;

use unicode_normalization::char::decompose_canonical;

use super::glyphs::Glyph;
use super::glyphs::is_unspaced;
use super::glyphs::look_alike;
use super::glyphs::words;
use super::leet;
use super::lexicon::Lexicon;

/// Replaces foreign letters by their Latin look-alikes, in words that they obfuscate.
pub(super) fn replace(glyphs: &mut [Glyph], lexicon: &Lexicon, obfuscated: &mut bool) {
    // Most texts that get here have a quotation mark or an emoji, and no foreign letter.
    if !glyphs.iter().any(|glyph| is_foreign(glyph.letter)) {
        return;
    }
    let mut census = ScriptCounts::default();
    let mut suspects = vec![];
    for word in words(glyphs) {
        suspects.extend(Suspect::new(&glyphs[word.clone()], word, lexicon, &mut census));
    }
    suspects.retain(|suspect| census.allows(suspect));
    let is_sure = suspects.iter().any(|suspect| suspect.doubt != Doubt::Great);
    if is_sure {
        for suspect in suspects {
            for (glyph, letter) in glyphs[suspect.word].iter_mut().zip(suspect.reading) {
                glyph.letter = letter;
            }
        }
        *obfuscated = true;
    }
}

/// Returns the Latin letter that a foreign letter looks like, or else the letter itself.
pub(super) fn latin(letter: char) -> char {
    let is_replaced = is_foreign(letter) && !is_unspaced(letter);
    is_replaced.then(|| look_alike(letter)).flatten().unwrap_or(letter)
}

/// Counts of the letters of a text, by the alphabet that their words are evidence for.
#[derive(Debug, Default)]
struct ScriptCounts {
    latin: usize,
    foreign: usize,
    either: usize, // in foreign letters that look like a known word
}

impl ScriptCounts {
    fn allows(&self, suspect: &Suspect) -> bool {
        match suspect.doubt {
            Doubt::None => true,
            Doubt::Mixed | Doubt::Great => self.latin > self.foreign,
            // Words quoted from another language may look like Latin ones by chance.
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

/// How doubtful it is that a suspect is an obfuscated word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// Some of the letters are Latin, and the word is known.
    None,
    /// Some of the letters are Latin, but the word is unknown.
    Mixed,
    /// The word is known, but none of the letters are Latin.
    Foreign,
    /// The word is too short or too unusual to count without another, less doubtful suspect.
    Great,
}

impl Suspect {
    fn new(
        glyphs: &[Glyph],
        word: Range<usize>,
        lexicon: &Lexicon,
        census: &mut ScriptCounts,
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

/// Returns the word in Latin letters, or `None` if a foreign letter has no look-alike. A vertical
/// stroke may be an i or an l.
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

/// Returns whether a letter is neither ASCII nor an accented Latin letter.
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

/// Returns whether a letter is Latin in the widest sense, phonetic letters included.
fn is_latin(letter: char) -> bool {
    matches!(letter,
        '\0'..='\u{2af}' | '\u{1d00}'..='\u{1dbf}' | '\u{1e00}'..='\u{1eff}'
        | '\u{2c60}'..='\u{2c7f}' | '\u{a720}'..='\u{a7ff}' | '\u{ab30}'..='\u{ab6f}')
}

/// Returns whether a letter is phonetic or of a rare Latin alphabet, which alone is no evidence of
/// obfuscation.
fn is_fancy(glyph: &Glyph) -> bool {
    is_latin(glyph.letter) && is_foreign(glyph.letter)
}
