//! Names of control tokens, which tokenizers put around and between texts and people do not write.

/// Returns whether a word is the name of a control token in one of the spellings that models use:
/// `[MASK]`, `</s>`, `<|endoftext|>`, `[unused12]`; case does not matter.
pub fn is_control_name(word: &str) -> bool {
    inner(word).is_some_and(|name| {
        let is_in = |names: &[&str]| names.iter().any(|other| name.eq_ignore_ascii_case(other));
        let is_piped = name.len() > 2 && name.starts_with('|') && name.ends_with('|');
        is_in(&NAMES) || is_unused(name) || (word.starts_with('<') && (is_in(&ENDS) || is_piped))
    })
}

/// Returns whether a name is that of a reserved vocabulary row, such as `unused12`.
fn is_unused(name: &str) -> bool {
    let (start, digits) = name.split_at_checked("unused".len()).unwrap_or_default();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    start.eq_ignore_ascii_case("unused") && is_number
}

/// Returns the length in bytes of the control token name that a text begins with, if any.
pub(super) fn control_name_at(text: &str) -> Option<usize> {
    let close = match text.as_bytes().first()? {
        b'[' => b']',
        b'<' => b'>',
        _ => return None,
    };
    let bytes = text.as_bytes().iter().take(MAX_BYTES);
    let len = 1 + bytes.into_iter().position(|&byte| byte == close)?;
    is_control_name(&text[..len]).then_some(len)
}

/// Returns the part between the brackets of a word that is wholly in square or angle brackets.
fn inner(word: &str) -> Option<&str> {
    let square = || word.strip_prefix('[')?.strip_suffix(']');
    word.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).or_else(square)
}

const NAMES: [&str; 7] = ["pad", "unk", "cls", "sep", "mask", "bos", "eos"];
/// Names of `SentencePiece`, recognised only in angle brackets.
const ENDS: [&str; 2] = ["s", "/s"];
/// The longest names in use are of the form `<|reserved_special_token_249|>`.
const MAX_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_the_spellings_of_every_kind_of_tokenizer() {
        for name in [
            "[MASK]",
            "[pad]",
            "[UNK]",
            "[CLS]",
            "[SEP]",
            "[BOS]",
            "<s>",
            "</s>",
            "<mask>",
            "<Pad>",
            "<unk>",
            "<eos>",
            "<|endoftext|>",
            "<|im_start|>",
            "[unused12]",
            "<unused7>",
            "[UNUSED0]",
        ] {
            assert!(is_control_name(name), "{name}");
            assert_eq!(control_name_at(&format!("{name}]> é")), Some(name.len()), "{name}");
        }
    }

    #[test]
    fn other_words_are_none() {
        for word in [
            "",
            "[",
            "<>",
            "[]",
            "mask",
            "[mask>",
            "<mask]",
            "[s]",
            "[/s]",
            "<b>",
            "<0x0A>",
            "<||>",
            "[note]",
            "[unused]",
            "[unused 1]",
            "[unused1a]",
            "[1]",
            "[ MASK ]",
            "<mask",
            "<é>",
        ] {
            assert!(!is_control_name(word), "{word}");
            assert_eq!(control_name_at(word), None, "{word}");
        }
    }
}
