//! From a source to an engine at work: fetched, checked, loaded, warmed up.

use std::path::PathBuf;
use std::sync::Arc;

use tracing::info;
use tracing::warn;

use crate::engine::Capacity;
use crate::engine::Engine;
use crate::engine::headroom;
use crate::error::Error;
use crate::error::Result;
use crate::metrics::Metrics;
use crate::model::Artifact;
use crate::model::HubSettings;
use crate::model::LoadSettings;
use crate::model::Model;
use crate::model::OwnPolicy;
use crate::model::Source;

/// Everything it takes to start an engine, again and again.
#[derive(Debug, Clone)]
pub struct Loader {
    /// Policies in place of the model's own, read anew each time.
    pub policies: Vec<PathBuf>,
    /// How to ask a hub.
    pub hub: HubSettings,
    /// How to load.
    pub load: LoadSettings,
    /// What it shares with the other models of the process.
    pub capacity: Capacity,
}

impl Loader {
    /// Loads the first model of a process; takes a second or more.
    pub fn load(&self, source: &Source, metrics: Arc<Metrics>) -> Result<Engine> {
        let model = Model::load(self.open(source)?, &self.load)?;
        self.announce(&model);
        Engine::join(model, &self.capacity, metrics)
    }

    /// Loads a model beside another that serves: only if it is the one meant, and if it fits.
    pub fn load_beside(
        &self,
        source: &Source,
        sha256: Option<&str>,
        metrics: Arc<Metrics>,
    ) -> Result<Engine> {
        let artifact = self.open(source)?;
        if let Some(expected) = sha256.filter(|expected| *expected != artifact.sha256()) {
            return Err(Error::Artifact {
                file: artifact.to_string(),
                expected: format!("weights of SHA-256 {expected}"),
                found: artifact.sha256().into(),
            });
        }
        headroom::check(&artifact)?;
        let model = Model::load(artifact, &self.load)?;
        self.announce(&model);
        Engine::join(model, &self.capacity, metrics)
    }

    fn open(&self, source: &Source) -> Result<Artifact> {
        let policies = self.policies.iter().map(|path| OwnPolicy::open(path));
        Artifact::open(source, policies.collect::<Result<_>>()?, self.hub)
    }

    fn announce(&self, Model { card, rulesets, .. }: &Model) {
        let policies: Vec<_> = rulesets.iter().map(|ruleset| ruleset.policy.reference()).collect();
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
            policies = policies.join(", "),
            calibration = card.calibration,
            "loaded the model"
        );
        if !card.has_policy {
            warn!(
                "no policy.toml: every label of the model is a category, with a threshold of 0.5"
            );
        }
        if card.calibration.is_none() {
            warn!("no calibration.json: scores are as the model gives them, not calibrated");
        }
    }
}
