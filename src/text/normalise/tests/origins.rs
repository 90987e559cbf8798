//! Tests of mapping words back to the original text.

use super::*;

#[test]
fn a_word_is_traced_back_to_its_disguise() {
    let normalised =
        NormalisedText::new("my k\u{200b}1tt3n, h o w  t o\u{336}", &lexicon()).unwrap();
    assert_eq!(normalised.as_str(), "my kitten, how to");
    for (word, bytes) in [("kitten", 3..12), ("how", 14..19), ("to", 21..26), ("how to", 14..26)] {
        let start = normalised.as_str().find(word).unwrap();
        assert_eq!(normalised.original(start..start + word.len()), bytes, "word {word}");
    }
    assert_eq!(normalised.original(0..usize::MAX), 0..26);
}

#[test]
fn a_ligature_is_the_origin_of_each_of_its_letters() {
    let normalised = NormalisedText::new("ﬁnance", &lexicon()).unwrap();
    assert_eq!(
        [normalised.original(0..1), normalised.original(1..2), normalised.original(2..3)],
        [0..3, 0..3, 3..4]
    );
}
