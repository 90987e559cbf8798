//! A model folder: reads its files and checks that they are consistent.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::error::Error;
use crate::error::Result;
use crate::model::config::Config;
use crate::model::hub::HubSettings;
use crate::model::self_test::SelfTest;
use crate::model::source::Fetched;
use crate::model::source::Files;
use crate::model::source::Source;
use crate::model::weights::Weights;
use crate::policy::Policy;
use crate::policy::benign_labels;
use crate::score::Activation;
use crate::score::Calibration;
use crate::score::Mapping;
use crate::score::Scorer;
use crate::text_file;

/// The files of a model, read and checked for consistency, but not yet loaded.
#[derive(Debug)]
pub struct Artifact {
    pub(super) files: Files,
    pub(super) name: String,
    pub(super) revision: Option<String>,
    pub(super) config: Config,
    pub(super) tokenizer: Cow<'static, [u8]>,
    pub(super) weights: Weights,
    pub(super) scorer: Scorer,
    pub(super) mappings: Vec<Arc<Mapping>>,
    pub(super) has_policy: bool,
    pub(super) self_test: SelfTest,
}

impl Artifact {
    /// Reads `config.json`, `tokenizer.json`, the weights and, if present, `policy.toml`,
    /// `calibration.json` and `self_test.jsonl`.
    pub fn open(source: &Source, overrides: Overrides, hub: HubSettings) -> Result<Self> {
        let Fetched { files, name, revision } = source.fetch(hub)?;
        let mut config = read_config(&files)?;
        // Errors that do not depend on the weights are reported before gigabytes are read. The
        // exception is a config.json without labels: it gets a default number of labels, which may
        // be the real cause of an error, so that number is checked against the head first.
        let mut parts = Parts::open(&files, &mut config, overrides);
        if !config.has_default_labels {
            parts = Ok(parts?);
        }
        let weights = Weights::open(&files, config.family)?;
        check_head(&files, &config, &weights)?;
        let Parts { scorer, mappings, has_policy, self_test, tokenizer } = parts?;
        Ok(Self {
            files,
            name,
            revision,
            config,
            tokenizer,
            weights,
            scorer,
            mappings,
            has_policy,
            self_test,
        })
    }

    /// Returns the hexadecimal SHA-256 of the weights.
    pub fn sha256(&self) -> &str {
        &self.weights.sha256
    }

    /// Returns the number of parameters.
    pub fn n_parameters(&self) -> usize {
        self.weights.n_parameters()
    }
}

impl fmt::Display for Artifact {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.fmt(formatter)
    }
}

/// The parts of a model other than its configuration and weights.
struct Parts {
    scorer: Scorer,
    mappings: Vec<Arc<Mapping>>,
    has_policy: bool,
    self_test: SelfTest,
    tokenizer: Cow<'static, [u8]>,
}

impl Parts {
    /// Reads the files and checks them and the operator's overrides against the configuration.
    fn open(files: &Files, config: &mut Config, overrides: Overrides) -> Result<Self> {
        let Overrides { policies, head } = overrides;
        if let Some(activation) = head.activation {
            config.override_activation(activation)?;
        }
        let labels = &config.labels;
        let named = || named_policies(files, &policies, config, &head);
        let calibration = match files.read(CALIBRATION)? {
            Some(json) => Calibration::parse(&files.display(CALIBRATION), &json, labels, named)?,
            None => Calibration::identity(labels.len()),
        };
        let self_test = read_self_test(files, labels, named)?;
        let tokenizer = files.require(TOKENIZER)?;
        let mut has_policy = true;
        let mappings = if policies.is_empty() {
            let own = read_policy(files)?;
            has_policy = own.is_some();
            let derived = || PolicyFile::from_labels(files, config, &head.benign_labels);
            vec![map_own(own.map_or_else(derived, Ok)?, labels)?]
        } else {
            check_ids(&policies)?;
            let resolve =
                |PolicyFile { file, policy }| Mapping::new(&file, policy, labels).map(Arc::new);
            policies.into_iter().map(resolve).collect::<Result<_>>()?
        };
        let scorer = Scorer { activation: config.activation, calibration };
        Ok(Self { scorer, mappings, has_policy, self_test, tokenizer })
    }
}

/// Returns the policies whose categories an older calibration or self-test may name: the model's
/// own, the one derived from its labels, and the operator's.
fn named_policies(
    files: &Files,
    policies: &[PolicyFile],
    config: &Config,
    head: &HeadSettings,
) -> Result<Vec<Policy>> {
    let own = read_policy(files)?;
    let from_labels = PolicyFile::from_labels(files, config, &head.benign_labels).ok();
    let candidates = own.into_iter().chain(from_labels).chain(policies.iter().cloned());
    Ok(candidates.map(|candidate| candidate.policy).collect())
}

fn read_self_test(
    files: &Files,
    labels: &[String],
    named: impl FnOnce() -> Result<Vec<Policy>>,
) -> Result<SelfTest> {
    if let Some(lines) = files.read(SELF_TEST)? {
        return SelfTest::parse(&files.display(SELF_TEST), &lines, labels, &[]);
    }
    match files.read(CANARIES)? {
        Some(lines) => SelfTest::parse(&files.display(CANARIES), &lines, labels, &named()?),
        None => Ok(SelfTest::default()),
    }
}

/// The operator's settings, which replace those in the model's files.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Policies that replace the model's own; empty to keep it.
    pub policies: Vec<PolicyFile>,
    /// Overrides of the classification head.
    pub head: HeadSettings,
}

