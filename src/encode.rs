//! Text to token ids, in windows that fit the model; the only user of the tokenizer.

mod reading;
mod window;

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use tokenizers::Tokenizer;
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::processors::template::Piece;
use tokenizers::processors::template::Sequence;

pub use self::reading::Reading;
pub use self::window::Window;
pub use self::window::Windows;
use crate::error::Error;
use crate::error::Result;
use crate::text::Lexicon;
use crate::text::Text;

/// A tokenizer with the special tokens of its model and the size of its window.
pub struct Encoder {
    tokenizer: Tokenizer, // neither truncates nor pads
    windows: Windows,
    lexicon: Option<Lexicon>, // there if disguised texts are read plain too
}

/// A text as the model reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// At least one, in the order of the text.
    pub windows: Vec<Window>,
    /// Tokens of the text, its special tokens counted once.
    pub n_tokens: usize,
}

impl Encoder {
    /// Reads `tokenizer.json`; `file` is named in errors.
    pub fn parse(file: &str, json: &[u8], shape: WindowShape) -> Result<Self> {
        let fault = |expected: &str, found: String| Error::Artifact {
            file: file.into(),
            expected: expected.into(),
            found,
        };
        let _: Readable = serde_json::from_slice(json)
            .map_err(|cause| fault("a tokenizer", cause.to_string()))?;
        let mut tokenizer =
            Tokenizer::from_bytes(json).map_err(|cause| fault("a tokenizer", cause.to_string()))?;
        // A file may carry the truncation and padding it was last used with.
        tokenizer
            .with_truncation(None)
            .map_err(|cause| fault("a tokenizer", cause.to_string()))?
            .with_padding(None);
        if let Some(found) = tokenizer.get_post_processor().and_then(dangling) {
            return Err(fault("a template of what there is", found));
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
        Ok(Self { tokenizer, windows, lexicon })
    }

    /// Encodes a text of any length; `index` is its place in the input, for the error.
    pub fn encode(&self, index: usize, text: &Text) -> Result<Encoded> {
        self.encode_str(index, text.as_str())
    }

    fn encode_str(&self, index: usize, text: &str) -> Result<Encoded> {
        let encoding = self
            .tokenizer
            .encode(text, false)
            .map_err(|cause| Error::Encode { index, source: Arc::from(cause) })?;
        let windows = self.windows.cut(encoding.get_ids(), encoding.get_offsets());
        let n_tokens = encoding.len() + self.windows.n_special();
        Ok(Encoded { windows, n_tokens })
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Encoder").field("windows", &self.windows).finish_non_exhaustive()
    }
}

/// How a model wants its windows.
#[derive(Debug, Clone, Copy)]
pub struct WindowShape {
    /// Rows of the model's embedding table.
    pub vocab_size: usize,
    /// The longest window, special tokens included.
    pub max_tokens: usize,
    /// Tokens that neighbouring windows share.
    pub overlap: usize,
    /// Whether disguised texts are read plain too.
    pub normalise: bool,
}

/// The part of a file that is of no use here, and that the library panics over if it is cut short.
#[derive(Deserialize)]
struct Readable {
    #[serde(rename = "decoder")]
    _decoder: Option<Value>,
}

/// What a template names and the file does not have; the library would panic at the first text.
fn dangling(processor: &PostProcessorWrapper) -> Option<String> {
    let template = match processor {
        PostProcessorWrapper::Template(template) => template,
        PostProcessorWrapper::Sequence(several) => {
            return several.as_ref().iter().find_map(dangling);
        }
        PostProcessorWrapper::Roberta(_)
        | PostProcessorWrapper::Bert(_)
        | PostProcessorWrapper::ByteLevel(_) => return None,
    };
    let pieces: Vec<Piece> = serde_json::to_value(&template.single)
        .and_then(serde_json::from_value)
        .expect("a template is a list of pieces");
    let known = &template.get_special_tokens().0;
    pieces.into_iter().find_map(|piece| match piece {
        Piece::Sequence { id: Sequence::A, .. } => None,
        Piece::Sequence { id: Sequence::B, .. } => Some("a second text in that for one".into()),
        Piece::SpecialToken { id, .. } if known.contains_key(&id) => None,
        Piece::SpecialToken { id, .. } => Some(format!("unknown special token {id:?}")),
    })
}

/// The whole words of a vocabulary in the order of their ids, which is roughly by frequency.
fn words(tokenizer: &Tokenizer) -> impl Iterator<Item = String> {
    const MARKS: [char; 2] = ['\u{120}', '\u{2581}'];
    let mut vocab: Vec<_> = tokenizer.get_vocab(false).into_iter().collect();
    vocab.sort_by_key(|(_, id)| *id);
    // Two families of tokenizers mark what follows a space; the third marks what does not, by ##.
    let is_marked = vocab.iter().any(|(token, _)| token.starts_with(MARKS));
    vocab.into_iter().filter_map(move |(token, _)| match token.strip_prefix(MARKS) {
        Some(word) => Some(word.to_owned()),
        None => (!is_marked).then_some(token),
    })
}

/// What the tokenizer puts before and after a text, found by looking at one.
fn special_tokens(tokenizer: &Tokenizer) -> Option<(Vec<u32>, Vec<u32>)> {
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
