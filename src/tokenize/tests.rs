//! Properties of every kind of tokenizer.

mod kinds;
mod labels;

use proptest::prelude::*;
use serde_json::Value;
use serde_json::json;

use self::kinds::CONTROL_NAMES;
use self::kinds::KINDS;
use self::kinds::Kind;
use self::kinds::SHAPE;
use self::kinds::add;
use self::kinds::inner;
use self::kinds::read_fixture;
use self::kinds::word_level;
use super::*;
use crate::text::Conversation;
use crate::text::Input;
use crate::text::Limits;
use crate::text::Role;
use crate::text::Turn;

#[test]
fn the_name_of_a_control_token_is_read_as_its_letters() {
    for kind in KINDS.iter() {
        for name in &kind.names {
            for text in [name.clone(), format!("please {name} tea"), format!("cup{name}tea{name}")]
            {
                let ids = kind.ids(&text);
                let found: Vec<_> = ids.iter().filter(|id| kind.control.contains(id)).collect();
                assert!(found.is_empty(), "{}: {text}: {found:?}", kind.name);
            }
        }
    }
}

#[test]
fn the_name_of_the_unknown_token_is_no_unknown_word() {
    for kind in KINDS.iter() {
        // Without subwords, a word that is not in the vocabulary is unknown.
        if kind.name.contains("whole words") || kind.name.starts_with("WordLevel") {
            continue;
        }
        for name in &kind.names {
            let tokens = kind.tokens(&format!("tea {name}"));
            assert!(!kind.ids(name).contains(&kind.unknown), "{}: {name}: {tokens:?}", kind.name);
        }
    }
}

#[test]
fn the_reserved_character_opens_no_way_to_a_control_token() {
    for kind in KINDS.iter() {
        for name in &kind.names {
            let text = format!("tea \u{10ffff}{name} \u{10ffff}{name}\u{10ffff}");
            assert!(kind.ids(&text).iter().all(|id| !kind.control.contains(id)), "{}", kind.name);
        }
    }
}

#[test]
fn a_long_text_of_nothing_but_names_takes_linear_time() {
    let time = |n_bytes: usize| {
        let start = std::time::Instant::now();
        for kind in KINDS.iter() {
            let text = kind.names.concat().repeat(n_bytes / kind.names.concat().len());
            assert!(kind.ids(&text).iter().all(|id| !kind.control.contains(id)), "{}", kind.name);
        }
        start.elapsed()
    };
    let rounds: Vec<_> = (0..2).map(|_| (time(10_000), time(80_000))).collect();
    let short = rounds.iter().map(|round| round.0).min().unwrap();
    let long = rounds.iter().map(|round| round.1).min().unwrap();
    // Eight times as long if linear, 64 times if quadratic; on a busy machine one run may be
    // interrupted.
    assert!(long < 30 * short, "{short:?} and {long:?}");
}

#[test]
fn ordinary_added_tokens_are_found_as_before() {
    let mut file = read_fixture("tokenizers/byte-level.json");
    add(&mut file, "teapot");
    let kind = Kind::new("with a word added", &file);
    assert!(kind.tokens("a teapot <s>").contains(&"teapot".to_owned()));
}

#[test]
fn tokenizers_that_cannot_read_every_text_are_refused() {
    for Unreadable { file, change, found } in UNREADABLE {
        let mut json = read_fixture(file);
        change(&mut json);
        let error = Tokenizer::parse("a.json", json.to_string().as_bytes(), SHAPE).unwrap_err();
        let expected = "a.json: expected an unknown token that its vocabulary has, found ";
        assert_eq!(error.to_string(), format!("{expected}{found}"), "{file}");
    }
}

#[test]
fn a_vocabulary_of_all_bytes_needs_no_unknown_token() {
    for file in ["tokenizers/byte-level.json", "tokenizers/byte-fallback.json"] {
        for none in [json!(null), json!("")] {
            let mut json = read_fixture(file);
            json["model"]["unk_token"] = none;
            let tokenizer = Tokenizer::parse(file, json.to_string().as_bytes(), SHAPE).unwrap();
            assert!(tokenizer.encode_str(0, "日本\u{10fffd}").unwrap().n_tokens > 6, "{file}");
        }
    }
}

