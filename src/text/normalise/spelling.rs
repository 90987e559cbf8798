//! Finds words in any spelling that a tokenizer may not distinguish from the plain one.

use unicode_normalization::char::decompose_compatible;
use unicode_normalization::char::is_combining_mark;

use super::glyphs::is_invisible;
use super::glyphs::look_alike;

/// Returns whether a text ends in a word, with or without white space after it; `word` is in
/// lower-case Latin letters.
///
/// Returns true in doubt. Characters that some tokenizer drops may occur anywhere in the word, even
/// if others read them as white space. Any character but an ASCII letter may precede the word,
/// since a tokenizer may see a word boundary there.
///
/// Takes time linear in the length of the text, and hardly any for ordinary prose.
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
        // ASCII symbols are kept: no tokenizer drops them, so they cannot be within the word.
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

/// Returns whether a tokenizer may drop a character: an invisible one, a combining mark or a
/// control character, even one that Unicode classes as white space, since some tokenizers drop
/// those too.
fn is_dropped(letter: char) -> bool {
    // Letters since Unicode 12, but combining marks in the older tables of tokenizers.
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
            "ﬅea", // a ligature of s and t, of which only the t is part of the word
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
