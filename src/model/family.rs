//! What the families of encoders call their weights, and where they differ: data, not code.

/// One class of models, as `architectures` in `config.json` names it.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) architecture: &'static str,
    /// The position of the first token in the position table.
    pub(super) first_position: usize,
    pub(super) embeddings: EmbeddingNames,
    /// `{}` stands for the number of the layer.
    pub(super) layer: &'static str,
    /// Below `layer`.
    pub(super) layer_names: LayerNames,
    pub(super) head: HeadNames,
    /// The module of the encoder; checkpoints of the encoder alone leave its name out.
    pub(super) base: &'static str,
    /// The modules that hold all parameters.
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
    /// Applied to the first token, with a tanh behind it.
    pub(super) dense: &'static str,
    pub(super) classifier: &'static str,
}

impl Family {
    pub(super) fn find(architecture: &str) -> Option<&'static Self> {
        FAMILIES.iter().find(|family| family.architecture == architecture)
    }

    /// The names of all families, for an error.
    pub(super) fn known() -> String {
        FAMILIES.iter().map(|family| family.architecture).collect::<Vec<_>>().join(", ")
    }

    /// Whether a tensor is below one of the parts.
    pub(super) fn has_part(&self, tensor: &str) -> bool {
        let is_below =
            |part: &&str| tensor.strip_prefix(part).is_some_and(|rest| rest.starts_with('.'));
        self.parts.iter().any(is_below)
    }

    /// The full name of a module of a layer.
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
