//! Calibrates raw scores to probabilities, per label of the model; read from `calibration.json`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error as _;

use crate::error::Error;
use crate::error::Result;
use crate::json::OrderedMap;
use crate::policy::Policy;

/// The mapping of log-odds to probabilities, per label.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// The version of the fit, as reported by `/v1/models`; `None` if scores are uncalibrated.
    pub version: Option<String>,
    /// The parameters of each label, in the order of the head's labels.
    pub labels: Vec<Platt>,
}

/// Platt scaling: p = sigmoid(scale * log-odds + offset).
///
/// J. Platt, "Probabilistic outputs for support vector machines", 1999.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platt {
    /// The slope; above 0, so that the ranking of texts is preserved.
    pub scale: f64,
    /// The intercept; any finite number.
    pub offset: f64,
}

impl Calibration {
    /// Creates the calibration that leaves the scores of `n_labels` labels unchanged.
    pub fn identity(n_labels: usize) -> Self {
        Self { version: None, labels: vec![Platt::IDENTITY; n_labels] }
    }

    /// Parses `calibration.json`, which must name exactly the labels of the model; `file` is named
    /// in errors.
    ///
    /// Older files name categories instead, which are resolved by the first policy with exactly
    /// these category ids, or else by the first policy. `policies` is called only for such files.
    pub fn parse(
        file: &str,
        json: &[u8],
        labels: &[String],
        policies: impl FnOnce() -> Result<Vec<Policy>>,
    ) -> Result<Self> {
        let raw: CalibrationFile = serde_json::from_slice(json)
            .map_err(|cause| fault(file, "a calibration", cause.to_string()))?;
        let Method::Platt = raw.method;
        let mut calibration = Self::identity(labels.len());
        calibration.version = Some(raw.version.clone());
        for (name, platt) in raw.by_label(file, labels, policies)? {
            let index = labels.iter().position(|label| *label == name).ok_or_else(|| {
                let expected = format!("labels of the model ({})", labels.join(", "));
                fault(file, &expected, format!("{name:?}"))
            })?;
            if !(platt.scale > 0.0 && platt.scale.is_finite() && platt.offset.is_finite()) {
                let expected = format!("a scale above 0 and an offset for {name:?}");
                let found = format!("{} and {}", platt.scale, platt.offset);
                return Err(fault(file, &expected, found));
            }
            calibration.labels[index] = platt;
        }
        Ok(calibration)
    }
}

impl CalibrationFile {
    /// Returns the scale and the offset of each label; in an older file they belong to the
    /// categories of a policy.
    fn by_label(
        self,
        file: &str,
        labels: &[String],
        policies: impl FnOnce() -> Result<Vec<Policy>>,
    ) -> Result<BTreeMap<String, Platt>> {
        match (self.labels, self.categories) {
            (Some(found), None) => match labels.iter().find(|label| !found.contains_key(*label)) {
                Some(label) => {
                    let expected = format!("label {label:?} of the model");
                    Err(fault(file, &expected, "no such label".into()))
                }
                None => Ok(found),
            },
            (None, Some(found)) => {
                let policies = policies()?;
                let is_named = |policy: &&Policy| has_ids(policy, &found);
                match policies.iter().find(is_named).or(policies.first()) {
                    Some(policy) => by_label(file, found, policy),
                    None => Ok(found),
                }
            }
            (None, None) => {
                Err(fault(file, "labels, with a scale and an offset each", "none".into()))
            }
            (Some(_), Some(_)) => Err(fault(file, "labels alone", "labels and categories".into())),
        }
    }
}

fn has_ids(policy: &Policy, found: &BTreeMap<String, Platt>) -> bool {
    policy.categories.len() == found.len()
        && policy.categories.iter().all(|category| found.contains_key(&category.id))
}

/// Converts an older file from categories to labels. The file must name every category of the
/// policy, and each category must have one label of its own.
fn by_label(
    file: &str,
    mut found: BTreeMap<String, Platt>,
    policy: &Policy,
) -> Result<BTreeMap<String, Platt>> {
    let mut by_label = BTreeMap::new();
    for category in &policy.categories {
        let id = &category.id;
        let platt = found.remove(id).ok_or_else(|| {
            fault(file, &format!("category {id:?} of the policy"), "no such category".into())
        })?;
        let [label] = category.labels.as_slice() else {
            let found = format!("categories, of which {id:?} has several labels");
            return Err(fault(file, "labels in place of categories", found));
        };
        if by_label.insert(label.clone(), platt).is_some() {
            let found = format!("categories, of which two have the label {label:?}");
            return Err(fault(file, "labels in place of categories", found));
        }
    }
    match found.keys().next() {
        None => Ok(by_label),
        Some(id) => {
            let expected = format!("categories of the policy ({})", policy.ids().join(", "));
            Err(fault(file, &expected, format!("category {id:?}")))
        }
    }
}

fn fault(file: &str, expected: &str, found: String) -> Error {
    Error::Artifact { file: file.into(), expected: expected.into(), found }
}

impl Platt {
    /// Leaves scores unchanged.
    pub const IDENTITY: Self = Self { scale: 1.0, offset: 0.0 };

