//! The families of encoders: their tensor names and differences, as data rather than code.

/// A model class, as named by `architectures` in `config.json`.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) architecture: &'static str,
    /// Row of the first token in the position table.
    pub(super) first_position: usize,
    pub(super) embeddings: EmbeddingNames,
    /// Module name of a layer; `{}` stands for the index of the layer.
    pub(super) layer: &'static str,
    /// Module names relative to `layer`.
    pub(super) layer_names: LayerNames,
    pub(super) head: HeadNames,
    /// Module of the encoder; checkpoints of the encoder alone omit this prefix.
    pub(super) base: &'static str,
    /// Modules that together hold all parameters.
    pub(super) parts: &'static [&'static str],
}

#[derive(Debug)]
pub(super) struct EmbeddingNames {
    pub(super) word: &'static str,
    pub(super) position: &'static str,
    pub(super) token_type: &'static str,
    pub(super) norm: &'static str,
}

#[derive(Debug)]
pub(super) struct LayerNames {
    pub(super) query: &'static str,
    pub(super) key: &'static str,
    pub(super) value: &'static str,
    pub(super) attention_output: &'static str,
    pub(super) attention_norm: &'static str,
    pub(super) intermediate: &'static str,
    pub(super) output: &'static str,
    pub(super) output_norm: &'static str,
}

#[derive(Debug)]
pub(super) struct HeadNames {
    /// Applied to the first token, followed by tanh.
    pub(super) dense: &'static str,
    pub(super) classifier: &'static str,
}

impl Family {
    pub(super) fn find(architecture: &str) -> Option<&'static Self> {
        FAMILIES.iter().find(|family| family.architecture == architecture)
    }

    /// Returns the names of all families, for error messages.
    pub(super) fn known() -> String {
        FAMILIES.iter().map(|family| family.architecture).collect::<Vec<_>>().join(", ")
    }

    /// Returns whether a tensor belongs to one of the parts.
    pub(super) fn has_part(&self, tensor: &str) -> bool {
        let is_below =
            |part: &&str| tensor.strip_prefix(part).is_some_and(|rest| rest.starts_with('.'));
        self.parts.iter().any(is_below)
    }

    /// Returns the full name of a module in a layer.
    pub(super) fn in_layer(&self, layer: usize, name: &str) -> String {
        format!("{}.{name}", self.layer.replace("{}", &layer.to_string()))
    }
}

const FAMILIES: &[Family] = &[Family {
    architecture: "BertForSequenceClassification",
    first_position: 0,
    embeddings: EmbeddingNames {
        word: "bert.embeddings.word_embeddings",
        position: "bert.embeddings.position_embeddings",
        token_type: "bert.embeddings.token_type_embeddings",
        norm: "bert.embeddings.LayerNorm",
    },
    layer: "bert.encoder.layer.{}",
    layer_names: LayerNames {
        query: "attention.self.query",
        key: "attention.self.key",
        value: "attention.self.value",
        attention_output: "attention.output.dense",
        attention_norm: "attention.output.LayerNorm",
        intermediate: "intermediate.dense",
        output: "output.dense",
        output_norm: "output.LayerNorm",
    },
    head: HeadNames { dense: "bert.pooler.dense", classifier: "classifier" },
    base: "bert",
    parts: &["bert.embeddings", "bert.encoder.layer", "bert.pooler", "classifier"],
}];
