//! Properties that hold for any text.

use std::time::Duration;
use std::time::Instant;

use proptest::prelude::*;

use super::*;

#[test]
fn a_plain_text_has_nothing_left_to_undo() {
    for text in ["h 0 w t 0 c 0 0 k", "mу kіttеn w4s h3re", "k\u{200b} i t t e n mark5", "𝕜𝕚𝕥𝕥𝕖𝕟"]
    {
        let once = normalised(text).unwrap();
        assert_eq!(normalised(&once), None, "text {text:?}, normalised {once:?}");
    }
}

#[test]
fn long_texts_take_linear_time() {
    let lexicon = lexicon();
    for unit in UNITS {
        let text = unit.repeat(100_000 / unit.chars().count());
        let start = Instant::now();
        let _ = NormalisedText::new(&text, &lexicon);
        // Unoptimised code on a busy machine takes a tenth of this; quadratic time takes minutes.
        assert!(start.elapsed() < Duration::from_secs(5), "unit {unit:?}: {:?}", start.elapsed());
    }
}

/// Generates arbitrary texts, and texts full of the characters that obfuscation uses.
fn texts() -> impl Strategy<Value = String> {
    let parts = prop::collection::vec(prop::sample::select(PARTS), 0..40);
    prop_oneof![any::<String>(), parts.prop_map(|parts| parts.concat())]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_range_stems_from_characters_of_the_original(
        text in texts(), start in 0_usize..120, len in 0_usize..40,
    ) {
        if let Some(normalised) = NormalisedText::new(&text, &lexicon()) {
            let bytes = normalised.original(start..start + len);
            prop_assert!(text.get(bytes.clone()).is_some(), "{bytes:?}");
            let next = normalised.original(start + 1..start + len + 1);
            prop_assert!(bytes.start <= next.start, "{bytes:?} {next:?}");
            prop_assert!(len == 0 || bytes.end <= next.end, "{bytes:?} {next:?}");
        }
    }

    #[test]
    fn undoing_comes_to_an_end(text in texts()) {
        let lexicon = lexicon();
        let mut text = text;
        for _ in 0..4 {
            match NormalisedText::new(&text, &lexicon) {
                Some(normalised) => normalised.as_str().clone_into(&mut text),
                None => return Ok(()),
            }
        }
        prop_assert!(NormalisedText::new(&text, &lexicon).is_none(), "{text:?}");
    }

    #[test]
    fn words_of_the_lexicon_stay(
        words in prop::collection::vec(prop::sample::select(
            WORDS.split_whitespace().filter(|word| word.len() > 1).collect::<Vec<_>>()), 0..20),
    ) {
        prop_assert_eq!(normalised(&words.join(" ")), None);
    }
}

/// Units that long texts are repetitions of.
const UNITS: &[&str] = &[
    "a ",
    "1",
    "a1",
    "a.",
    ". ",
    "a . . . . ",
    "\u{200b}",
    "\u{301}",
    "a\u{336}",
    "@.",
    "!",
    "a  ",
    "k i t t e n ",
    "1!1!1!ing ",
    "1 ! 1 ! 1 ! a s  ",
    "а",
    "aа ",
    "1 ",
    "a\u{200b}",
    "a-b_",
    "🇰",
    "a b  ",
    " ",
    "'",
    "a'",
    "@",
    "|1",
    "[MASK]",
    "a [x] ",
    "[",
    "<<<<a",
    "## a ",
    "a##",
    "(a",
    "# ",
];
const PARTS: &[&str] = &[
    "a",
    "k",
    "i",
    "t",
    "cook",
    "kitten",
    "1",
    "3",
    "0",
    "@",
    "$",
    "!",
    "|",
    "'",
    "’",
    " ",
    "  ",
    "\n",
    ".",
    "-",
    "_",
    "\u{200b}",
    "\u{ad}",
    "\u{301}",
    "\u{336}",
    "\u{fe0f}",
    "е",
    "о",
    "κ",
    "ᴋ",
    "𝕜",
    "ﬁ",
    "é",
    "日",
    "ل",
    "🇰",
    "😀",
    "\u{e0041}",
    "\u{a0}",
    "Ａ",
    "ж",
    "[MASK]",
    "</s>",
    "[x]",
    " ## ",
    "##",
    "[",
    ">",
    " | ",
];