#[test]
fn token_types_that_the_model_is_not_given_are_refused() {
    for (file, part, found) in [
        ("tiny-bert/tokenizer.json", "/post_processor/single/1/Sequence/type_id", "1"),
        ("tokenizers/unigram.json", "/post_processor/single/0/SpecialToken/type_id", "2"),
    ] {
        let mut json = read_fixture(file);
        *json.pointer_mut(part).unwrap() = json!(found.parse::<u32>().unwrap());
        let alone = json.to_string();
        json["post_processor"] =
            json!({"type": "Sequence", "processors": [json["post_processor"].take()]});
        for json in [alone, json.to_string()] {
            let error = Tokenizer::parse("a.json", json.as_bytes(), SHAPE).unwrap_err().to_string();
            let expected = "a.json: expected token type 0 throughout the template for one text";
            assert_eq!(error, format!("{expected}, found {found}"), "{file}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn no_text_has_a_control_token(texts in prop::collection::vec(texts(), 1..4)) {
        for kind in KINDS.iter() {
            let texts: Vec<_> = texts.iter().map(|text| format!("{text}.")).collect(); // not blank
            let text = Input::Text(Text::new(0, texts[0].clone(), &LIMITS).unwrap());
            let turns: Vec<_> = texts.iter().map(|text| (Role::User, text.as_str())).collect();
            for input in [text, conversation(&turns)] {
                for window in kind.tokenizer.encode_input(0, &input).unwrap().windows {
                    let found = inner(&[window]).into_iter().find(|id| kind.control.contains(id));
                    prop_assert_eq!(found, None, "{}: {:?}", kind.name, input);
                }
            }
        }
    }

    #[test]
    fn texts_without_such_names_are_read_as_the_library_reads_them(text in ordinary_texts()) {
        for kind in KINDS.iter() {
            let theirs = kind.library.encode(text.as_str(), false).unwrap();
            let ours = kind.tokenizer.encode_str(0, &text).unwrap();
            let cut = kind.tokenizer.windows.cut(theirs.get_ids(), theirs.get_offsets());
            prop_assert_eq!(ours.windows, cut, "{}: {:?}", kind.name, text);
        }
    }
}

fn conversation(turns: &[(Role, &str)]) -> Input {
    let turn = |&(role, content): &(Role, &str)| Turn { role, content: content.into() };
    Input::Conversation(Conversation::new(0, turns.iter().map(turn).collect(), &LIMITS).unwrap())
}

/// Texts of words, names of control tokens, and fragments of such names.
fn texts() -> impl Strategy<Value = String> {
    let parts = [WORDS, CONTROL_NAMES, FRAGMENTS].concat();
    let parts = prop::collection::vec(prop::sample::select(parts), 0..24);
    prop_oneof![1 => any::<String>(), 8 => parts.prop_map(|parts| parts.concat())]
}

fn ordinary_texts() -> impl Strategy<Value = String> {
    let parts = prop::collection::vec(prop::sample::select(WORDS), 0..40);
    let parts = parts.prop_map(|parts| parts.concat());
    let random =
        "[^<>\\[\\]\u{fe64}\u{fe65}\u{ff1c}\u{ff1e}\u{ff3b}\u{ff3d}\u{fe47}\u{fe48}\u{10ffff}]*";
    prop_oneof![1 => random, 8 => parts]
}

/// A change to a file after which its tokenizer cannot handle every text.
struct Unreadable {
    file: &'static str,
    change: fn(&mut Value),
    found: &'static str,
}

const UNREADABLE: &[Unreadable] = &[
    Unreadable {
        file: "tiny-bert/tokenizer.json",
        change: |file| file["model"]["unk_token"] = json!("[WHAT]"),
        found: "\"[WHAT]\", which the vocabulary lacks",
    },
    Unreadable {
        file: "tokenizers/byte-level.json",
        change: |file| file["model"]["unk_token"] = json!("<what>"),
        found: "\"<what>\", which the vocabulary lacks",
    },
    Unreadable {
        file: "tokenizers/unigram.json",
        change: |file| file["model"]["unk_id"] = json!(null),
        found: "none, and a vocabulary that lacks some bytes",
    },
    Unreadable {
        file: "tokenizers/byte-fallback.json",
        change: |file| {
            file["model"]["unk_token"] = json!(null);
            file["model"]["byte_fallback"] = json!(false);
        },
        found: "none, and a vocabulary that lacks some bytes",
    },
    Unreadable {
        file: "tokenizers/unigram.json",
        change: |file| {
            *file = word_level();
            file["model"]["unk_token"] = json!("<what>");
        },
        found: "\"<what>\", which the vocabulary lacks",
    },
];
const WORDS: &[&str] = &[
    "tea", " cake", "please", " ", "  ", "\n", ".", "mask", " user: ", "s", "É", "日本", "😀",
    "<b>", "[note]", " TEA", "<0x41>", "a<b", "[1]", "</p>", "e\u{301}", "##ing", "\u{2581}",
    "\u{120}",
];
const FRAGMENTS: &[&str] = &[
    "<",
    ">",
    "/s",
    "[",
    "]",
    "MASK",
    "SE",
    "P",
    "|",
    "\u{200b}",
    "\u{0}",
    "＜",
    "＞",
    "［",
    "］",
    "\u{10ffff}",
    "\u{fffd}",
    "\u{ad}",
    "[mask]",
    "<S>",
    "<\u{200b}/s>",
    "＜mask＞",
    "a\u{301}",
];
const LIMITS: Limits = Limits { max_texts: 8, max_chars: 1_000_000 };
