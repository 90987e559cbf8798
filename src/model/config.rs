//! The settings in a Hugging Face `config.json` that affect the computation.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::Error;
use crate::error::Result;
use crate::model::family::Family;
use crate::score::Activation;

/// The validated settings of a transformer classifier.
#[derive(Debug, Clone)]
pub(super) struct Config {
    pub(super) family: &'static Family,
    pub(super) vocab_size: usize,
    pub(super) hidden_size: usize,
    pub(super) intermediate_size: usize,
    pub(super) n_layers: usize,
    pub(super) n_heads: usize,
    pub(super) n_positions: usize,
    pub(super) n_token_types: usize,
    pub(super) layer_norm_eps: f64,
    pub(super) hidden_act: HiddenAct,
    pub(super) activation: Activation,
    pub(super) activation_source: ActivationSource,
    pub(super) labels: Vec<String>,
    /// Whether the file specifies neither the names nor the number of labels.
    pub(super) has_default_labels: bool,
}

/// Where the activation of the head was specified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivationSource {
    /// `problem_type` in `config.json`.
    Config,
    /// The default of transformers, as `config.json` has no `problem_type`.
    Default,
    /// An override by the operator.
    Flag,
}

/// The activation of the feed-forward network in a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HiddenAct {
    /// Exact GELU, computed with the error function.
    Gelu,
    /// The tanh approximation of GELU, only for models that were trained with it.
    GeluTanh,
    Relu,
}

impl Config {
    /// Parses `config.json`; `file` is named in errors.
    pub(super) fn parse(file: &str, json: &[u8]) -> Result<Self> {
        let reader = ConfigParser { file };
        let raw: ConfigFile = serde_json::from_slice(json)
            .map_err(|fault| reader.fault("the settings of a model", fault.to_string()))?;
        let family = reader.family(raw.architectures.as_deref())?;
        reader.check_supported(&raw)?;
        let labels = reader.labels(raw.id2label.as_ref(), raw.num_labels)?;
        let config = Self {
            family,
            vocab_size: raw.vocab_size,
            hidden_size: raw.hidden_size,
            intermediate_size: raw.intermediate_size,
            n_layers: raw.num_hidden_layers,
            n_heads: raw.num_attention_heads,
            n_positions: raw.max_position_embeddings,
            n_token_types: raw.type_vocab_size,
            layer_norm_eps: raw.layer_norm_eps,
            hidden_act: reader.hidden_act(&raw.hidden_act)?,
            activation: reader.activation(raw.problem_type.as_deref(), labels.len())?,
            activation_source: match raw.problem_type {
                Some(_) => ActivationSource::Config,
                None => ActivationSource::Default,
            },
            labels,
            has_default_labels: raw.id2label.is_none() && raw.num_labels.is_none(),
        };
        reader.check_sizes(&config)?;
        Ok(config)
    }

    /// Replaces the activation given in the file; fails for softmax with a single label.
    pub(super) fn override_activation(&mut self, activation: Activation) -> Result<()> {
        if activation == Activation::Softmax && self.labels.len() == 1 {
            let reason = "softmax is for several labels, and the model has one".into();
            return Err(Error::Config { name: "activation", reason });
        }
        (self.activation, self.activation_source) = (activation, ActivationSource::Flag);
        Ok(())
    }

    /// Returns the maximum window length in tokens, special tokens included.
    pub(super) fn max_window_tokens(&self) -> usize {
        self.n_positions.saturating_sub(self.family.first_position)
    }
}

impl ActivationSource {
    /// Returns the name shown in `/v1/models`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Config => "config.json",
            Self::Default => "default",
            Self::Flag => "flag",
        }
    }
}

