//! The instruments of a model in the shadow of another.

use super::Metrics;

impl Metrics {
    /// Counts texts for the shadow: `compared`, `dropped` or `failed`.
    pub fn shadowed(&self, result: &'static str, n_texts: u64) {
        self.with(|| metrics::counter!(TEXTS, "result" => result).increment(n_texts));
    }

    /// Takes what the two models say of one text in one category: the shadow's score less the
    /// other's, and whether it is violated by the one that serves and by the shadow.
    pub fn shadow_compared(&self, category: &str, difference: f64, flags: (bool, bool)) {
        let label = [("category", category.to_owned())];
        self.with(|| {
            metrics::histogram!(DIFFERENCE, &label).record(difference);
            for (model, flagged) in [("serving", flags.0), ("shadow", flags.1)] {
                let labels = [("category", category.to_owned()), ("model", model.to_owned())];
                metrics::counter!(FLAGGED, &labels).increment(u64::from(flagged));
            }
            let disagreed = u64::from(flags.0 != flags.1);
            metrics::counter!(DISAGREED, &label).increment(disagreed);
        });
    }
}

pub(super) fn describe() {
    metrics::describe_counter!(TEXTS, "Texts of the shadow's share, by what became of them.");
    metrics::describe_counter!(
        FLAGGED,
        "Texts compared that violate a category, by the model that serves and by its shadow."
    );
    metrics::describe_counter!(
        DISAGREED,
        "Texts compared of which only one of the two models says that they violate a category."
    );
    metrics::describe_histogram!(
        DIFFERENCE,
        "The shadow's score less that of the model that serves, from -1 to 1."
    );
}

const TEXTS: &str = "moderato_shadow_texts_total";
const FLAGGED: &str = "moderato_shadow_texts_flagged_total";
const DISAGREED: &str = "moderato_shadow_texts_disagreed_total";
/// Shadow less serving.
pub(super) const DIFFERENCE: &str = "moderato_shadow_score_difference";
/// Fine about 0, where most are.
pub(super) const DIFFERENCES: &[f64] =
    &[-0.5, -0.25, -0.1, -0.05, -0.02, -0.01, 0.0, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5];
