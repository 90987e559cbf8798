//! A model that scores a share of the traffic without being answered with, to be compared.

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
use crate::engine::scored::Scored;
use crate::error::Kind;
use crate::error::Result;
use crate::metrics::Metrics;
use crate::model::Source;
use crate::policy::Policy;
use crate::score::Judgement;
use crate::score::LabelScores;
use crate::score::Rules;
use crate::text::Subject;

/// A model in the shadow of the one that serves.
///
/// It computes when the other has nothing to do. What it cannot keep up with is left out and
/// counted.
#[derive(Debug)]
pub struct Shadow {
    engine: Arc<Engine>,
    source: Source,
    since: SystemTime,
    fraction: f64, // above 0, up to 1
    n_asked: AtomicU64,
    running: Arc<Semaphore>,
    comparison: Mutex<Comparison>, // held for a few additions
    metrics: Arc<Metrics>,
}

/// How the two models differ, each by its own policy and its thresholds.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    /// Texts that both have scored.
    pub n_texts: u64,
    /// Texts that the shadow could not keep up with.
    pub n_dropped: u64,
    /// Texts at which it failed.
    pub n_failed: u64,
    /// The categories that both models' policies have; those of several policies after each other,
    /// one entry an id.
    pub categories: Vec<Difference>,
}

/// How the two models differ in one category.
#[derive(Debug, Clone, Default)]
pub struct Difference {
    /// Its id.
    pub category: String,
    /// Texts of which both policies judge it.
    pub n_texts: u64,
    /// Texts that violate it, by the model that serves.
    pub n_flagged_serving: u64,
    /// The same by the shadow.
    pub n_flagged_shadow: u64,
    /// Texts of which only one of them says so.
    pub n_disagreed: u64,
    /// Of the differences between their scores, without the sign.
    pub sum_difference: f64,
    /// The largest of them.
    pub max_difference: f64,
}

/// One request as the model that serves has answered it.
#[derive(Debug)]
pub struct MirroredRequest {
    /// What was judged.
    pub subjects: Vec<Subject>,
    /// The scores, in order.
    pub scores: Vec<LabelScores>,
    /// What it was judged by, without what the request changed of it.
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

    /// The model.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Where it came from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// From when on it scores.
    pub fn since(&self) -> SystemTime {
        self.since
    }

    /// Which share of the requests it scores.
    pub fn fraction(&self) -> f64 {
        self.fraction
    }

    /// What came of it so far.
    pub fn comparison(&self) -> Comparison {
        self.compare(|comparison| comparison.clone())
    }

    /// Whether the next request is in the share: evenly spread, and no chance in it.
    pub(super) fn takes(&self) -> bool {
        is_in_share(self.n_asked.fetch_add(1, Ordering::Relaxed), self.fraction)
    }

    /// Scores what the other has answered, some time; nobody waits for it.
    pub fn mirror(self: Arc<Self>, request: MirroredRequest) {
        let n_texts = request.subjects.len() as u64;
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
                    self.metrics.shadowed("failed", n_texts);
                    self.compare(|comparison| comparison.n_failed += n_texts);
                }
            }
        });
    }

    /// Counts what it could not keep up with.
    fn drop_texts(&self, n_texts: u64) {
        self.metrics.shadowed("dropped", n_texts);
        self.compare(|comparison| comparison.n_dropped += n_texts);
    }

    async fn score(&self, request: &MirroredRequest) -> Result<Vec<Scored>> {
        let (deadline, priority) = (Some(Deadline::after(TIMEOUT)), Priority::Background);
        let context = RequestContext { deadline, priority, account: None, timings: None };
        self.engine.score_uncounted(request.subjects.clone(), context).await
    }

    fn add(&self, request: &MirroredRequest, scored: &[Scored]) {
        let serving = &request.rules;
        // By the policy of the same id, or by its own where it has none of it.
        let same = self.engine.rules(Some(&serving.policy().id));
        let Ok(shadow) = same.or_else(|_| self.engine.rules(None)) else { return };
        let pairs = pairs(serving.policy(), shadow.policy());
        self.metrics.shadowed("compared", scored.len() as u64);
        for (theirs, ours) in std::iter::zip(&request.scores, scored) {
            let verdicts = (serving.judge(theirs), shadow.judge(&ours.scores.pooled));
            for &(category, other) in &pairs {
                let judgements = (
                    &verdicts.0.categories[category].judgement,
                    &verdicts.1.categories[other].judgement,
                );
                self.add_one(&serving.policy().categories[category].id, judgements);
            }
        }
        self.compare(|comparison| comparison.n_texts += scored.len() as u64);
    }

    fn add_one(&self, id: &str, (serving, shadow): (&Judgement, &Judgement)) {
        let difference = f64::from(shadow.score) - f64::from(serving.score);
        let flags = (serving.violated, shadow.violated);
        self.metrics.shadow_compared(id, difference, flags);
        self.compare(|comparison| comparison.category(id).add(difference.abs(), flags));
    }

    fn compare<T>(&self, work: impl FnOnce(&mut Comparison) -> T) -> T {
        work(&mut self.comparison.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Comparison {
    fn category(&mut self, id: &str) -> &mut Difference {
        let known = self.categories.iter().position(|difference| difference.category == id);
        let place = known.unwrap_or_else(|| {
            self.categories.push(Difference { category: id.to_owned(), ..Difference::default() });
            self.categories.len() - 1
        });
        &mut self.categories[place]
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

/// The places of the categories that both have, by their ids.
fn pairs(serving: &Policy, shadow: &Policy) -> Vec<(usize, usize)> {
    let place = |id: &str| shadow.categories.iter().position(|category| category.id == id);
    let categories = serving.categories.iter().enumerate();
    categories.filter_map(|(index, category)| Some((index, place(&category.id)?))).collect()
}

/// Whether the request of that place is one of those by which the share grows to a whole number.
fn is_in_share(place: u64, fraction: f64) -> bool {
    let share_of = |n_requests: u64| (n_requests as f64 * fraction).floor();
    share_of(place + 1) > share_of(place)
}

/// Requests that the shadow is behind with, at most.
const MAX_RUNNING: usize = 64;
/// Nobody waits, but what is old need not be known any more.
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
            let n_taken = (0..1000).filter(|&place| is_in_share(place, fraction)).count();
            assert_eq!(n_taken, due, "{fraction}");
        }
    }
}
