//! The special tokens that a tokenizer adds around a text, and checks for unsupported templates.

use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::processors::template::Piece;
use tokenizers::processors::template::Sequence;

/// The fields of a post-processor, of any type, that matter for a single text.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Template {
    single: Vec<Piece>,
    special_tokens: Map<String, Value>,
    cls: Option<(String, u32)>, // `cls` and `sep`: BERT and RoBERTa processors only
    sep: Option<(String, u32)>,
    processors: Vec<Template>, // `Sequence` processors only
}

/// A special token of a template, which may map to several ids.
#[derive(Debug, Deserialize)]
struct Special {
    ids: Vec<u32>,
}

impl Template {
    pub(super) fn from_processor(processor: &PostProcessorWrapper) -> Self {
        serde_json::to_value(processor)
            .and_then(serde_json::from_value)
            .expect("a serialised post-processor can be parsed")
    }

    /// Describes the first piece of the template that cannot be filled for a single text; the
    /// library would panic on it.
    pub(super) fn invalid_piece(&self) -> Option<String> {
        let own = self.single.iter().find_map(|piece| match piece {
            Piece::Sequence { id: Sequence::A, .. } => None,
            Piece::Sequence { id: Sequence::B, .. } => Some("a second text in the template".into()),
            Piece::SpecialToken { id, .. } if self.special_tokens.contains_key(id) => None,
            Piece::SpecialToken { id, .. } => Some(format!("unknown special token {id:?}")),
        });
        own.or_else(|| self.processors.iter().find_map(Self::invalid_piece))
    }

    /// Returns the first token type other than 0 in the template for one text; only type 0 is
    /// supported.
    pub(super) fn nonzero_token_type(&self) -> Option<u32> {
        let own = self.single.iter().map(|piece| match piece {
            Piece::Sequence { type_id, .. } | Piece::SpecialToken { type_id, .. } => *type_id,
        });
        let nested = self.processors.iter().filter_map(Self::nonzero_token_type);
        own.chain(nested).find(|&type_id| type_id != 0)
    }

    /// Returns the ids of control tokens.
    ///
    /// Excludes special tokens that map to several ids: these are ordinary words, such as `query:`.
    pub(super) fn control_ids(&self) -> Vec<u32> {
        let declared = self.special_tokens.values().filter_map(|value| {
            let Special { ids } = Special::deserialize(value).ok()?;
            <[u32; 1]>::try_from(ids).ok().map(|[id]| id)
        });
        let cls_and_sep = [&self.cls, &self.sep].into_iter().flatten().map(|(_, id)| *id);
        let nested = self.processors.iter().flat_map(Self::control_ids);
        declared.chain(cls_and_sep).chain(nested).collect()
    }
}
