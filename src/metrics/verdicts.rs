//! Metrics of judged texts: their scores, and how many are flagged.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

use crate::metrics::Metrics;
use crate::metrics::catalogue;
use crate::metrics::registrar::Histograms;
use crate::metrics::registrar::Registrar;

#[derive(Debug)]
pub(super) struct VerdictMetrics {
    judged: Family<CategoryLabels, Counter>,
    flagged: Family<CategoryLabels, Counter>,
    scores: Histograms<CategoryLabels>,
    actions: Family<ActionLabels, Counter>,
}

/// The id of a category: a name from a policy, never from a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CategoryLabels {
    pub(super) category: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ActionLabels {
    action: &'static str,
}

/// The metrics of one category.
#[derive(Debug, Clone)]
pub struct CategoryMetrics {
    judged: Counter,
    flagged: Counter,
    scores: Histogram,
}

impl VerdictMetrics {
    pub(super) fn register(registrar: &mut Registrar<'_>) -> Self {
        Self {
            judged: registrar.counters(catalogue::JUDGED),
            flagged: registrar.counters(catalogue::FLAGGED),
            scores: registrar.histograms(catalogue::SCORE, SCORES),
            actions: registrar.counters(catalogue::ACTIONS),
        }
    }
}

impl Metrics {
    /// Returns the metrics of the category with this id.
    pub fn category(&self, id: &str) -> CategoryMetrics {
        let labels = CategoryLabels { category: id.to_owned() };
        CategoryMetrics {
            judged: self.verdicts.judged.get_or_create_owned(&labels),
            flagged: self.verdicts.flagged.get_or_create_owned(&labels),
            scores: self.verdicts.scores.get_or_create_owned(&labels),
        }
    }

    /// Counts a judged text by the action of its verdict.
    pub fn count_action(&self, action: &'static str) {
        let labels = ActionLabels { action };
        self.verdicts.actions.get_or_create(&labels).inc();
    }
}

impl CategoryMetrics {
    /// Records the score of a text, and whether it violates the category.
    pub fn record_score(&self, score: f32, violated: bool) {
        self.judged.inc();
        self.flagged.inc_by(u64::from(violated));
        self.scores.observe(f64::from(score));
    }
}

/// Finer buckets at the ends: most texts score low, and most thresholds are high.
const SCORES: &[f64] = &[0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99];