/// The operator's overrides of the classification head; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeadSettings {
    /// Activation that replaces the one in `config.json`.
    pub activation: Option<Activation>,
    /// Labels that stand for harmless texts; one string may hold several, separated by commas. Used
    /// only if there is no policy.
    pub benign_labels: Vec<String>,
}

/// A policy and the file that it comes from.
#[derive(Debug, Clone)]
pub struct PolicyFile {
    /// File name, for error messages.
    pub file: String,
    /// The parsed policy.
    pub policy: Policy,
}

impl PolicyFile {
    /// Reads a policy file of the operator.
    pub fn open(path: &Path) -> Result<Self> {
        let toml = text_file::read(path)?;
        let file = path.display().to_string();
        let policy = Policy::parse(&file, &toml)?;
        Ok(Self { file, policy })
    }

    /// Returns the policy of a model without reading its weights; if the model has none, returns
    /// one derived from its labels.
    pub fn from_model(source: &Source, head: &HeadSettings, hub: HubSettings) -> Result<Self> {
        let files = source.fetch(hub)?.files;
        match read_policy(&files)? {
            Some(own) => Ok(own),
            None => Self::from_labels(&files, &read_config(&files)?, &head.benign_labels),
        }
    }

    /// Creates a policy with one category per label, except for labels that stand for harmless
    /// texts: the recognised ones and those in `benign_names`.
    fn from_labels(files: &Files, config: &Config, benign_names: &[String]) -> Result<Self> {
        let (file, labels) = (files.display(CONFIG), &config.labels);
        let mut benign = benign_labels(labels);
        for name in benign_names {
            benign.extend(find_labels(name, labels)?);
        }
        let ignored: Vec<_> =
            labels.iter().filter(|label| benign.contains(label)).cloned().collect();
        if ignored.len() == labels.len() {
            return Err(Error::Artifact {
                file,
                expected: "a label that stands for a violation, or a policy.toml that says what \
                           each label stands for"
                    .into(),
                found: format!("labels of harmless texts only ({})", ignored.join(", ")),
            });
        }
        Ok(Self { file, policy: Policy::from_labels(labels, ignored) })
    }
}

/// Returns the label with this name, or else the labels of a comma-separated list.
fn find_labels(name: &str, labels: &[String]) -> Result<Vec<String>> {
    if let Some(label) = labels.iter().find(|label| *label == name) {
        return Ok(vec![label.clone()]);
    }
    let find = |part: &str| {
        let label = labels.iter().find(|label| *label == part.trim());
        label.cloned().ok_or_else(|| Error::Config {
            name: "benign-label",
            reason: format!(
                "{:?} is no label of the model; its labels are {}",
                part.trim(),
                labels.join(", ")
            ),
        })
    };
    name.split(',').map(find).collect()
}

/// Checks that no two policies have the same id: requests refer to a policy by its id.
fn check_ids(policies: &[PolicyFile]) -> Result<()> {
    let mut ids = HashSet::new();
    match policies.iter().find(|candidate| !ids.insert(&candidate.policy.id)) {
        None => Ok(()),
        Some(duplicate) => Err(Error::Artifact {
            file: duplicate.file.clone(),
            expected: "an id that no other policy has".into(),
            found: format!("{:?}", duplicate.policy.id),
        }),
    }
}

/// Resolves the model's own policy against its labels. Unlike an operator's policy, it must use or
/// ignore every label, and the sources of all names must be known.
fn map_own(own: PolicyFile, labels: &[String]) -> Result<Arc<Mapping>> {
    let PolicyFile { file, policy } = own;
    let mapping = Mapping::new(&file, policy, labels)?;
    if let Some(label) = mapping.unused_labels().first() {
        return Err(Error::Artifact {
            file,
            expected: "every label of the model in a category or in ignored_labels".into(),
            found: format!("label {label:?} in neither"),
        });
    }
    if let Some(source) = mapping.unknown_sources().first() {
        return Err(Error::Artifact {
            file,
            expected: "ids of categories or labels of the model".into(),
            found: source.clone(),
        });
    }
    Ok(Arc::new(mapping))
}

/// If `config.json` gives neither names nor a number of labels, checks that the head has two
/// outputs, the default of transformers.
fn check_head(files: &Files, config: &Config, weights: &Weights) -> Result<()> {
    let classifier = format!("{}.weight", config.family.head.classifier);
    match weights.shape(&classifier) {
        Some([n_outputs, _]) if config.has_default_labels && *n_outputs != config.labels.len() => {
            Err(Error::Artifact {
                file: files.display(CONFIG),
                expected: format!("id2label with the names of the {n_outputs} outputs of the head"),
                found: "neither id2label nor num_labels, which stands for two".into(),
            })
        }
        // Any other mismatch is reported, with both shapes, by `Weights::take`.
        _ => Ok(()),
    }
}

fn read_config(files: &Files) -> Result<Config> {
    Config::parse(&files.display(CONFIG), &files.require(CONFIG)?)
}

/// Reads the policy in the folder, if there is one.
fn read_policy(files: &Files) -> Result<Option<PolicyFile>> {
    let Some(toml) = files.read(POLICY)? else { return Ok(None) };
    let file = files.display(POLICY);
    let policy = Policy::parse(&file, &toml)?;
    Ok(Some(PolicyFile { file, policy }))
}

const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
const POLICY: &str = "policy.toml";
const CALIBRATION: &str = "calibration.json";
const SELF_TEST: &str = "self_test.jsonl";
const CANARIES: &str = "canaries.jsonl"; // former name of self_test.jsonl
