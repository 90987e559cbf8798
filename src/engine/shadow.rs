//! A model that scores a fraction of the traffic for comparison; clients never see its scores.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::SystemTime;

use tokio::sync::Semaphore;

use crate::engine::deadline::Deadline;
use crate::engine::instance::Engine;
use crate::engine::priority::Priority;
use crate::engine::request_context::RequestContext;
use crate::engine::scored_input::ScoredInput;
use crate::error::Kind;
use crate::error::Result;
use crate::metrics::Metrics;
use crate::model::Source;
use crate::policy::Policy;
use crate::score::LabelScores;
use crate::score::Rules;
use crate::text::Input;

/// A model that scores copies of the requests that the serving model answers.
///
/// It computes when the serving model has nothing to do. Requests that it cannot keep up with are
/// dropped and counted.
#[derive(Debug)]
pub struct Shadow {
    engine: Arc<Engine>,
    source: Source,
    since: SystemTime,
    fraction: f64, // above 0, up to 1
    n_asked: AtomicU64,
    running: Arc<Semaphore>,
    comparison: Mutex<Comparison>, // locked for a few additions
    metrics: Arc<Metrics>,
}

/// The differences between the serving and the shadow model, each judged by its own policy and
/// thresholds.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    /// Texts scored by both models.
    pub n_texts: u64,
    /// Texts dropped because the shadow could not keep up.
    pub n_dropped: u64,
    /// Texts that the shadow failed to score.
    pub n_failed: u64,
    /// The categories that both models' policies have, one entry per id, in order of first
    /// comparison.
    pub categories: Vec<Difference>,
}

/// The differences between the two models in one category.
#[derive(Debug, Clone, Default)]
pub struct Difference {
    /// The id of the category.
    pub category: String,
    /// Texts judged in this category by both policies.
    pub n_texts: u64,
    /// Texts flagged by the serving model.
    pub n_flagged_serving: u64,
    /// Texts flagged by the shadow model.
    pub n_flagged_shadow: u64,
    /// Texts flagged by only one of the models.
    pub n_disagreed: u64,
    /// Sum of the absolute differences between the scores.
    pub sum_difference: f64,
    /// Largest absolute difference between the scores.
    pub max_difference: f64,
}

/// A request that the serving model has answered.
#[derive(Debug)]
pub struct MirroredRequest {
    /// The inputs that were judged.
    pub inputs: Vec<Input>,
    /// The scores of the inputs, in order.
    pub scores: Vec<LabelScores>,
    /// The rules that the inputs were judged by, without the overrides of the request.
    pub rules: Rules,
}

