//! Metrics of a shadow model, which is compared with the serving model.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

use crate::metrics::Metrics;
use crate::metrics::catalogue;
use crate::metrics::registrar::Histograms;
use crate::metrics::registrar::Registrar;
use crate::metrics::verdicts::CategoryLabels;

#[derive(Debug)]
pub(super) struct ShadowMetrics {
    texts: Family<ResultLabels, Counter>,
    crashes: Counter,
    flagged: Family<ModelCategoryLabels, Counter>,
    disagreed: Family<CategoryLabels, Counter>,
    differences: Histograms<CategoryLabels>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelCategoryLabels {
    category: String,
    model: &'static str,
}

/// The metrics that compare the serving model and the shadow in one category.
#[derive(Debug, Clone)]
pub struct ShadowCategoryMetrics {
    flagged_by_serving: Counter,
    flagged_by_shadow: Counter,
    disagreed: Counter,
    differences: Histogram,
}

impl ShadowMetrics {
    pub(super) fn register(registrar: &mut Registrar<'_>) -> Self {
        Self {
            texts: registrar.counters(catalogue::SHADOW_TEXTS),
            crashes: registrar.counter(catalogue::SHADOW_CRASHES),
            flagged: registrar.counters(catalogue::SHADOW_FLAGGED),
            disagreed: registrar.counters(catalogue::SHADOW_DISAGREED),
            differences: registrar.histograms(catalogue::SHADOW_DIFFERENCE, DIFFERENCES),
        }
    }
}

impl Metrics {
    /// Counts texts selected for the shadow, by result: `compared`, `dropped` or `failed`.
    pub fn count_shadowed(&self, result: &'static str, n_texts: u64) {
        self.shadow.texts.get_or_create(&ResultLabels { result }).inc_by(n_texts);
    }

    /// Counts a shadow that was removed because its model panicked.
    pub fn count_shadow_crash(&self) {
        self.shadow.crashes.inc();
    }

    /// Returns the metrics that compare the two models in a category of the policy.
    pub fn shadow_category(&self, category: &str) -> ShadowCategoryMetrics {
        let flagged = |model| {
            let labels = ModelCategoryLabels { category: category.to_owned(), model };
            self.shadow.flagged.get_or_create_owned(&labels)
        };
        let labels = CategoryLabels { category: category.to_owned() };
        ShadowCategoryMetrics {
            flagged_by_serving: flagged("serving"),
            flagged_by_shadow: flagged("shadow"),
            disagreed: self.shadow.disagreed.get_or_create_owned(&labels),
            differences: self.shadow.differences.get_or_create_owned(&labels),
        }
    }
}

impl ShadowCategoryMetrics {
    /// Records one compared text: `difference` is the shadow's score minus that of the serving
    /// model, `flags` whether the category is violated by the serving model and by the shadow.
    pub fn record_comparison(&self, difference: f64, flags: (bool, bool)) {
        self.flagged_by_serving.inc_by(u64::from(flags.0));
        self.flagged_by_shadow.inc_by(u64::from(flags.1));
        self.disagreed.inc_by(u64::from(flags.0 != flags.1));
        self.differences.observe(difference);
    }
}

/// Finer buckets around 0, where most differences are.
const DIFFERENCES: &[f64] =
    &[-0.5, -0.25, -0.1, -0.05, -0.02, -0.01, 0.0, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5];
