//! Loads an engine from a source: fetches, checks, loads and warms up its model.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tracing::info;
use tracing::warn;

use crate::engine::group::EngineGroup;
use crate::engine::instance::Engine;
use crate::engine::load_request::LoadRequest;
use crate::engine::memory::Memory;
use crate::error::Error;
use crate::error::Result;
use crate::metrics::Metrics;
use crate::model::ActivationSource;
use crate::model::Artifact;
use crate::model::HeadSettings;
use crate::model::HubSettings;
use crate::model::LoadPriority;
use crate::model::LoadSettings;
use crate::model::Model;
use crate::model::ModelCard;
use crate::model::Overrides;
use crate::model::PolicyFile;
use crate::model::Source;
use crate::policy::Policy;
use crate::score::Activation;
use crate::score::Mapping;

/// The settings for loading engines, reused for each load.
#[derive(Debug, Clone)]
pub struct Loader {
    /// Policy files that replace the model's own policy, read again on each load.
    pub policies: Vec<PathBuf>,
    /// The operator's settings for the classification heads, by slot name; they apply to any model
    /// in the slot.
    pub heads: BTreeMap<Option<String>, HeadSettings>,
    /// Settings for access to a model hub.
    pub hub: HubSettings,
    /// Settings for loading models.
    pub load: LoadSettings,
    /// The group that the engines join.
    pub group: EngineGroup,
    /// Where to read the available memory.
    pub memory: Memory,
}

impl Loader {
    /// Loads the first model of a slot; this may take minutes.
    pub fn load(
        &self,
        slot: Option<&str>,
        source: &Source,
        metrics: Arc<Metrics>,
    ) -> Result<Engine> {
        let model = Model::load(self.open(slot, source)?, &self.load)?;
        self.announce(slot, &model);
        Engine::join(model, &self.group, metrics)
    }

    /// Loads a model while another is serving. Fails if its weights do not have the requested
    /// SHA-256, or if it does not fit into memory.
    pub fn load_beside(
        &self,
        slot: Option<&str>,
        LoadRequest { source, sha256, .. }: &LoadRequest,
        metrics: Arc<Metrics>,
    ) -> Result<Engine> {
        let priority = LoadPriority::Idle;
        let artifact = priority.run(|| self.open(slot, source))?;
        if let Some(expected) = sha256.as_ref().filter(|expected| *expected != artifact.sha256()) {
            return Err(Error::Artifact {
                file: artifact.to_string(),
                expected: format!("weights of SHA-256 {expected}"),
                found: artifact.sha256().into(),
            });
        }
        self.memory.check(&artifact)?;
        let model = Model::load_with(artifact, &self.load, priority)?;
        self.announce(slot, &model);
        Engine::join(model, &self.group, metrics)
    }

    fn open(&self, slot: Option<&str>, source: &Source) -> Result<Artifact> {
        let policies = self.policies.iter().map(|path| PolicyFile::open(path));
        let policies = policies.collect::<Result<_>>()?;
        Artifact::open(source, Overrides { policies, head: self.head(slot) }, self.hub.clone())
    }

    /// Returns the operator's settings for the head of the model in a slot.
    fn head(&self, slot: Option<&str>) -> HeadSettings {
        self.heads.get(&slot.map(str::to_owned)).cloned().unwrap_or_default()
    }

    fn announce(&self, slot: Option<&str>, Model { card, scorer, mappings, .. }: &Model) {
        let policies: Vec<_> =
            mappings.iter().map(|mapping| mapping.policy().reference()).collect();
        info!(
            model = card.reference(),
            source = card.source,
            revision = card.revision,
            sha256 = card.sha256,
            architecture = card.architecture,
            parameters = card.n_parameters,
            stored_dtype = card.stored_dtype,
            dtype = card.dtype,
            device = card.device,
            threads = self.load.threads,
            replicas = self.load.replicas,
            activation = card.activation.name(),
            activation_source = card.activation_source.name(),
            policies = policies.join(", "),
            calibration = card.calibration,
            "loaded the model"
        );
        if card.activation_source == ActivationSource::Default && card.labels.len() > 1 {
            warn!(
                model = card.reference(),
                "config.json has no problem_type: softmax, as transformers has it; where a text \
                 may have several labels, use --activation sigmoid"
            );
        }
        let has_benign_labels = !self.head(slot).benign_labels.is_empty();
        for mapping in mappings {
            announce_policy(mapping);
        }
        match mappings.as_slice() {
            [mapping, ..] if !card.has_policy => announce_labels(card, mapping.policy()),
            _ if has_benign_labels => {
                warn!(model = card.reference(), "--benign-label is not used: there is a policy");
            }
            _ => {}
        }
        if scorer.calibration.version.is_none() {
            warn!("no calibration.json: scores are as the model gives them, not calibrated");
        }
    }
}

/// Logs which labels of a model its policy does not use, and which names in the policy are unknown.
fn announce_policy(mapping: &Mapping) {
    let policy = mapping.policy().reference();
    let labels = mapping.unused_labels().join(", ");
    if !labels.is_empty() {
        info!(policy, labels, "the policy does not use these labels of the model");
    }
    for source in mapping.unknown_sources() {
        warn!(
            policy,
            "ignored in a namespace: {source} is neither a category of the policy nor a label of \
             the model"
        );
    }
}

/// Logs how the labels of a model without a policy are judged.
fn announce_labels(card: &ModelCard, policy: &Policy) {
    warn!(
        model = card.reference(),
        ignored_labels = policy.ignored_labels.join(", "),
        "no policy.toml: every label of the model that does not stand for harmless texts is a \
         category, with a threshold of 0.5"
    );
    let is_exclusive = card.activation == Activation::Softmax;
    if is_exclusive && policy.ignored_labels.is_empty() {
        warn!(
            model = card.reference(),
            labels = card.labels.join(", "),
            "no label is known to stand for harmless texts, and one of the labels always has a \
             high score: name it with --benign-label, or write a policy.toml"
        );
    }
}
