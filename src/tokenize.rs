//! Tokenises texts into windows of token ids that fit the model; the only user of the `tokenizers`
//! crate.

mod control;
mod encoded_input;
mod template;
mod unknown;
mod window;

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use tokenizers::Tokenizer as Library;

pub use self::encoded_input::EncodedInput;
use self::template::Template;
pub use self::window::Window;
pub use self::window::Windows;
use crate::error::Error;
use crate::error::Result;
use crate::text::Lexicon;
use crate::text::Text;

/// A tokenizer with the special tokens of its model and the size of its window.
pub struct Tokenizer {
    library: Library, // neither truncates nor pads
    windows: Windows,
    lexicon: Option<Lexicon>, // present if obfuscated texts are also normalised
}

/// A tokenised text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The windows, at least one, in the order of the text.
    pub windows: Vec<Window>,
    /// Number of tokens of the text, special tokens counted once.
    pub n_tokens: usize,
}

impl Tokenizer {
    /// Parses `tokenizer.json`; `file` is its name in errors. Fails if the tokenizer cannot handle
    /// every text or does not fit the model.
    pub fn parse(file: &str, json: &[u8], shape: WindowShape) -> Result<Self> {
        let fault = |expected: &str, found: String| Error::Artifact {
            file: file.into(),
            expected: expected.into(),
            found,
        };
        let (mut tokenizer, unk_id) =
            read(json).map_err(|cause| fault("a tokenizer", cause.to_string()))?;
        if let Some((expected, found)) = unmet_requirement(&tokenizer, unk_id) {
            return Err(fault(expected, found));
        }
        let (prefix, suffix) = special_tokens(&tokenizer)
            .filter(|(prefix, _)| !prefix.is_empty()) // the head reads the first token
            .ok_or_else(|| fault("a special token before the text", "none".into()))?;
        let vocab = tokenizer.get_vocab(true).into_values();
        let ids = vocab.chain(prefix.iter().copied()).chain(suffix.iter().copied());
        let largest = ids.max().unwrap_or(0);
        if largest as usize >= shape.vocab_size {
            let found = format!("token id {largest}");
            return Err(fault(&format!("token ids below {}", shape.vocab_size), found));
        }
        let windows = Windows::new(prefix, suffix, shape.max_tokens, shape.overlap)?;
        let lexicon = shape.normalise.then(|| Lexicon::new(words(&tokenizer)));
        control::read_as_text(&mut tokenizer, unk_id)
            .map_err(|cause| fault("a tokenizer", cause.to_string()))?;
        Ok(Self { library: tokenizer, windows, lexicon })
    }

    /// Tokenises a text of any length; `index` is its index in the request, for errors.
    pub fn encode(&self, index: usize, text: &Text) -> Result<Encoded> {
        self.encode_str(index, text.as_str())
    }

    fn encode_str(&self, index: usize, text: &str) -> Result<Encoded> {
        let encoding = self
            .library
            .encode(control::without_reserved(text), false)
            .map_err(|cause| Error::Encode { index, source: Arc::from(cause) })?;
        let windows = self.windows.cut(encoding.get_ids(), encoding.get_offsets());
        let n_tokens = encoding.len() + self.windows.n_special();
        Ok(Encoded { windows, n_tokens })
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tokenizer").field("windows", &self.windows).finish_non_exhaustive()
    }
}

/// The window settings of a model.
#[derive(Debug, Clone, Copy)]
pub struct WindowShape {
    /// Number of rows of the model's embedding table.
    pub vocab_size: usize,
    /// Maximum tokens in a window, special tokens included.
    pub max_tokens: usize,
    /// Number of tokens that neighbouring windows share.
    pub overlap: usize,
    /// Whether obfuscated texts are scored in normalised form too.
    pub normalise: bool,
}

/// The parts of a tokenizer file that are parsed here in addition to what the library keeps.
#[derive(Deserialize)]
struct TokenizerFile {
    /// Not used, but the library panics on a decoder that is incomplete.
    #[serde(rename = "decoder")]
    _decoder: Option<Value>,
    model: Model,
}

/// The parts of a model that the library does not expose.
#[derive(Deserialize)]
struct Model {
    #[serde(default)]
    unk_id: Option<usize>, // of Unigram models
}

/// Parses a tokenizer without its truncation and padding; returns it with the id of its unknown
/// token, if the file gives one.
fn read(json: &[u8]) -> tokenizers::Result<(Library, Option<usize>)> {
    let TokenizerFile { model: Model { unk_id }, .. } = serde_json::from_slice(json)?;
    let mut tokenizer = Library::from_bytes(json)?;
    // A file may contain the truncation and padding it was last used with.
    tokenizer.with_truncation(None)?.with_padding(None);
    Ok((tokenizer, unk_id))
}

/// Returns the first requirement that a tokenizer does not meet: what was expected, what was found.
fn unmet_requirement(tokenizer: &Library, unk_id: Option<usize>) -> Option<(&'static str, String)> {
    let template = tokenizer.get_post_processor().map(Template::from_processor).unwrap_or_default();
    let unknown = unknown::fault(tokenizer.get_model(), unk_id)
        .map(|found| ("an unknown token that its vocabulary has", found));
    let invalid_piece = || {
        template
            .invalid_piece()
            .map(|found| ("a template whose special tokens are declared", found))
    };
    let odd_type = || template.nonzero_token_type().map(|odd| (ONE_TOKEN_TYPE, odd.to_string()));
    unknown.or_else(invalid_piece).or_else(odd_type)
}

/// The embedding of token type 0 is added to every token.
const ONE_TOKEN_TYPE: &str = "token type 0 throughout the template for one text";

/// Returns the whole words of a vocabulary in the order of their ids, which is roughly by
/// frequency.
fn words(tokenizer: &Library) -> impl Iterator<Item = String> {
    const MARKS: [char; 2] = ['\u{120}', '\u{2581}'];
    let mut vocab: Vec<_> = tokenizer.get_vocab(false).into_iter().collect();
    vocab.sort_by_key(|(_, id)| *id);
    // Two families of tokenizers mark tokens that follow a space; the third marks those that do
    // not, with ##.
    let is_marked = vocab.iter().any(|(token, _)| token.starts_with(MARKS));
    vocab.into_iter().filter_map(move |(token, _)| match token.strip_prefix(MARKS) {
        Some(word) => Some(word.to_owned()),
        None => (!is_marked).then_some(token),
    })
}

/// Returns the special tokens that the tokenizer adds before and after a text, found with a sample.
fn special_tokens(tokenizer: &Library) -> Option<(Vec<u32>, Vec<u32>)> {
    const PROBE: &str = "a";
    let bare = tokenizer.encode(PROBE, false).ok()?;
    let full = tokenizer.encode(PROBE, true).ok()?;
    let n_before =
        full.get_special_tokens_mask().iter().take_while(|&&special| special == 1).count();
    let n_after = full.len().checked_sub(n_before + bare.len())?;
    let ids = full.get_ids();
    (ids[n_before..ids.len() - n_after] == *bare.get_ids())
        .then(|| (ids[..n_before].to_vec(), ids[ids.len() - n_after..].to_vec()))
}

#[cfg(test)]
mod tests;
