//! Where words come from.

use super::*;

#[test]
fn a_word_is_traced_back_to_its_disguise() {
    let plain = Plain::of("my k\u{200b}1tt3n, h o w  t o\u{336}", &lexicon()).unwrap();
    assert_eq!(plain.as_str(), "my kitten, how to");
    for (word, bytes) in [("kitten", 3..12), ("how", 14..19), ("to", 21..26), ("how to", 14..26)] {
        let start = plain.as_str().find(word).unwrap();
        assert_eq!(plain.original(start..start + word.len()), bytes, "word {word}");
    }
    assert_eq!(plain.original(0..usize::MAX), 0..26);
}

#[test]
fn a_ligature_is_the_origin_of_each_of_its_letters() {
    let plain = Plain::of("ﬁnance", &lexicon()).unwrap();
    assert_eq!(
        [plain.original(0..1), plain.original(1..2), plain.original(2..3)],
        [0..3, 0..3, 3..4]
    );
}