/// The contents of the file. The many keys that have no effect here are ignored.
#[derive(Deserialize)]
struct ConfigFile {
    architectures: Option<Vec<String>>,
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    #[serde(default = "bert_layer_norm_eps")]
    layer_norm_eps: f64,
    hidden_act: String,
    problem_type: Option<String>,
    id2label: Option<BTreeMap<String, String>>,
    num_labels: Option<usize>,
    position_embedding_type: Option<String>,
    #[serde(default)]
    is_decoder: bool,
}

/// The default of transformers' `BertConfig`.
fn bert_layer_norm_eps() -> f64 {
    1e-12
}

/// Interprets the raw settings; every error names the file.
struct ConfigParser<'a> {
    file: &'a str,
}

impl ConfigParser<'_> {
    fn fault(&self, expected: impl Into<String>, found: impl Into<String>) -> Error {
        Error::Artifact { file: self.file.into(), expected: expected.into(), found: found.into() }
    }

    fn family(&self, architectures: Option<&[String]>) -> Result<&'static Family> {
        let expected = || format!("architectures of one of {}", Family::known());
        match architectures {
            Some([architecture]) => Family::find(architecture)
                .ok_or_else(|| self.fault(expected(), format!("{architecture:?}"))),
            Some(several) => Err(self.fault(expected(), format!("{several:?}"))),
            None => Err(self.fault(expected(), "none")),
        }
    }

    fn check_supported(&self, raw: &ConfigFile) -> Result<()> {
        if raw.is_decoder {
            return Err(self.fault("is_decoder false", "true"));
        }
        match raw.position_embedding_type.as_deref() {
            None | Some("absolute") => Ok(()),
            Some(other) => {
                Err(self.fault("position_embedding_type \"absolute\"", format!("{other:?}")))
            }
        }
    }

    fn hidden_act(&self, name: &str) -> Result<HiddenAct> {
        match name {
            "gelu" => Ok(HiddenAct::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Ok(HiddenAct::GeluTanh),
            "relu" => Ok(HiddenAct::Relu),
            other => Err(self.fault(
                "hidden_act \"gelu\", \"gelu_new\", \"gelu_pytorch_tanh\" or \"relu\"",
                format!("{other:?}"),
            )),
        }
    }

    /// Follows the text-classification pipeline of transformers: a head with one label, or one
    /// declared multi-label, gets a sigmoid, every other classifier a softmax.
    fn activation(&self, problem_type: Option<&str>, n_labels: usize) -> Result<Activation> {
        match problem_type {
            Some("multi_label_classification") => Ok(Activation::Sigmoid),
            Some("single_label_classification") | None if n_labels == 1 => Ok(Activation::Sigmoid),
            Some("single_label_classification") | None => Ok(Activation::Softmax),
            Some(other) => Err(self.fault(
                "problem_type \"multi_label_classification\" or \"single_label_classification\"",
                format!("{other:?}"),
            )),
        }
    }

    fn labels(
        &self,
        id2label: Option<&BTreeMap<String, String>>,
        num_labels: Option<usize>,
    ) -> Result<Vec<String>> {
        let Some(id2label) = id2label else {
            // transformers defaults to two labels; missing names are LABEL_0, LABEL_1, ...
            let n_labels = num_labels.unwrap_or(2);
            return Ok((0..n_labels).map(|label| format!("LABEL_{label}")).collect());
        };
        let mut labels = Vec::with_capacity(id2label.len());
        for id in 0..id2label.len() {
            let label = id2label.get(&id.to_string()).ok_or_else(|| {
                self.fault(
                    format!("id2label with ids 0 to {}", id2label.len() - 1),
                    format!("no id {id}"),
                )
            })?;
            if label.is_empty() || labels.contains(label) {
                return Err(
                    self.fault("id2label with a name for each", format!("{label:?} for id {id}"))
                );
            }
            labels.push(label.clone());
        }
        Ok(labels)
    }

    fn check_sizes(&self, config: &Config) -> Result<()> {
        for (name, size) in [
            ("vocab_size", config.vocab_size),
            ("hidden_size", config.hidden_size),
            ("intermediate_size", config.intermediate_size),
            ("num_hidden_layers", config.n_layers),
            ("num_attention_heads", config.n_heads),
            ("max_position_embeddings", config.n_positions),
            ("type_vocab_size", config.n_token_types),
            ("id2label", config.labels.len()),
        ] {
            if size == 0 || size > MAX_SIZE {
                return Err(self.fault(format!("{name} from 1 to {MAX_SIZE}"), size.to_string()));
            }
        }
        if !config.hidden_size.is_multiple_of(config.n_heads) {
            return Err(self.fault(
                format!("a hidden_size divisible by {} heads", config.n_heads),
                config.hidden_size.to_string(),
            ));
        }
        if !(config.layer_norm_eps.is_finite() && config.layer_norm_eps > 0.0) {
            return Err(self.fault("a layer_norm_eps above 0", config.layer_norm_eps.to_string()));
        }
        Ok(())
    }
}

