//! Maps the tensor names of published checkpoints to those of the architecture.

use std::collections::BTreeMap;

use crate::model::family::Family;

/// The tensors of a checkpoint, by their names in the architecture.
#[derive(Debug, Default)]
pub(super) struct TensorNames {
    /// Architecture name -> stored name.
    pub(super) stored: BTreeMap<String, String>,
    /// Stored names of tensors that a classifier does not need, in order.
    pub(super) ignored: Vec<String>,
}

/// Why the names of a checkpoint cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NameError {
    /// Two stored names that stand for the same tensor of the architecture.
    Ambiguous { name: String, stored: [String; 2] },
    /// Stored names that no rule covers, in order.
    Unknown(Vec<String>),
}

impl TensorNames {
    /// Classifies every stored name as used or ignored; fails if a name is unknown or ambiguous.
    pub(super) fn resolve(
        family: &Family,
        stored: impl IntoIterator<Item = String>,
    ) -> Result<Self, NameError> {
        let mut names = Self::default();
        let mut unknown = Vec::new();
        for stored in stored {
            match canonical(family, &stored) {
                Role::Ignored => names.ignored.push(stored),
                Role::Unknown => unknown.push(stored),
                Role::Parameter(name) => {
                    if let Some(other) = names.stored.insert(name.clone(), stored.clone()) {
                        return Err(NameError::Ambiguous { name, stored: [other, stored] });
                    }
                }
            }
        }
        if unknown.is_empty() { Ok(names) } else { Err(NameError::Unknown(unknown)) }
    }

    /// Returns the tensors whose names differ, as (architecture name, stored name).
    pub(super) fn renamed(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.stored.iter().map(|(name, stored)| (name.as_str(), stored.as_str()));
        pairs.filter(|(name, stored)| name != stored)
    }
}

/// Role of a stored tensor.
#[derive(Debug, PartialEq, Eq)]
enum Role {
    /// A parameter of the classifier, by the architecture's name.
    Parameter(String),
    /// Part of another head or of a loss, or a buffer.
    Ignored,
    Unknown,
}

/// Applies the renaming rules in order; they work on the words between dots.
fn canonical(family: &Family, stored: &str) -> Role {
    let mut words: Vec<&str> = stored.split('.').filter(|word| !WRAPPERS.contains(word)).collect();
    while words.first() == Some(&OUTER_MODULE) && family.base != OUTER_MODULE {
        words.remove(0);
    }
    let (Some(&first), Some(&last)) = (words.first(), words.last()) else { return Role::Unknown };
    if LEFTOVER_MODULES.contains(&first) || BUFFERS.contains(&last) {
        return Role::Ignored;
    }
    if let [.., norm, last] = words.as_mut_slice()
        && norm.ends_with("LayerNorm")
    {
        *last = match *last {
            "gamma" => "weight",
            "beta" => "bias",
            other => other,
        };
    }
    let name = words.join(".");
    if family.has_part(&name) {
        return Role::Parameter(name);
    }
    let name = format!("{}.{name}", family.base);
    if family.has_part(&name) { Role::Parameter(name) } else { Role::Unknown }
}

/// Wrapper modules, removed at any depth: those of `DataParallel`, `DistributedDataParallel`,
/// `torch.compile`, FSDP and activation checkpointing.
const WRAPPERS: &[&str] =
    &["module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"];

/// Name that training code, such as a Lightning module, gives to the attribute that holds the
/// model.
const OUTER_MODULE: &str = "model";

/// Heads for pre-training and other tasks, and losses with weights of their own.
const LEFTOVER_MODULES: &[&str] =
    &["cls", "lm_head", "qa_outputs", "loss_fct", "loss_fn", "criterion"];

