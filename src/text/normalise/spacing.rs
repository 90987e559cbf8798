//! Words whose letters are separated: k i t t e n, k.i.t.t.e.n.

mod run;
mod segment;

use self::run::Run;
use self::segment::segment;
use super::glyphs::Glyph;
use super::homoglyphs::latin;
use super::leet;
use super::lexicon::Lexicon;

/// Joins separated letters where that makes known words.
pub(super) fn join(glyphs: Vec<Glyph>, lexicon: &Lexicon, obfuscated: &mut bool) -> Vec<Glyph> {
    let mut joined = Vec::with_capacity(glyphs.len());
    let mut at = 0;
    while at < glyphs.len() {
        let Some(run) = Run::at(&glyphs, at) else {
            joined.push(glyphs[at]);
            at += 1;
            continue;
        };
        if let Some(words) = read(&run, &glyphs, lexicon) {
            spell(&mut joined, &words, &glyphs);
            *obfuscated = true;
        } else {
            joined.extend_from_slice(&glyphs[at..run.end]);
        }
        at = run.end;
    }
    joined
}

/// Returns the glyph indices of each word of a run, or `None` if too little of the run is known
/// words.
fn read(run: &Run, glyphs: &[Glyph], lexicon: &Lexicon) -> Option<Vec<Vec<usize>>> {
    // If all letters are foreign, the language may be foreign too.
    if !run.has_latin(glyphs) || run.is_enumeration(glyphs) || run.is_acronym(glyphs) {
        return None;
    }
    let mut words = vec![];
    let mut tally = Tally::default();
    for places in &run.words {
        let word = spelling(places, glyphs);
        if knows(lexicon, &word) {
            tally.count(&word, true);
            words.push(places.clone());
        } else if let Some(parts) = (!run.has_wide_gaps).then(|| segment(&word, lexicon)).flatten()
        {
            for part in cut(places, &parts, glyphs) {
                tally.count(&spelling(&part, glyphs), true);
                words.push(part);
            }
        } else {
            tally.count(&word, false);
            words.push(places.clone());
        }
    }
    tally.is_convincing().then_some(words)
}

/// Counts how many letters of a run are in known words.
#[derive(Debug, Default)]
struct Tally {
    n_letters: usize,
    n_known: usize,
    longest: usize,
}

impl Tally {
    fn count(&mut self, word: &str, is_known: bool) {
        self.n_letters += word.len();
        if is_known {
            self.n_known += word.len();
            self.longest = self.longest.max(word.len());
        }
    }

    fn is_convincing(&self) -> bool {
        // Every lexicon lacks some names and rare words, but those occur among known words.
        self.longest >= 3 && 5 * self.n_known >= 3 * self.n_letters
    }
}

fn knows(lexicon: &Lexicon, word: &str) -> bool {
    let stem = word.split('\'').next().unwrap_or(word);
    lexicon.knows(stem) || leet::read(word, lexicon).is_some()
}

/// Returns the letters of a word in lower case, including digits and symbols that may stand for
/// letters, and inner apostrophes.
fn spelling(places: &[usize], glyphs: &[Glyph]) -> String {
    let letters = places.iter().map(|&place| latin(glyphs[place].letter).to_ascii_lowercase());
    let word: String = letters.filter(|&letter| letter == '\'' || is_spelt(letter)).collect();
    word.trim_matches('\'').trim_end_matches('!').to_owned()
}

/// Splits the glyph indices of a word into those of its parts, given the number of letters of each.
fn cut(places: &[usize], lens: &[usize], glyphs: &[Glyph]) -> Vec<Vec<usize>> {
    let mut parts = vec![vec![]];
    let mut lens = lens.iter().copied();
    let mut n_left = lens.next().unwrap_or(0);
    for &place in places {
        let is_letter = is_spelt(glyphs[place].letter);
        if n_left == 0 && is_letter {
            parts.push(vec![]);
            n_left = lens.next().unwrap_or(usize::MAX);
        }
        n_left = n_left.saturating_sub(usize::from(is_letter));
        parts.last_mut().expect("one is there from the start").push(place);
    }
    parts
}

/// Appends words with a space between them, or with a line feed where the original has one.
fn spell(joined: &mut Vec<Glyph>, words: &[Vec<usize>], glyphs: &[Glyph]) {
    let mut before: Option<usize> = None;
    for word in words {
        if let (Some(before), Some(&after)) = (before, word.first()) {
            let gap = &glyphs[before + 1..after];
            let line_end = gap.iter().find(|glyph| glyph.letter == '\n');
            let space = Glyph::space_between(&glyphs[before], &glyphs[after]);
            joined.push(line_end.copied().unwrap_or(space));
        }
        let kept = word.iter().map(|&place| glyphs[place]);
        joined.extend(kept.map(|glyph| glyph.with(latin(glyph.letter))));
        before = word.last().copied().or(before);
    }
}

/// Returns whether a character may be part of the spelling of a word, inner exclamation marks
/// included.
fn is_spelt(letter: char) -> bool {
    letter == '!' || is_letter(letter)
}

/// Returns whether a character may be a letter of a word; `!`, `|` and `+` rarely are.
fn is_letter(letter: char) -> bool {
    letter.is_alphabetic() || (leet::is_substitute(letter) && !"!|+".contains(letter))
}