/// Far above the sizes of any encoder (the vocabulary of XLM-R has 250,002 tokens), and small
/// enough that the product of two sizes does not overflow.
const MAX_SIZE: usize = 1 << 24;

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use super::*;

    fn config(changes: &[(&str, Value)]) -> Result<Config> {
        let mut json = json!({
            "architectures": ["BertForSequenceClassification"], "vocab_size": 10, "hidden_size": 8,
            "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "max_position_embeddings": 16, "type_vocab_size": 2, "hidden_act": "gelu",
            "id2label": {"0": "a", "1": "b"}, "unrelated": [1, 2],
        });
        for (key, value) in changes {
            json[key] = value.clone();
        }
        Config::parse("config.json", json.to_string().as_bytes())
    }

    #[test]
    fn the_activation_is_what_transformers_would_do() {
        let one = json!({"0": "a"});
        for (problem_type, id2label, activation) in [
            (json!("multi_label_classification"), None, Activation::Sigmoid),
            (json!("single_label_classification"), None, Activation::Softmax),
            (json!(null), None, Activation::Softmax),
            (json!(null), Some(&one), Activation::Sigmoid),
            (json!("single_label_classification"), Some(&one), Activation::Sigmoid),
        ] {
            let mut changes = vec![("problem_type", problem_type.clone())];
            changes.extend(id2label.map(|labels| ("id2label", labels.clone())));
            assert_eq!(config(&changes).unwrap().activation, activation, "{problem_type}");
        }
    }

    #[test]
    fn labels_are_named_as_transformers_names_them_when_the_file_does_not() {
        assert_eq!(config(&[("id2label", json!(null))]).unwrap().labels, ["LABEL_0", "LABEL_1"]);
    }

    #[test]
    fn what_we_cannot_compute_is_refused_by_name() {
        for (key, value, message) in [
            ("architectures", json!(["GPT2LMHeadModel"]), "found \"GPT2LMHeadModel\""),
            ("architectures", json!(null), "found none"),
            ("hidden_act", json!("swish"), "found \"swish\""),
            ("problem_type", json!("regression"), "found \"regression\""),
            ("position_embedding_type", json!("relative_key"), "found \"relative_key\""),
            ("is_decoder", json!(true), "expected is_decoder false"),
            ("num_attention_heads", json!(3), "divisible by 3 heads"),
            ("num_attention_heads", json!(0), "num_attention_heads from 1"),
            ("vocab_size", json!("many"), "invalid type"),
            ("id2label", json!({"0": "a", "2": "b"}), "found no id 1"),
            ("id2label", json!({"0": "a", "1": "a"}), "found \"a\" for id 1"),
            ("id2label", json!({}), "id2label from 1"),
            ("layer_norm_eps", json!(-1), "a layer_norm_eps above 0"),
        ] {
            let error = config(&[(key, value)]).unwrap_err().to_string();
            assert!(error.starts_with("config.json: expected"), "{key}: {error}");
            assert!(error.contains(message), "{key}: {error}");
        }
    }
}