impl Shadow {
    pub(super) fn new(
        engine: Arc<Engine>,
        source: Source,
        fraction: f64,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            engine,
            source,
            since: SystemTime::now(),
            fraction,
            n_asked: AtomicU64::new(0),
            running: Arc::new(Semaphore::new(MAX_RUNNING)),
            comparison: Mutex::default(),
            metrics,
        }
    }

    /// Returns the engine of the shadow model.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Returns the source of the model.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Returns when the model started as a shadow.
    pub fn since(&self) -> SystemTime {
        self.since
    }

    /// Returns the fraction of requests that it scores.
    pub fn fraction(&self) -> f64 {
        self.fraction
    }

    /// Returns the comparison so far.
    pub fn comparison(&self) -> Comparison {
        self.compare(|comparison| comparison.clone())
    }

    /// Counts a request and returns whether to score it: the share is spread evenly, without
    /// randomness.
    pub(super) fn takes(&self) -> bool {
        is_in_share(self.n_asked.fetch_add(1, Ordering::Relaxed), self.fraction)
    }

    /// Scores an answered request in the background; returns at once.
    pub fn mirror(self: Arc<Self>, request: MirroredRequest) {
        let n_texts = request.inputs.len() as u64;
        let permit = Arc::clone(&self.running).try_acquire_owned();
        let (Ok(permit), false) = (permit, self.engine.is_busy()) else {
            return self.drop_texts(n_texts);
        };
        tokio::spawn(async move {
            let _permit = permit;
            match self.score(&request).await {
                Ok(scored) => self.add(&request, &scored),
                Err(fault) if matches!(fault.kind(), Kind::Overload | Kind::Timeout) => {
                    self.drop_texts(n_texts);
                }
                Err(fault) => {
                    tracing::debug!(code = fault.code(), "the shadow failed");
                    self.metrics.count_shadowed("failed", n_texts);
                    self.compare(|comparison| comparison.n_failed += n_texts);
                }
            }
        });
    }

    /// Counts texts that the shadow could not keep up with.
    fn drop_texts(&self, n_texts: u64) {
        self.metrics.count_shadowed("dropped", n_texts);
        self.compare(|comparison| comparison.n_dropped += n_texts);
    }

    async fn score(&self, request: &MirroredRequest) -> Result<Vec<ScoredInput>> {
        let (deadline, priority) = (Some(Deadline::after(TIMEOUT)), Priority::Background);
        let context = RequestContext { deadline, priority, account: None, timings: None };
        self.engine.score_uncounted(request.inputs.clone(), context).await
    }

    fn add(&self, request: &MirroredRequest, scored: &[ScoredInput]) {
        let serving = &request.rules;
        // The policy with the same id, or the shadow's default policy if it has none.
        let same = self.engine.rules(Some(&serving.policy().id));
        let Ok(shadow) = same.or_else(|_| self.engine.rules(None)) else { return };
        let pairs = pairs(serving.policy(), shadow.policy());
        self.metrics.count_shadowed("compared", scored.len() as u64);
        let verdicts = |(theirs, ours): (&LabelScores, &ScoredInput)| {
            (serving.judge(theirs), shadow.judge(&ours.scores.pooled))
        };
        let verdicts: Vec<_> = std::iter::zip(&request.scores, scored).map(verdicts).collect();
        for (category, other) in pairs {
            let id = &serving.policy().categories[category].id;
            let metrics = self.metrics.shadow_category(id);
            for (theirs, ours) in &verdicts {
                let serving = &theirs.categories[category].judgement;
                let shadow = &ours.categories[other].judgement;
                let difference = f64::from(shadow.score) - f64::from(serving.score);
                let flags = (serving.violated, shadow.violated);
                metrics.record_comparison(difference, flags);
                self.compare(|comparison| comparison.category(id).add(difference.abs(), flags));
            }
        }
        self.compare(|comparison| comparison.n_texts += scored.len() as u64);
    }

    fn compare<T>(&self, work: impl FnOnce(&mut Comparison) -> T) -> T {
        work(&mut self.comparison.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Comparison {
    fn category(&mut self, id: &str) -> &mut Difference {
        let known = self.categories.iter().position(|difference| difference.category == id);
        let index = known.unwrap_or_else(|| {
            self.categories.push(Difference { category: id.to_owned(), ..Difference::default() });
            self.categories.len() - 1
        });
        &mut self.categories[index]
    }
}

impl Difference {
    fn add(&mut self, difference: f64, (serving, shadow): (bool, bool)) {
        self.n_texts += 1;
        self.n_flagged_serving += u64::from(serving);
        self.n_flagged_shadow += u64::from(shadow);
        self.n_disagreed += u64::from(serving != shadow);
        self.sum_difference += difference;
        self.max_difference = self.max_difference.max(difference);
    }
}

/// Returns the indices, in each policy, of the categories that both have, matched by id.
fn pairs(serving: &Policy, shadow: &Policy) -> Vec<(usize, usize)> {
    let position = |id: &str| shadow.categories.iter().position(|category| category.id == id);
    let categories = serving.categories.iter().enumerate();
    categories.filter_map(|(index, category)| Some((index, position(&category.id)?))).collect()
}

/// Returns whether the request with this index is in the share: the one with which the share of the
/// requests reaches the next whole number.
fn is_in_share(index: u64, fraction: f64) -> bool {
    let share_of = |n_requests: u64| (n_requests as f64 * fraction).floor();
    share_of(index + 1) > share_of(index)
}

/// Maximum number of requests waiting for the shadow.
const MAX_RUNNING: usize = 64;
/// No client waits for the scores, but an old comparison is not worth computing.
const TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_are_told_apart_by_their_ids() {
        let mut comparison = Comparison::default();
        comparison.category("spam").add(0.25, (true, false));
        comparison.category("threats").add(0.5, (true, true));
        comparison.category("spam").add(0.75, (false, false));
        let found = comparison.categories.iter().map(|difference| {
            let Difference { n_texts, n_disagreed, sum_difference, .. } = *difference;
            (difference.category.as_str(), n_texts, n_disagreed, sum_difference)
        });
        assert!(found.eq([("spam", 2, 1, 1.0), ("threats", 1, 0, 0.5)]));
    }

    #[test]
    fn a_share_is_spread_evenly() {
        for (fraction, due) in [(1.0, 1000), (0.1, 100), (0.25, 250), (0.001, 1)] {
            let n_taken = (0..1000).filter(|&index| is_in_share(index, fraction)).count();
            assert_eq!(n_taken, due, "{fraction}");
        }
    }
}
