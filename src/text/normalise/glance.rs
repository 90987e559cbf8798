//! A first look at a text, which lets nearly all ordinary ones pass.

/// Whether a text shows no sign of any disguise; one that does may still be without.
pub(super) fn is_plain(text: &str) -> bool {
    let mut glance = Glance::default();
    text.chars().all(|letter| glance.passes(letter)) && glance.gap()
}

/// What was seen of the current word, and how many single letters stood before it.
#[derive(Default)]
struct Glance {
    has_letter: bool,
    has_stand_in: bool, // a digit or sign that may stand for a letter
    is_long: bool,
    n_singles: usize, // letters and digits by themselves, next to each other
    n_single_letters: usize,
}

impl Glance {
    fn passes(&mut self, letter: char) -> bool {
        match letter {
            'a'..='z' | 'A'..='Z' => self.letter(),
            '0'..='9' | '@' | '$' | '|' | '+' => self.stand_in(),
            // Most marks of exclamation follow a word, and nothing follows them.
            '!' => {
                self.has_stand_in = true;
                true
            }
            ' ' | '\n' | '\r' | '\t' | '.' | '-' | '_' | '*' | '/' => self.gap(),
            // Letters of some European language each that look like a plain one: dotless i, kra,
            // eng, the barred h and t, and the long s.
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

/// Signs that are what they look like: of ASCII, Latin-1 and typesetters, and pictures.
fn is_punctuation(letter: char) -> bool {
    matches!(letter,
        '\0'..='\u{7f}' | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{bf}'
        | '\u{2010}'..='\u{2023}' | '\u{2025}'..='\u{2027}' | '\u{1f300}'..='\u{1faff}')
}
