//! The instruments of judged texts: how high they score, and how many are flagged.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;

use metrics::Counter;
use metrics::Histogram;

use crate::metrics::Metrics;
use crate::metrics::catalogue;

/// The instruments of the categories met so far: names in policies, never in requests.
#[derive(Default)]
pub(super) struct Verdicts(RwLock<HashMap<String, Arc<CategoryInstruments>>>);

/// The instruments of one category, looked up once: every text has as many scores as its policy
/// has categories.
struct CategoryInstruments {
    judged: Counter,
    flagged: Counter,
    scores: Histogram,
}

impl Metrics {
    /// Records the score of a text in a category, and whether that violates it.
    pub fn judged(&self, category: &str, score: f32, violated: bool) {
        let instruments = self.category(category);
        instruments.judged.increment(1);
        instruments.flagged.increment(u64::from(violated));
        instruments.scores.record(f64::from(score));
    }

    /// Counts a judged text by what is to be done about it.
    pub fn acted(&self, action: String) {
        self.with(|| metrics::counter!(catalogue::ACTIONS, "action" => action).increment(1));
    }

    fn category(&self, id: &str) -> Arc<CategoryInstruments> {
        let known = self.verdicts.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(instruments) = known.get(id) {
            return Arc::clone(instruments);
        }
        drop(known);
        let label = [("category", id.to_owned())];
        let instruments = self.with(|| CategoryInstruments {
            judged: metrics::counter!(catalogue::JUDGED, &label),
            flagged: metrics::counter!(catalogue::FLAGGED, &label),
            scores: metrics::histogram!(catalogue::SCORE, &label),
        });
        let mut known = self.verdicts.0.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(id.to_owned()).or_insert_with(|| Arc::new(instruments)))
    }
}