    /// Returns the calibrated probability, from 0 to 1.
    pub fn probability(self, log_odds: f64) -> f32 {
        let exponent = -(self.scale * log_odds + self.offset);
        #[expect(clippy::cast_possible_truncation, reason = "a probability fits")]
        let probability = (1.0 / (1.0 + exponent.exp())) as f32;
        probability
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CalibrationFile {
    method: Method,
    version: String,
    #[serde(default, deserialize_with = "distinct")]
    labels: Option<BTreeMap<String, Platt>>,
    #[serde(default, deserialize_with = "distinct")]
    categories: Option<BTreeMap<String, Platt>>, // in older files
}

/// Deserialises a map whose names are distinct.
fn distinct<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BTreeMap<String, Platt>>, D::Error> {
    let Some(OrderedMap(entries)) = Option::deserialize(deserializer)? else { return Ok(None) };
    let mut map = BTreeMap::new();
    for (name, platt) in entries {
        match map.entry(name) {
            Entry::Vacant(entry) => _ = entry.insert(platt),
            Entry::Occupied(entry) => {
                return Err(D::Error::custom(format_args!("two entries for {:?}", entry.key())));
            }
        }
    }
    Ok(Some(map))
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Method {
    Platt,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const JSON: &str = r#"{"method": "platt", "version": "t1", "labels": {
        "b": {"scale": 2.0, "offset": -1.0}, "a": {"scale": 0.5, "offset": 0.25}}}"#;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn parse(json: &str, labels: &[&str], policies: Vec<Policy>) -> Result<Calibration> {
        Calibration::parse("calibration.json", json.as_bytes(), &names(labels), || Ok(policies))
    }

    /// Parses a file that names labels; panics if the policies are requested.
    fn parse_new(json: &str, labels: &[&str]) -> Result<Calibration> {
        let unasked = || panic!("a policy was asked for");
        Calibration::parse("calibration.json", json.as_bytes(), &names(labels), unasked)
    }

    /// Creates a policy of categories with these ids and labels.
    fn policy(categories: &[(&str, &[&str])]) -> Policy {
        let mut policy = Policy::from_labels(&names(&vec!["x"; categories.len()]), Vec::new());
        for (category, (id, labels)) in policy.categories.iter_mut().zip(categories) {
            category.id = (*id).to_owned();
            category.labels = names(labels);
        }
        policy
    }

    #[test]
    fn labels_come_in_the_order_of_the_head() {
        let calibration = parse_new(JSON, &["a", "b"]).unwrap();
        assert_eq!(calibration.version.as_deref(), Some("t1"));
        assert_eq!(calibration.labels[1], Platt { scale: 2.0, offset: -1.0 });
    }

    #[test]
    fn a_calibration_of_another_model_is_refused() {
        for (json, labels, message) in [
            (JSON.to_owned(), &["a", "b", "c"][..], "expected label \"c\" of the model"),
            (JSON.to_owned(), &["a"], "expected labels of the model (a), found \"b\""),
            (JSON.replace("2.0", "-2.0"), &["a", "b"], "expected a scale above 0"),
            (JSON.replace("platt", "magic"), &["a", "b"], "unknown variant `magic`"),
            (JSON.replace("offset", "ofset"), &["a", "b"], "unknown field `ofset`"),
            (JSON.replace("\"b\"", "\"a\""), &["a"], "two entries for \"a\""),
            (r#"{"method": "platt", "version": "t1"}"#.into(), &["a"], "expected labels, with a"),
            (
                JSON.replace("\"labels\"", "\"categories\": {}, \"labels\""),
                &["a", "b"],
                "expected labels alone, found labels and categories",
            ),
        ] {
            let error = parse_new(&json, labels).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn older_files_name_the_categories_of_a_policy() {
        let old = JSON.replace("labels", "categories");
        // The labels are swapped; an ignored label stays uncalibrated.
        let own = policy(&[("a", &["b"]), ("b", &["a"])]);
        let scales = |policies| {
            let calibration = parse(&old, &["a", "b", "fine"], policies).unwrap();
            calibration.labels.iter().map(|platt| platt.scale).collect::<Vec<_>>()
        };
        assert_eq!(scales(vec![own.clone()]), [2.0, 0.5, 1.0]);
        // Of several policies, the one with exactly these categories is used.
        let other = policy(&[("a", &["a"]), ("c", &["b"])]);
        let more = policy(&[("a", &["a"]), ("b", &["b"]), ("c", &["fine"])]);
        assert_eq!(scales(vec![other, more, own]), [2.0, 0.5, 1.0]);
        assert_eq!(scales(Vec::new()), [0.5, 2.0, 1.0], "of none, the labels");
        for (own, message) in [
            (
                policy(&[("a", &["a"])]),
                "expected categories of the policy (a), found category \"b\"",
            ),
            (policy(&[("a", &["a"]), ("c", &["b"])]), "expected category \"c\" of the policy"),
            (policy(&[("a", &["a"]), ("b", &["b", "a"])]), "of which \"b\" has several labels"),
            (policy(&[("a", &["a"]), ("b", &["a"])]), "of which two have the label \"a\""),
        ] {
            let error = parse(&old, &["a", "b"], vec![own]).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn the_identity_is_the_sigmoid() {
        assert!((Platt::IDENTITY.probability(1.0) - 0.731_058_6).abs() < 1e-7);
        assert!(Platt::IDENTITY.probability(-1000.0) >= 0.0);
        assert!(Platt::IDENTITY.probability(1000.0) <= 1.0);
    }

    proptest! {
        #[test]
        fn calibration_keeps_the_order_of_texts(
            scale in 0.01_f64..10.0, offset in -5.0_f64..5.0, low in -30.0_f64..30.0, step in 0.0_f64..9.0,
        ) {
            let platt = Platt { scale, offset };
            prop_assert!(platt.probability(low) <= platt.probability(low + step));
        }
    }
}
