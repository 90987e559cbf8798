//! The words of a language, the more frequent the cheaper.

use std::collections::HashMap;

/// Words in the order of how frequent they are; what tells a disguised word from noise.
#[derive(Debug, Clone)]
pub struct Lexicon {
    ranks: HashMap<Box<str>, usize>,
    ln_words: f32, // the logarithm of their number
}

impl Lexicon {
    /// Takes words from the most frequent on; only lower-case ASCII words of letters count.
    ///
    /// Of single letters only `a` and `i` are words, though every vocabulary has them all.
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

    /// Whether a word or the word it is a form of is known.
    pub(super) fn knows(&self, word: &str) -> bool {
        self.rank(word).is_some()
    }

    /// The place of a word among the known; forms of a word come after all words.
    pub(super) fn rank(&self, word: &str) -> Option<usize> {
        let direct = self.ranks.get(word).copied();
        direct.or_else(|| self.knows_stem(word).then_some(self.ranks.len()))
    }

    /// How surprising a word is, taking its frequency to fall with its rank as Zipf saw it.
    pub(super) fn cost(&self, word: &str) -> Option<f32> {
        let rank = *self.ranks.get(word)?;
        Some(((rank + 1) as f32 * self.ln_words).ln())
    }

    /// More than any word costs.
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

/// `stab` for `stabb`, the stem of `stabbing`.
fn undoubled(stem: &str) -> Option<&str> {
    let [.., before, last] = stem.as_bytes() else {
        return None;
    };
    (before == last && stem.is_ascii()).then(|| &stem[..stem.len() - 1])
}

/// Endings of English words, the language of most lexicons there are.
const SUFFIXES: [&str; 7] = ["s", "es", "ed", "d", "ing", "er", "ly"];
/// With shorter stems every other string of letters is a form of something.
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
