//! A model folder: what must be in it, and that its parts agree.

use std::borrow::Cow;

use crate::error::Result;
use crate::model::config::Config;
use crate::model::hub::HubSettings;
use crate::model::source::Fetched;
use crate::model::source::Files;
use crate::model::source::Source;
use crate::model::weights::Weights;
use crate::policy::Policy;
use crate::score::Calibration;
use crate::score::Scorer;

/// The files of a model, read and held against each other; not yet loaded.
#[derive(Debug)]
pub struct Artifact {
    pub(super) files: Files,
    pub(super) name: String,
    pub(super) revision: Option<String>,
    pub(super) config: Config,
    pub(super) tokenizer: Cow<'static, [u8]>,
    pub(super) weights: Weights,
    pub(super) policy: Policy,
    pub(super) has_policy: bool,
    pub(super) scorer: Scorer,
}

impl Artifact {
    /// Reads `config.json`, `tokenizer.json`, the weights and, if there, `policy.toml` and
    /// `calibration.json`. A policy given here replaces the model's own.
    pub fn open(source: &Source, own_policy: Option<OwnPolicy>, hub: HubSettings) -> Result<Self> {
        let Fetched { files, name, revision } = source.fetch(hub)?;
        let config = read_config(&files)?;
        let named = match own_policy {
            Some(own) => Some(own),
            None => read_policy(&files)?,
        };
        let has_policy = named.is_some();
        let named = named.unwrap_or_else(|| OwnPolicy::from_labels(&files, &config));
        let columns = named.policy.columns(&named.file, &config.labels)?;
        let calibration = match files.read(CALIBRATION)? {
            Some(json) => {
                Calibration::parse(&files.display(CALIBRATION), &json, &named.policy.ids())?
            }
            None => Calibration::identity(columns.len()),
        };
        let scorer = Scorer { activation: config.activation, columns, calibration };
        let tokenizer = files.require(TOKENIZER)?;
        let weights = Weights::open(&files, config.family.ignored)?;
        let policy = named.policy;
        Ok(Self { files, name, revision, config, tokenizer, weights, policy, has_policy, scorer })
    }
}

/// A policy with the file it was read from.
#[derive(Debug, Clone)]
pub struct OwnPolicy {
    /// Named in errors.
    pub file: String,
    /// What it says.
    pub policy: Policy,
}

impl OwnPolicy {
    /// The policy of a model without its weights, or one made from its labels.
    pub fn of_model(source: &Source, hub: HubSettings) -> Result<Self> {
        let files = source.fetch(hub)?.files;
        match read_policy(&files)? {
            Some(own) => Ok(own),
            None => Ok(Self::from_labels(&files, &read_config(&files)?)),
        }
    }

    fn from_labels(files: &Files, config: &Config) -> Self {
        Self { file: files.display(CONFIG), policy: Policy::from_labels(&config.labels) }
    }
}

fn read_config(files: &Files) -> Result<Config> {
    Config::parse(&files.display(CONFIG), &files.require(CONFIG)?)
}

/// The policy in the folder, if there is one.
fn read_policy(files: &Files) -> Result<Option<OwnPolicy>> {
    let Some(toml) = files.read(POLICY)? else { return Ok(None) };
    let file = files.display(POLICY);
    let policy = Policy::parse(&file, &toml)?;
    Ok(Some(OwnPolicy { file, policy }))
}

const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
const POLICY: &str = "policy.toml";
const CALIBRATION: &str = "calibration.json";
