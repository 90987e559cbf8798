//! The words of a language, ranked by frequency.

use std::collections::HashMap;

/// Words ranked by frequency, to distinguish obfuscated words from noise.
#[derive(Debug, Clone)]
pub struct Lexicon {
    ranks: HashMap<Box<str>, usize>,
    ln_words: f32, // natural logarithm of the number of words
}

impl Lexicon {
    /// Creates a lexicon from words in descending order of frequency; only words of lower-case
    /// ASCII letters count.
    ///
    /// Of the single letters only `a` and `i` are words, though every vocabulary has them all.
    pub fn new(words: impl IntoIterator<Item = String>) -> Self {
        let mut ranks = HashMap::new();
        for word in words {
            if is_word(&word) {
                let rank = ranks.len();
                ranks.entry(word.into_boxed_str()).or_insert(rank);
            }
        }
        let ln_words = (ranks.len().max(3) as f32).ln();
        Self { ranks, ln_words }
    }

    /// Returns whether a word is known, or is a form of a known word.
    pub(super) fn knows(&self, word: &str) -> bool {
        self.rank(word).is_some()
    }

    /// Returns the frequency rank of a word, from 0; forms of known words rank after all words.
    pub(super) fn rank(&self, word: &str) -> Option<usize> {
        let direct = self.ranks.get(word).copied();
        direct.or_else(|| self.knows_stem(word).then_some(self.ranks.len()))
    }

    /// Returns the surprisal of a word in nats, with its frequency estimated from its rank by
    /// Zipf's law; `None` unless the word itself is known.
    pub(super) fn cost(&self, word: &str) -> Option<f32> {
        let rank = *self.ranks.get(word)?;
        Some(((rank + 1) as f32 * self.ln_words).ln())
    }

    /// Returns a cost above that of any known word, in nats.
    pub(super) fn cost_of_unknown(&self) -> f32 {
        2.0 * (self.ln_words + self.ln_words.ln())
    }

    fn knows_stem(&self, word: &str) -> bool {
        let knows = |stem: &str| stem.len() >= MIN_STEM && self.ranks.contains_key(stem);
        SUFFIXES.iter().filter_map(|suffix| word.strip_suffix(suffix)).any(|stem| {
            knows(stem) || knows(&format!("{stem}e")) || undoubled(stem).is_some_and(knows)
        })
    }
}

fn is_word(word: &str) -> bool {
    let alphabetic = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    alphabetic && (word.len() > 1 || matches!(word, "a" | "i"))
}

/// Drops a doubled last letter: returns `stab` for `stabb`, the stem of `stabbing`.
fn undoubled(stem: &str) -> Option<&str> {
    let [.., before, last] = stem.as_bytes() else {
        return None;
    };
    (before == last && stem.is_ascii()).then(|| &stem[..stem.len() - 1])
}

/// English suffixes, since most lexicons are English.
const SUFFIXES: [&str; 7] = ["s", "es", "ed", "d", "ing", "er", "ly"];
/// With shorter stems, too many strings of letters would be forms of known words.
const MIN_STEM: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_their_forms_are_known_and_nothing_else() {
        let words = ["the", "Bake", "bake", "##ing", "stir", "b", "a", "é"];
        let lexicon = Lexicon::new(words.map(str::to_owned));
        for known in ["the", "bake", "a", "bakes", "baked", "baking", "stirring"] {
            assert!(lexicon.knows(known), "{known}");
        }
        for unknown in ["", "b", "Bake", "ing", "é", "thes", "bakings", "sing"] {
            assert!(!lexicon.knows(unknown), "{unknown}");
        }
    }

    #[test]
    fn a_rarer_word_costs_more() {
        let lexicon = Lexicon::new(["the", "to", "bake"].map(str::to_owned));
        assert!(lexicon.cost("the") < lexicon.cost("bake"));
        assert!(lexicon.cost("bake").unwrap() < lexicon.cost_of_unknown());
        assert_eq!(lexicon.cost("bakes"), None); // its frequency is not known
    }
}
