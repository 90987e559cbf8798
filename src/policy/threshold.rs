//! The lowest score that violates a category.

use serde::Deserialize;
use serde::Serialize;

/// The lowest score, from 0 to 1, that violates a category; 1 disables the category.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Threshold(f32); // within 0..=1

impl Threshold {
    /// The threshold of a category that has not been tuned.
    pub const DEFAULT: Self = Self(0.5);

    /// The threshold that no score violates.
    pub const OFF: Self = Self(1.0);

    /// Returns the threshold as a score from 0 to 1.
    pub fn value(self) -> f32 {
        self.0
    }

    /// Returns whether a score violates the threshold; a threshold of 1 is never violated.
    pub fn is_violated_by(self, score: f32) -> bool {
        self.0 < 1.0 && score >= self.0
    }
}

impl TryFrom<f64> for Threshold {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, String> {
        if !(0.0..=1.0).contains(&value) {
            return Err(format!("a threshold from 0 to 1, found {value}"));
        }
        #[expect(clippy::cast_possible_truncation, reason = "a number from 0 to 1 fits")]
        let nearest = value as f32;
        // Only exactly 1 disables a category, not a number that rounds to 1.
        Ok(Self(if value < 1.0 { nearest.min(1.0_f32.next_down()) } else { nearest }))
    }
}

impl From<Threshold> for f64 {
    fn from(threshold: Threshold) -> Self {
        shortest(threshold.0)
    }
}

/// Widens a number so that it prints as its shortest decimal: 0.3, not 0.30000001192092896.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_of_one_is_never_violated() {
        let off = Threshold::try_from(1.0).unwrap();
        assert!(!off.is_violated_by(1.0));
        assert!(Threshold::try_from(f64::NAN).is_err());
    }

    #[test]
    fn only_one_itself_switches_off_and_not_what_is_rounded_to_it() {
        let high = Threshold::try_from(0.999_999_999).unwrap();
        assert!(high.is_violated_by(1.0));
        assert!(high < Threshold::OFF);
        assert!(!high.is_violated_by(0.999_999));
    }

    #[test]
    fn a_threshold_is_written_as_short_as_it_was_read() {
        let threshold = Threshold::try_from(0.3).unwrap();
        assert_eq!(serde_json::to_string(&threshold).unwrap(), "0.3");
    }
}
