//! The instruments of a model in the shadow of another.

use crate::metrics::Metrics;
use crate::metrics::catalogue;

impl Metrics {
    /// Counts texts for the shadow: `compared`, `dropped` or `failed`.
    pub fn shadowed(&self, result: &'static str, n_texts: u64) {
        self.with(|| {
            metrics::counter!(catalogue::SHADOW_TEXTS, "result" => result).increment(n_texts);
        });
    }

    /// Counts a shadow that was taken out because its model panicked.
    pub fn shadow_crashed(&self) {
        self.unlabelled.shadow_crashes.increment(1);
    }

    /// Takes what the two models say of one text in one category: the shadow's score less the
    /// other's, and whether it is violated by the one that serves and by the shadow.
    pub fn shadow_compared(&self, category: &str, difference: f64, flags: (bool, bool)) {
        let label = [("category", category.to_owned())];
        self.with(|| {
            metrics::histogram!(catalogue::SHADOW_DIFFERENCE, &label).record(difference);
            for (model, flagged) in [("serving", flags.0), ("shadow", flags.1)] {
                let labels = [("category", category.to_owned()), ("model", model.to_owned())];
                metrics::counter!(catalogue::SHADOW_FLAGGED, &labels).increment(u64::from(flagged));
            }
            let disagreed = u64::from(flags.0 != flags.1);
            metrics::counter!(catalogue::SHADOW_DISAGREED, &label).increment(disagreed);
        });
    }
}
