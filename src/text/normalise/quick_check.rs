//! A cheap first check, which nearly all ordinary texts pass.

/// Returns whether a text shows no sign of obfuscation. A text that shows one may still be plain.
pub(super) fn is_plain(text: &str) -> bool {
    let mut quick_check = QuickCheck::default();
    text.chars().all(|letter| quick_check.passes(letter)) && quick_check.gap()
}

/// The state of the check: the current word, and the single letters before it.
#[derive(Default)]
struct QuickCheck {
    has_letter: bool,
    has_stand_in: bool, // a digit or symbol that may stand for a letter
    is_long: bool,
    n_singles: usize, // consecutive words of a single letter or digit
    n_single_letters: usize,
}

impl QuickCheck {
    fn passes(&mut self, letter: char) -> bool {
        match letter {
            'a'..='z' | 'A'..='Z' => self.letter(),
            '0'..='9' | '@' | '$' | '|' | '+' => self.stand_in(),
            // Most exclamation marks end a word.
            '!' => {
                self.has_stand_in = true;
                true
            }
            ' ' | '\n' | '\r' | '\t' | '.' | '-' | '_' | '*' | '/' => self.gap(),
            // Letters of single European languages that look like plain ones: dotless i, kra, eng,
            // the barred h and t, and the long s.
            '\u{126}' | '\u{127}' | '\u{131}' | '\u{138}' | '\u{14a}' | '\u{14b}' | '\u{166}'
            | '\u{167}' | '\u{17f}' => false,
            // The accented letters of Western and Central Europe.
            '\u{c0}'..='\u{17f}' => {
                self.is_long = true;
                self.letter()
            }
            _ => is_punctuation(letter) && self.end(),
        }
    }

    fn letter(&mut self) -> bool {
        self.is_long |= self.has_letter;
        self.has_letter = true;
        !self.has_stand_in
    }

    fn stand_in(&mut self) -> bool {
        self.is_long |= self.has_stand_in;
        self.has_stand_in = true;
        !self.has_letter
    }

    fn gap(&mut self) -> bool {
        let is_word = self.has_letter || self.has_stand_in;
        if is_word && self.is_long {
            (self.n_singles, self.n_single_letters) = (0, 0);
        } else if is_word {
            self.n_singles += 1;
            self.n_single_letters += usize::from(self.has_letter);
        }
        (self.has_letter, self.has_stand_in, self.is_long) = (false, false, false);
        self.n_singles < 3 || self.n_single_letters < 2
    }

    fn end(&mut self) -> bool {
        let passes = self.gap();
        (self.n_singles, self.n_single_letters) = (0, 0);
        passes
    }
}

/// Returns whether a character is an ordinary symbol: of ASCII, Latin-1 or typography, or an emoji.
fn is_punctuation(letter: char) -> bool {
    matches!(letter,
        '\0'..='\u{7f}' | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{bf}'
        | '\u{2010}'..='\u{2023}' | '\u{2025}'..='\u{2027}' | '\u{1f300}'..='\u{1faff}')
}
