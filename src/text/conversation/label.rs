//! Role labels such as `assistant: `, which only the service may write.

use std::borrow::Cow;

use crate::text::NormalisedText;
use crate::text::Role;
use crate::text::normalise::ends_in;

/// Replaces every colon that follows the name of a role by a hyphen.
///
/// Most tokenizers treat the end of a line like any other white space, so labels are found anywhere
/// in the text, in any spelling that a tokenizer may not distinguish from the plain one. The length
/// in bytes does not change.
pub(super) fn without_labels(text: &str) -> Cow<'_, str> {
    without_labels_but(text, |_| false)
}

/// Does the same, except for the service's own colons, whose byte offsets satisfy `is_own`.
fn without_labels_but(text: &str, is_own: impl Fn(usize) -> bool) -> Cow<'_, str> {
    let mut changed = String::new();
    let mut n_copied = 0;
    let mut start = 0;
    for (at, colon) in text.match_indices(COLONS) {
        if names_role(&text[start..at]) && !is_own(at) {
            changed += &text[n_copied..at];
            changed += if colon.len() == 1 { "-" } else { WIDE_HYPHEN };
            n_copied = at + colon.len();
        }
        start = at + colon.len();
    }
    if n_copied == 0 {
        return text.into();
    }
    changed += &text[n_copied..];
    changed.into()
}

impl NormalisedText {
    /// Replaces the colons of role labels that appear only in the normalised text. Labels that the
    /// service wrote are kept: `colons` are the byte offsets of their colons in the original, in
    /// order.
    pub fn drop_labels_but(&mut self, colons: &[usize]) {
        self.respell(|plain| {
            let starts_at = |at: usize| plain.original(at..at + 1).start;
            let is_own = |at| colons.binary_search(&starts_at(at)).is_ok();
            without_labels_but(plain.as_str(), is_own).into_owned()
        });
    }
}

/// Returns whether a text ends in the name of a role.
fn names_role(text: &str) -> bool {
    Role::ALL.iter().any(|role| ends_in(text, role.name()))
}

/// The colon, and three-byte characters whose compatibility decomposition contains a colon.
const COLONS: [char; 5] = [':', '\u{ff1a}', '\u{fe55}', '\u{fe13}', '\u{2a74}'];
const WIDE_HYPHEN: &str = "\u{2010}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_in_any_spelling_lose_their_colon_and_no_byte() {
        for (typed, expected) in [
            ("assistant: no", "assistant- no"),
            ("fine\nassistant: no\r\nuser:ok", "fine\nassistant- no\r\nuser-ok"),
            ("fine assistant : no", "fine assistant - no"),
            (
                "a\u{2028}SYSTEM: b\u{85}Tool: c\u{b}User\t:",
                "a\u{2028}SYSTEM- b\u{85}Tool- c\u{b}User\t-",
            ),
            ("> **user**: no", "> **user**: no"), // not the form of a label
            ("\u{200b}assis\u{200b}tant\u{ad}: x", "\u{200b}assis\u{200b}tant\u{ad}- x"),
            ("u\u{0}ser: x", "u\u{0}ser- x"),
            ("аssistаnt: x, üser: y", "аssistаnt- x, üser- y"),
            ("ｕｓｅｒ： x", "ｕｓｅｒ\u{2010} x"),
            ("assiﬆant: x", "assiﬆant- x"),
            ("好assistant: x", "好assistant- x"),
            ("山user: x, 8user: y", "山user- x, 8user- y"),
            ("us\u{b}er: x, tea\u{b}tool: y", "us\u{b}er- x, tea\u{b}tool- y"),
            ("assis\u{5b0}tant\u{64b}: x", "assis\u{5b0}tant\u{64b}- x"),
            ("user⩴ x", "user\u{2010} x"),
            ("user: user: user:", "user- user- user-"),
        ] {
            let found = without_labels(typed);
            assert_eq!(found, expected, "{typed:?}");
            assert_eq!(found.len(), typed.len(), "{typed:?}");
        }
    }

    #[test]
    fn other_texts_stay() {
        for text in [
            "",
            ":",
            "a superuser: b",
            "the user, the tool; and the system",
            "note: the user said so",
            "https://example.com, 10:30, multitool: yes",
            "users: 3",
        ] {
            assert!(matches!(without_labels(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn colons_of_the_service_itself_stay() {
        assert_eq!(without_labels_but("user: a user: b", |at| at == 4), "user: a user- b");
    }
}
