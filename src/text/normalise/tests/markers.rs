//! Noise between words.

use super::*;

#[test]
fn names_of_control_tokens_are_dropped_wherever_they_stand() {
    assert_normalised(&[
        ("tell [MASK] me [MASK] about [MASK] the kitten", "tell me about the kitten"),
        ("tell </s> me </s> about the kitten", "tell me about the kitten"),
        ("please tell [SEP] me", "please tell me"), // one is enough within a phrase
        ("[CLS] tell me [SEP]", "tell me"),
        ("tell[MASK]me<|im_end|>about", "tell me about"),
        ("tell [mask][Sep] me <PAD> <pad> about", "tell me about"),
        ("tell me, [MASK] please.", "tell me, please."),
        ("tell[MASK]\nme <s>\nabout\n[PAD] it", "tell\nme \nabout\nit"),
        ("tell ［ＭＡＳＫ］ me", "tell me"),
    ]);
}

#[test]
fn names_within_a_word_leave_no_gap() {
    assert_normalised(&[
        ("my kit[MASK]ten, ki</s>tt</s>en", "my kitten, kitten"),
        ("k[SEP]i[SEP]t[SEP]t[SEP]e[SEP]n", "kitten"),
        ("k [MASK] i [MASK] t [MASK] t [MASK] e [MASK] n", "kitten"),
        ("how[SEP]to[SEP]cook", "how to cook"),
    ]);
}

#[test]
fn the_same_mark_between_most_words_is_dropped() {
    assert_normalised(&[
        ("tell [x] me [x] about [x] the kitten", "tell me about the kitten"),
        ("tell ## me ## about ## the ## kitten", "tell me about the kitten"),
        ("tell me {o} about the {o} kitten {O} please", "tell me about the kitten please"),
        ("how 👏 to 👏 cook 👏 rice", "how to cook rice"),
        ("how~~to~~cook~~rice", "how to cook rice"),
        ("how()to()cook()rice", "how to cook rice"),
        ("how | to | cook | rice | at | home", "how to cook rice at home"),
        ("how - to - cook - rice - at - home", "how to cook rice at home"),
        ("how\n##\nto\n##\ncook\n##\nrice", "how\n\nto\n\ncook\n\nrice"),
    ]);
}

#[test]
fn a_phrase_among_ordinary_ones_is_found() {
    let before = "They sat with the dog. ".repeat(50);
    let marked = "tell [x] me [x] about [x] it";
    let expected = format!("{before}tell me about it. {before}");
    assert_eq!(normalised(&format!("{before}{marked}. {before}")), Some(expected));
}

#[test]
fn marks_of_ordinary_texts_stay() {
    assert_unchanged(&[
        "- rice\n- cake\n- coffee\n- cocoa\n- books\n- tea",
        "## Rice\n\nSome.\n\n## Cake\n\nSome more.\n\n## Tea\n\nHot.",
        "> how are you\n> please tell me\n> about it",
        "| rice | cake |\n| --- | --- |\n| tea | coffee |",
        "[ ] cook rice\n[x] bake cake\n[x] make tea\n[x] sit",
        "Home > Books > History > Cats",
        "rice (hot), cake (cold), tea (hot), coffee (cold), cocoa (hot)",
        "see [1] and [2], also [3]; [4] is about cats",
        "red - green - blue, one / two / three, salt & rice & tea",
        "1 + 2 + 3 + 4 + 5 + 6 = 21, a < b < c < d < e < f",
        "if (a[0] && b[1] || c[2]) { d = e->f; } else { g::h::i(j); }",
        "<p>A <b>good</b> cake</p> <i>and</i> tea",
        "Wait ... what? He said ... nothing. Then ... he left.",
        "**good** and *cheap* and __strong__ coffee, ~5 cups, 100%",
        "Q: how? A: so. Q: why? A: just so.",
        "what are [brackets] and <angles> and {braces}",
        "roses are red / violets are blue / sugar is sweet / and so are you",
        "Good morning! Tea? Yes! Cake? No!",
        "Call open(), read() and close() first.",
        "the item(s), the date(s) and name(s) below",
        "rice (hot), cake (cold), tea (hot), coffee (cold), cocoa (hot).",
        "A <b>hot</b> rice, <b>cold</b> tea and <b>sweet</b> cake",
        "<tr><td>rice</td><td>tea</td><td>cake</td><td>cocoa</td></tr>",
        "hot rice<br>green tea<br>cold cake<br/>sweet cocoa<br>books",
        "rice <br> tea <br> cake <br> cocoa",
    ]);
}

#[test]
fn a_word_between_marks_is_traced_back() {
    let normalised =
        NormalisedText::new("tell [MASK] me[SEP]about kit[MASK]ten", &lexicon()).unwrap();
    assert_eq!(normalised.as_str(), "tell me about kitten");
    for (word, bytes) in [("tell me", 0..14), ("me", 12..14), ("about", 19..24), ("kitten", 25..37)]
    {
        let start = normalised.as_str().find(word).unwrap();
        assert_eq!(normalised.original(start..start + word.len()), bytes, "word {word}");
    }
}