/// Constant buffers (0, 1, 2, ... or all zeros) that older releases of transformers stored.
const BUFFERS: &[&str] = &["position_ids", "token_type_ids"];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn bert() -> &'static Family {
        Family::find("BertForSequenceClassification").unwrap()
    }

    fn resolve(stored: &[&str]) -> Result<TensorNames, NameError> {
        TensorNames::resolve(bert(), stored.iter().map(|&name| name.to_owned()))
    }

    #[test]
    fn a_tensor_is_found_under_every_name_that_published_checkpoints_give_it() {
        let norm = "bert.embeddings.LayerNorm.weight";
        let query = "bert.encoder.layer.11.attention.self.query.bias";
        for (stored, name) in [
            (norm, norm),
            ("bert.embeddings.LayerNorm.gamma", norm),
            ("embeddings.LayerNorm.weight", norm),
            ("embeddings.LayerNorm.gamma", norm),
            ("module.bert.embeddings.LayerNorm.gamma", norm),
            ("_orig_mod.bert.embeddings.LayerNorm.weight", norm),
            ("model.bert.embeddings.LayerNorm.weight", norm),
            ("model.embeddings.LayerNorm.weight", norm),
            ("module._orig_mod.model.model.bert.embeddings.LayerNorm.weight", norm),
            ("model.bert._orig_mod.embeddings.LayerNorm.weight", norm),
            ("_fsdp_wrapped_module.bert.embeddings.LayerNorm.weight", norm),
            ("bert.embeddings.LayerNorm.beta", "bert.embeddings.LayerNorm.bias"),
            (query, query),
            ("encoder.layer.11.attention.self.query.bias", query),
            ("module.encoder.layer.11.attention.self.query.bias", query),
            (
                "encoder.layer.0.attention.output.LayerNorm.beta",
                "bert.encoder.layer.0.attention.output.LayerNorm.bias",
            ),
            ("pooler.dense.weight", "bert.pooler.dense.weight"),
            ("module.classifier.weight", "classifier.weight"),
            ("_orig_mod.classifier.bias", "classifier.bias"),
        ] {
            assert_eq!(canonical(bert(), stored), Role::Parameter(name.into()), "{stored}");
        }
    }

    #[test]
    fn heads_and_buffers_that_a_classifier_does_not_need_are_ignored() {
        for stored in [
            "cls.predictions.bias",
            "cls.predictions.transform.LayerNorm.gamma",
            "cls.seq_relationship.weight",
            "module.cls.predictions.bias",
            "lm_head.weight",
            "model.lm_head.bias",
            "qa_outputs.weight",
            "bert.embeddings.position_ids",
            "embeddings.position_ids",
            "module.bert.embeddings.token_type_ids",
            "loss_fct.pos_weight",
        ] {
            assert_eq!(canonical(bert(), stored), Role::Ignored, "{stored}");
        }
    }

    #[test]
    fn a_name_that_no_rule_covers_is_unknown() {
        for stored in [
            "",
            "model",
            "module.",
            "bert",
            "bertha.embeddings.LayerNorm.weight",
            "roberta.embeddings.LayerNorm.weight",
            "clsx.weight",
            "score.weight",
            "bert.score.weight",
            "classifier_2.weight",
            "encoder",
            "encoder.layers.0.attention.self.query.bias",
            "teacher.bert.embeddings.LayerNorm.weight",
        ] {
            assert_eq!(canonical(bert(), stored), Role::Unknown, "{stored}");
        }
    }

    #[test]
    fn two_tensors_that_are_the_same_one_are_refused_by_name() {
        let stored = ["bert.embeddings.LayerNorm.gamma", "bert.embeddings.LayerNorm.weight"];
        let fault = resolve(&stored).unwrap_err();
        let name = "bert.embeddings.LayerNorm.weight".to_owned();
        assert_eq!(fault, NameError::Ambiguous { name, stored: stored.map(str::to_owned) });
    }

    /// Generates tensor names: any prefix, any part of the model, either spelling of a norm.
    fn published() -> impl Strategy<Value = String> {
        let prefix = prop::sample::select(&["", "module.", "model.", "_orig_mod.", "bert."][..]);
        let rest = prop::sample::select(
            &[
                "embeddings.LayerNorm.gamma",
                "embeddings.LayerNorm.weight",
                "embeddings.position_ids",
                "pooler.dense.bias",
                "classifier.bias",
                "cls.predictions.bias",
                "score.bias",
            ][..],
        );
        (prefix.clone(), prefix, rest)
            .prop_map(|(outer, inner, rest)| outer.to_owned() + inner + rest)
    }

    proptest! {
        #[test]
        fn no_tensor_is_lost_or_used_twice(stored in prop::collection::btree_set(published(), 1..8)) {
            let roles: Vec<_> = stored.iter().map(|name| canonical(bert(), name)).collect();
            let used: Vec<_> = roles.iter().filter(|role| matches!(role, Role::Parameter(_))).collect();
            let is_ambiguous = (0..used.len()).any(|index| used[..index].contains(&used[index]));
            match TensorNames::resolve(bert(), stored.clone()) {
                Ok(names) => {
                    prop_assert!(!is_ambiguous);
                    let kept = names.stored.into_values().chain(names.ignored);
                    prop_assert_eq!(kept.collect::<BTreeSet<_>>(), stored);
                }
                Err(NameError::Ambiguous { name, stored: [one, other] }) => {
                    prop_assert!(one != other && stored.contains(&one) && stored.contains(&other));
                    prop_assert_eq!(canonical(bert(), &one), Role::Parameter(name.clone()));
                    prop_assert_eq!(canonical(bert(), &other), Role::Parameter(name));
                }
                Err(NameError::Unknown(names)) => {
                    prop_assert!(!names.is_empty() && !is_ambiguous);
                    prop_assert!(names.iter().all(|name| canonical(bert(), name) == Role::Unknown));
                }
            }
        }

        #[test]
        fn the_name_of_the_architecture_stands_for_itself(stored in published()) {
            if let Role::Parameter(name) = canonical(bert(), &stored) {
                prop_assert_eq!(canonical(bert(), &name), Role::Parameter(name.clone()));
            }
        }

        #[test]
        fn any_name_is_read_without_a_panic(stored in ".{0,40}") {
            let _ = canonical(bert(), &stored);
        }
    }
}
