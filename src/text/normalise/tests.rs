//! Tests which texts are normalised, and which are not.

mod markers;
mod origins;
mod properties;

use super::*;

/// Roughly from most to least frequent, like a real vocabulary.
const WORDS: &str = "\
    the of and in to was he is as for on with that it his by at from her you she they are an be \
    this had my or not me have but we all so one were up out what do if how no us can will a i \
    good want some time make just people learn tell about know where please is love very strong \
    book love like worry history cook fine coffee hope rice cake bird dog cat tea stop cocoa are \
    bake kitten bakery finance ass sit mark usa aka var ally top cop hoc ate abc her hide here";

fn lexicon() -> Lexicon {
    Lexicon::new(WORDS.split_whitespace().map(str::to_owned))
}

fn normalised(text: &str) -> Option<String> {
    NormalisedText::new(text, &lexicon()).map(|normalised| normalised.as_str().to_owned())
}

fn assert_normalised(pairs: &[(&str, &str)]) {
    for &(obfuscated, expected) in pairs {
        assert_eq!(normalised(obfuscated).as_deref(), Some(expected), "text {obfuscated:?}");
    }
}

fn assert_unchanged(texts: &[&str]) {
    for text in texts {
        assert_eq!(normalised(text), None, "text {text:?}");
    }
}

#[test]
fn invisible_characters_in_words_are_dropped() {
    assert_normalised(&[
        ("k\u{200b}i\u{200c}t\u{200d}t\u{2060}e\u{feff}n", "kitten"),
        ("kit\u{ad}ten", "kitten"),
        ("\u{202e}k\u{202c}itt\u{2066}en\u{2069}", "kitten"),
        ("kit\u{fe0f}ten", "kitten"),
        ("kit\u{3164}ten", "kitten"),
        ("a cat\u{e0041}\u{e0042} sat", "a cat sat"),
    ]);
}

#[test]
fn stacked_combining_marks_are_dropped() {
    assert_normalised(&[
        ("k\u{337}\u{322}i\u{334}t\u{338}\u{31b}t\u{336}e\u{335}n\u{338}", "kitten"),
        ("k\u{336}i\u{336}t\u{336}t\u{336}e\u{336}n\u{336}", "kitten"),
        ("e\u{301}\u{310}\u{346}gg", "egg"),
    ]);
}

#[test]
fn styled_letters_are_replaced() {
    assert_normalised(&[
        ("ｋｉｔｔｅｎ", "kitten"),
        ("𝕜𝕚𝕥𝕥𝕖𝕟 𝓴𝓲𝓽𝓽𝓮𝓷", "kitten kitten"),
        ("ⓚⓘⓣⓣⓔⓝ", "kitten"),
        ("🅺🅸🆃🆃🅴🅽", "KITTEN"),
        ("ᵏⁱᵗᵗᵉⁿ", "kitten"),
        ("ﬁnance", "finance"),
    ]);
}

#[test]
fn homoglyphs_are_replaced() {
    assert_normalised(&[
        ("my kіttеn", "my kitten"),
        ("Kіttеns lоvе xylophοnеs", "Kittens love xylophones"), // an unknown word
        ("the сосоа is here", "the cocoa is here"),             // the word is all Cyrillic
        ("а kіttеn", "a kitten"),
        ("ᴋɪᴛᴛᴇɴ", "kitten"),
        ("kıtten", "kitten"),
        ("a nεw kitten, a gооd kitten", "a new kitten, a good kitten"),
    ]);
}

#[test]
fn leetspeak_is_replaced() {
    assert_normalised(&[
        ("k1tt3n", "kitten"),
        ("K1TT3N", "KITTEN"),
        ("b@k3ry", "bakery"),
        ("5tr0ng c0ff33", "strong coffee"),
        ("k!tt3n$", "kittens"),
        ("p30pl3 w|ll c00k", "people will cook"),
        ("w0rry, d0g.", "worry, dog."),
        ("b@k3ry's", "bakery's"),
        ("s1t t0 l34rn", "sit to learn"), // short words count beside longer ones
    ]);
}

