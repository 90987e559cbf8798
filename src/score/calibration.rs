//! Raw scores to probabilities, per category; read from `calibration.json`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::Error;
use crate::error::Result;

/// How the log-odds of each category become a probability.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// Which fit it is, as answers of `/v1/models` carry it; `None` if scores are as the model gave them.
    pub version: Option<String>,
    /// In the order of the policy's categories.
    pub categories: Vec<Platt>,
}

/// Platt scaling: p = sigmoid(scale * log-odds + offset).
///
/// J. Platt, "Probabilistic outputs for support vector machines", 1999.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platt {
    /// Above 0, so that the order of texts stays.
    pub scale: f64,
    /// Any number.
    pub offset: f64,
}

impl Calibration {
    /// Leaves the scores of `n_categories` as they are.
    pub fn identity(n_categories: usize) -> Self {
        Self { version: None, categories: vec![Platt::IDENTITY; n_categories] }
    }

    /// Reads `calibration.json`, which must name exactly the categories in `ids`; `file` is named in errors.
    pub fn parse(file: &str, json: &[u8], ids: &[String]) -> Result<Self> {
        let fault = |expected: String, found: String| Error::Artifact {
            file: file.into(),
            expected,
            found,
        };
        let mut raw: CalibrationFile = serde_json::from_slice(json)
            .map_err(|cause| fault("a calibration".into(), cause.to_string()))?;
        let mut categories = Vec::with_capacity(ids.len());
        for id in ids {
            let platt = raw.categories.remove(id).ok_or_else(|| {
                fault(format!("category {id:?} of the policy"), "no such category".into())
            })?;
            if !(platt.scale > 0.0 && platt.scale.is_finite() && platt.offset.is_finite()) {
                let found = format!("{} and {}", platt.scale, platt.offset);
                return Err(fault(format!("a scale above 0 and an offset for {id:?}"), found));
            }
            categories.push(platt);
        }
        if let Some(id) = raw.categories.keys().next() {
            let found = format!("category {id:?}");
            return Err(fault(format!("categories of the policy ({})", ids.join(", ")), found));
        }
        let Method::Platt = raw.method;
        Ok(Self { version: Some(raw.version), categories })
    }
}

impl Platt {
    /// Leaves a score as it is.
    pub const IDENTITY: Self = Self { scale: 1.0, offset: 0.0 };

    /// The probability, from 0 to 1.
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
    categories: BTreeMap<String, Platt>,
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

    const JSON: &str = r#"{"method": "platt", "version": "t1", "categories": {
        "b": {"scale": 2.0, "offset": -1.0}, "a": {"scale": 0.5, "offset": 0.25}}}"#;

    fn parse(json: &str, ids: &[&str]) -> Result<Calibration> {
        let ids: Vec<String> = ids.iter().map(|&id| id.to_owned()).collect();
        Calibration::parse("calibration.json", json.as_bytes(), &ids)
    }

    #[test]
    fn categories_come_in_the_order_of_the_policy() {
        let calibration = parse(JSON, &["a", "b"]).unwrap();
        assert_eq!(calibration.version.as_deref(), Some("t1"));
        assert_eq!(calibration.categories[1], Platt { scale: 2.0, offset: -1.0 });
    }

    #[test]
    fn a_calibration_of_another_policy_is_refused() {
        for (json, ids, message) in [
            (JSON.to_owned(), &["a", "b", "c"][..], "expected category \"c\" of the policy"),
            (JSON.to_owned(), &["a"], "found category \"b\""),
            (JSON.replace("2.0", "-2.0"), &["a", "b"], "expected a scale above 0"),
            (JSON.replace("platt", "magic"), &["a", "b"], "unknown variant `magic`"),
            (JSON.replace("offset", "ofset"), &["a", "b"], "unknown field `ofset`"),
        ] {
            let error = parse(&json, ids).unwrap_err().to_string();
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
