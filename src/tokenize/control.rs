//! Control tokens: tokens that a tokenizer adds around texts, and that no text may produce.

use std::borrow::Cow;
use std::collections::HashSet;

use tokenizers::AddedToken;
use tokenizers::Model;
use tokenizers::ModelWrapper;
use tokenizers::Result;
use tokenizers::Tokenizer as Library;
use tokenizers::models::bpe::BPE;
use tokenizers::models::bpe::Merges;
use tokenizers::models::bpe::Vocab;
use tokenizers::models::unigram::Unigram;
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::models::wordpiece::WordPiece;

use super::template::Template;
use super::unknown;
use crate::text::is_control_name;

/// Makes a tokenizer treat the names of its control tokens like any other text.
///
/// The library's own option is not enough: it only applies to special tokens, while the name of a
/// control token may be declared as an ordinary token or be a word of the vocabulary. So all
/// control tokens are declared special, and their names in the vocabulary are prefixed with a
/// character that no text has: see `without_reserved`. Their ids stay the same, for the template
/// and for unknown words.
pub(super) fn read_as_text(tokenizer: &mut Library, unk_id: Option<usize>) -> Result<()> {
    let ids = control_ids(tokenizer);
    let added = tokenizer.get_added_tokens_decoder().into_iter();
    let added: Vec<_> = added.filter(|(id, _)| ids.contains(id)).map(|(_, token)| token).collect();
    let mut names: HashSet<String> = added.iter().map(|token| token.content.clone()).collect();
    tokenizer.add_special_tokens(added.into_iter().map(|token| token.special(true)))?;
    tokenizer.set_encode_special_tokens(true);

    let model = tokenizer.get_model();
    let vocab = model.get_vocab().into_iter();
    names.extend(vocab.filter(|(_, id)| ids.contains(id)).map(|(name, _)| name));
    names.extend(unknown::token(model, unk_id));
    if falls_back(model) {
        names.retain(|name| !is_byte(name)); // the library looks these up by name
    }
    let model = HiddenNames { names }.model(model, unk_id)?;
    tokenizer.with_model(model);
    Ok(())
}

/// Returns a text without the character that prefixes the names of control tokens.
///
/// It is a noncharacter, which is not used in interchange, and is replaced by another one that is
/// as long in UTF-8 and as unknown to any tokenizer.
pub(super) fn without_reserved(text: &str) -> Cow<'_, str> {
    if text.contains(RESERVED) { text.replace(RESERVED, REPLACEMENT).into() } else { text.into() }
}

/// Returns the ids that no text may produce, except for that of the unknown token, which any
/// unknown word may produce.
pub(super) fn control_ids(tokenizer: &Library) -> HashSet<u32> {
    let added = tokenizer.get_added_tokens_decoder().into_iter();
    let declared = added.filter(|(_, token)| is_control(token)).map(|(id, _)| id);
    let template = tokenizer.get_post_processor().map(Template::from_processor).unwrap_or_default();
    let vocab = tokenizer.get_vocab(false).into_iter();
    let named = vocab.filter(|(name, _)| is_control_name(name)).map(|(_, id)| id);
    declared.chain(template.control_ids()).chain(named).collect()
}

fn is_control(token: &AddedToken) -> bool {
    token.special || is_control_name(&token.content)
}

/// Returns whether unknown characters are split into byte tokens.
fn falls_back(model: &ModelWrapper) -> bool {
    match model {
        ModelWrapper::WordPiece(_) | ModelWrapper::WordLevel(_) => false,
        ModelWrapper::BPE(model) => model.byte_fallback,
        ModelWrapper::Unigram(model) => model.byte_fallback(),
    }
}

/// Returns whether a token is a byte token, such as `<0x0A>`.
fn is_byte(name: &str) -> bool {
    let digits = name.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
    digits.is_some_and(|digits| digits.len() == 2 && u8::from_str_radix(digits, 16).is_ok())
}

/// Names to be hidden in a vocabulary.
struct HiddenNames {
    names: HashSet<String>,
}

impl HiddenNames {
    /// Returns the same model with these names replaced by ones that no text can contain.
    fn model(&self, model: &ModelWrapper, unk_id: Option<usize>) -> Result<ModelWrapper> {
        Ok(match model {
            ModelWrapper::WordPiece(model) => WordPiece::builder()
                .vocab(self.vocab(model))
                .unk_token(self.name(model.unk_token.clone()))
                .continuing_subword_prefix(model.continuing_subword_prefix.clone())
                .max_input_chars_per_word(model.max_input_chars_per_word)
                .build()?
                .into(),
            ModelWrapper::WordLevel(model) => WordLevel::builder()
                .vocab(self.vocab(model))
                .unk_token(self.name(model.unk_token.clone()))
                .build()?
                .into(),
            ModelWrapper::BPE(model) => self.bpe(model)?.into(),
            ModelWrapper::Unigram(model) => {
                let pieces = model.iter().cloned();
                let pieces = pieces.map(|(name, score)| (self.name(name), score)).collect();
                Unigram::from(pieces, unk_id, model.byte_fallback())?.into()
            }
        })
    }

    fn bpe(&self, model: &BPE) -> Result<BPE> {
        let mut builder = BPE::builder()
            .vocab_and_merges(self.vocab(model), self.merges(model)?)
            .fuse_unk(model.fuse_unk)
            .byte_fallback(model.byte_fallback)
            .ignore_merges(model.ignore_merges);
        if let Some(dropout) = model.dropout {
            builder = builder.dropout(dropout);
        }
        if let Some(token) = &model.unk_token {
            builder = builder.unk_token(self.name(token.clone()));
        }
        if let Some(prefix) = &model.continuing_subword_prefix {
            builder = builder.continuing_subword_prefix(prefix.clone());
        }
        if let Some(suffix) = &model.end_of_word_suffix {
            builder = builder.end_of_word_suffix(suffix.clone());
        }
        builder.build()
    }

    /// Returns the merges, in order, without those from or into a hidden name.
    fn merges(&self, model: &BPE) -> Result<Merges> {
        // The library exposes the merges only in serialised form.
        let mut written = serde_json::to_value(model)?;
        let merges: Merges = serde_json::from_value(written["merges"].take())?;
        let prefix = model.continuing_subword_prefix.as_deref().unwrap_or("");
        let is_kept = |(left, right): &(String, String)| {
            let whole = format!("{left}{}", right.strip_prefix(prefix).unwrap_or(right));
            [left, right, &whole].into_iter().all(|name| !self.names.contains(name))
        };
        Ok(merges.into_iter().filter(is_kept).collect())
    }

    fn vocab(&self, model: &impl Model) -> Vocab {
        model.get_vocab().into_iter().map(|(name, id)| (self.name(name), id)).collect()
    }

    fn name(&self, name: String) -> String {
        if self.names.contains(&name) { format!("{RESERVED}{name}") } else { name }
    }
}

const RESERVED: char = '\u{10ffff}';
const REPLACEMENT: &str = "\u{10fffe}";