#[test]
fn spaced_letters_are_joined() {
    assert_normalised(&[
        ("k i t t e n", "kitten"),
        ("k.i.t.t.e.n k-i-t-t-e-n k_i_t_t_e_n", "kitten kitten kitten"),
        ("k*i*t*t*e*n k/i/t/t/e/n", "kitten kitten"),
        ("tell me, k i t t e n.", "tell me, kitten."),
        ("h o w  t o  c o o k", "how to cook"),
        ("h o w   t o\nc o o k", "how to\ncook"),
        ("h.o.w t.o c.o.o.k", "how to cook"),
        ("c o o k , p l e a s e !", "cook, please!"),
        ("K.I.T.T.E.N", "KITTEN"),
        ("k\u{a0}i\u{a0}t\u{a0}t\u{a0}e\u{a0}n", "kitten"),
    ]);
}

#[test]
fn evenly_spaced_letters_are_split_into_words() {
    assert_normalised(&[
        ("h o w t o c o o k", "how to cook"),
        ("h o w t o c o o k r i c e", "how to cook rice"),
        ("t e l l m e a b o u t t h e h i s t o r y", "tell me about the history"),
    ]);
}

#[test]
fn combined_obfuscations_are_undone() {
    assert_normalised(&[
        ("k 1 t t 3 n", "kitten"),
        ("k ! t t e n", "kitten"),
        ("h 0 w t 0 c 0 0 k", "how to cook"),
        ("k\u{200b}1tt\u{200b}3n", "kitten"),
        ("k\u{200b} i\u{200b} t\u{200b} t\u{200b} e\u{200b} n", "kitten"),
        ("𝐡 𝐨 𝐰 𝐭 𝐨 𝐜 𝐨 𝐨 𝐤", "how to cook"),
        ("🇰 🇮 🇹 🇹 🇪 🇳", "kitten"),
        ("к i т т е n", "kitten"),
        ("h\u{200b}оw tо cо\u{ad}ok", "how to cook"),
        ("k\u{336}1tt\u{336}е\u{336}n", "kitten"),
    ]);
}

#[test]
fn ordinary_words_with_digits_and_signs_are_unchanged() {
    assert_unchanged(&[
        "The meeting is at 10am on the 4th, 5in from here, in the 70s, 1st of all.",
        "mp3 h1n1 covid19 3d i5 b2b $5 a11y i18n win32 sha256 1and1 24hours 4ever",
        "mark5 david87 tom4 dog5 bird1",
        "2024-05-06T10:11:12, 9/11, v1.0.5",
        "3f5b0de4a9c1 b4dca5e5 deadbeef",
        "https://example.com/c00k/k1tt3n www.c00k.com c00k@example.com",
        "sit! stop!how US$ C++ a|b #kitten @mark",
        "1337 5417 !!! $$$ @@@",
    ]);
}

#[test]
fn enumerations_initials_and_formulas_are_unchanged() {
    assert_unchanged(&[
        "a b c",
        "A B C D E F G",
        "J. R. R. Tolkien and J.R.R. Tolkien",
        "the U.S.A. and the U.S.A",
        "a.k.a. e.g. i.e. S.O.S.",
        "x + y = z and a * b * c = d",
        "x x x",
        "1 2 3 4 5",
        "- a\n- b\n- c",
        "| c | o | p |",
        "G C D A minor",
        "r/kitten n/a w/o",
    ]);
}

#[test]
fn texts_in_other_languages_are_unchanged() {
    assert_unchanged(&[
        "Это обычный русский текст о погоде, и в нём ничего нет.",
        "Она сказала: нос, рот, кот, сор",
        "In Russian one says привет, как дела? to a friend",
        "Καλημέρα, πώς είσαι σήμερα;",
        "α and β particles, μm, kΩ, Δx, π",
        "Größe, naïve café, señor, Übermut, łódź, Bjørn, cafe\u{301}",
        "Tiếng Việt rất đẹp, cảm ơn bạn",
        "日本語テキストABCです 한국어",
        "می\u{200c}خواهم",
        "क्\u{200d}ष",
    ]);
}

#[test]
fn symbols_and_emoji_are_unchanged() {
    assert_unchanged(&[
        "👨\u{200d}👩\u{200d}👧 ❤\u{fe0f} 1\u{fe0f}\u{20e3} 🇺🇸🇬🇧 🅰 flags",
        "m² x² word¹ H₂O 10⁵ 1ª Nº № ™ ½ ℝ Ⅷ",
        "it’s “quoted” … – here\u{a0}and there",
        "\u{feff}Hello there",
        "",
    ]);
}
