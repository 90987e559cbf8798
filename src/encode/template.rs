//! What a tokenizer's template puts around a text, and what of it this service cannot do.

use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::processors::template::Piece;
use tokenizers::processors::template::Sequence;

/// The parts of a post-processor that matter for one text, of whatever type it is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Template {
    single: Vec<Piece>,
    special_tokens: Map<String, Value>,
    cls: Option<(String, u32)>, // BERT's and RoBERTa's have these two instead
    sep: Option<(String, u32)>,
    processors: Vec<Template>, // of a sequence
}

/// A token of a template, which may stand for several ids.
#[derive(Debug, Deserialize)]
struct Special {
    ids: Vec<u32>,
}

impl Template {
    pub(super) fn from_processor(processor: &PostProcessorWrapper) -> Self {
        serde_json::to_value(processor)
            .and_then(serde_json::from_value)
            .expect("a post-processor is written as it is read")
    }

    /// What the template names and the file does not have; the library would panic at the first
    /// text.
    pub(super) fn dangling(&self) -> Option<String> {
        let own = self.single.iter().find_map(|piece| match piece {
            Piece::Sequence { id: Sequence::A, .. } => None,
            Piece::Sequence { id: Sequence::B, .. } => Some("a second text in that for one".into()),
            Piece::SpecialToken { id, .. } if self.special_tokens.contains_key(id) => None,
            Piece::SpecialToken { id, .. } => Some(format!("unknown special token {id:?}")),
        });
        own.or_else(|| self.processors.iter().find_map(Self::dangling))
    }

    /// A token type other than 0 in the template for one text; models are given no other.
    pub(super) fn odd_token_type(&self) -> Option<u32> {
        let own = self.single.iter().map(|piece| match piece {
            Piece::Sequence { type_id, .. } | Piece::SpecialToken { type_id, .. } => *type_id,
        });
        own.chain(self.processors.iter().filter_map(Self::odd_token_type)).find(|&odd| odd != 0)
    }

    /// Ids of control tokens.
    ///
    /// A special token of several ids is a phrase in ordinary words, such as `query:`.
    pub(super) fn control_ids(&self) -> Vec<u32> {
        let of_template = self.special_tokens.values().filter_map(|value| {
            let Special { ids } = Special::deserialize(value).ok()?;
            <[u32; 1]>::try_from(ids).ok().map(|[id]| id)
        });
        let ends = [&self.cls, &self.sep].into_iter().flatten().map(|(_, id)| *id);
        let inner = self.processors.iter().flat_map(Self::control_ids);
        of_template.chain(ends).chain(inner).collect()
    }
}
