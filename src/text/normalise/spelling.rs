//! Words in whatever spelling a tokenizer may not tell from the plain one.

use unicode_normalization::char::decompose_compatible;
use unicode_normalization::char::is_combining_mark;

use super::glyphs::is_invisible;
use super::glyphs::look_alike;

/// Whether a text ends in a word of small Latin letters, with or without white space after it.
///
/// When in doubt it does. What some tokenizer drops or reads as white space may stand anywhere in
/// the word, and anything but an ASCII letter before it: between other letters and the word a
/// tokenizer may see an end of a word.
///
/// Takes time linear in the length of the text, and for ordinary prose hardly any.
pub(in crate::text) fn ends_in(text: &str, word: &str) -> bool {
    let mut expected = word.chars().rev().peekable();
    let mut is_within = false;
    let mut parts = vec![];
    for letter in text.chars().rev() {
        if expected.peek().is_none() {
            return !letter.is_ascii_alphabetic();
        }
        if is_dropped(letter) {
            continue;
        }
        if letter.is_whitespace() {
            if is_within {
                return false;
            }
            continue;
        }
        parts.clear();
        decompose_compatible(letter, |part| parts.push(part));
        // Signs of ASCII are signs to every tokenizer, and are not part of the word.
        parts.retain(|&part| letter.is_ascii() || (part.is_alphanumeric() && !is_dropped(part)));
        for part in parts.iter().rev() {
            match expected.next() {
                Some(expected) if reads_as(*part, expected) => is_within = true,
                Some(_) => return false,
                None => return true,
            }
        }
    }
    expected.peek().is_none()
}

/// What takes no room or goes with the letter before it. Control characters are here even where
/// Unicode takes them for white space, since some tokenizers drop them.
fn is_dropped(letter: char) -> bool {
    // Letters since Unicode 12; to the older tables of tokenizers they are marks.
    const FORMER_MARKS: [char; 2] = ['\u{1cf2}', '\u{1cf3}'];
    let is_mark = || is_combining_mark(letter) || FORMER_MARKS.contains(&letter);
    (letter.is_control() && !matches!(letter, '\t' | '\n' | '\r'))
        || (!letter.is_ascii() && (is_mark() || is_invisible(letter)))
}

fn reads_as(letter: char, expected: char) -> bool {
    let is_same = |letter: char| letter.to_ascii_lowercase() == expected;
    is_same(letter) || (!letter.is_ascii() && look_alike(letter).is_some_and(is_same))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_in_any_spelling() {
        for text in [
            "tea",
            "a cup of\nTEA \t",
            "a-tea",
            "t\u{0}e\u{b}a\u{85} ",
            "te\u{64b}\u{300}a\u{ad}",
            "茶tea",
            "8tea",
            "green\u{b}tea",
            "ｔéа",
            "ﬅea", // its first letter is a part of the word, the other is not
        ] {
            assert!(ends_in(text, "tea"), "{text:?}");
        }
    }

    #[test]
    fn other_words_are_not_taken_for_it() {
        for text in ["", "t", "ea", "plateA", "te a", "t-ea", "teas", "tea.", "t\nea", "te茶a"] {
            assert!(!ends_in(text, "tea"), "{text:?}");
        }
    }
}
