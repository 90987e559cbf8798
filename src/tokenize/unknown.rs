//! How a tokenizer handles characters that its vocabulary lacks.

use tokenizers::Model;
use tokenizers::ModelWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

/// Returns why a tokenizer cannot handle every text, if so; the library would fail or lose
/// characters only at the first text with an unknown character.
pub(super) fn fault(model: &ModelWrapper, unk_id: Option<usize>) -> Option<String> {
    match token(model, unk_id) {
        Some(token) if model.token_to_id(&token).is_some() => None,
        Some(token) => Some(format!("{token:?}, which the vocabulary lacks")),
        None if has_every_byte(model) => None,
        None => Some("none, and a vocabulary that lacks some bytes".into()),
    }
}

/// Returns the unknown token, if any; some files of byte-level tokenizers write `""` for none.
pub(super) fn token(model: &ModelWrapper, unk_id: Option<usize>) -> Option<String> {
    match model {
        ModelWrapper::WordPiece(model) => Some(model.unk_token.clone()),
        ModelWrapper::WordLevel(model) => Some(model.unk_token.clone()),
        ModelWrapper::BPE(model) => model.unk_token.clone().filter(|token| !token.is_empty()),
        ModelWrapper::Unigram(model) => model.id_to_token(u32::try_from(unk_id?).ok()?),
    }
}

/// Returns whether every character can be split into byte tokens, so that none is unknown.
fn has_every_byte(model: &ModelWrapper) -> bool {
    let knows = |token: &str| model.token_to_id(token).is_some();
    let falls_back = matches!(model, ModelWrapper::BPE(model) if model.byte_fallback);
    if falls_back && (0..=u8::MAX).all(|byte| knows(&format!("<0x{byte:02X}>"))) {
        return true;
    }
    // UTF-8 does not use these bytes, which are written as Latin-1 letters.
    let is_unused = |letter: char| matches!(letter, '\u{c0}' | '\u{c1}' | '\u{f5}'..='\u{ff}');
    ByteLevel::alphabet()
        .into_iter()
        .all(|letter| is_unused(letter) || knows(letter.encode_utf8(&mut [0; 4])))
}
