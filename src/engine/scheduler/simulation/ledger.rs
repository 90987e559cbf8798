//! The ledger from which the expected behaviour of the scheduler is derived.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;
use std::time::Instant;

use super::model::MAX_WINDOW;
use super::model::SETTINGS;
use super::model::SimulatedModel;
use crate::engine::fair_queue::BatchSlice;
use crate::engine::fair_queue::JobId;
use crate::engine::flow::FlowId;
use crate::engine::priority::Priority;
use crate::engine::scheduler::ModelId;
use crate::engine::scheduler::NewJob;

/// The live jobs, and the fairness between their flows.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) live: BTreeMap<JobId, Record>,
    fairness: BTreeMap<Pair, i64>, // tokens
    pub(super) n_admitted: usize,
    pub(super) n_over: usize,
}

pub(super) struct Record {
    pub(super) job: NewJob,
    pub(super) admitted: Instant,
    delay: Duration,
    n_planned: usize,
    n_computed: usize,
    n_waiting: usize, // tokens of windows that are not planned yet
}

/// A flow that is waiting for a model, and another flow: how many more tokens were planned for the
/// other since some moment at which the first was already waiting.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Pair {
    model: ModelId,
    priority: Priority,
    waiting: FlowId,
    other: FlowId,
}

impl Ledger {
    pub(super) fn admit(
        &mut self,
        id: JobId,
        job: &NewJob,
        model: &SimulatedModel,
        admitted: Instant,
    ) {
        let n_tokens: u32 = job.windows.iter().sum();
        let delay = Duration::from_secs_f64(model.seconds_for(n_tokens as usize));
        let (job, n_waiting) = (job.clone(), n_tokens as usize);
        self.live
            .insert(id, Record { job, admitted, delay, n_planned: 0, n_computed: 0, n_waiting });
        self.n_admitted += 1;
    }

    /// Ends a job; returns false if it had ended already.
    pub(super) fn end(&mut self, id: JobId) -> bool {
        let is_live = self.live.remove(&id).is_some();
        self.n_over += usize::from(is_live);
        is_live
    }

    /// Ends jobs; panics if one had ended already.
    pub(super) fn end_all(&mut self, jobs: &[JobId]) {
        for &job in jobs {
            assert!(self.end(job), "{job:?} ends twice");
        }
    }

    /// Returns the unplanned tokens of the live jobs that match.
    pub(super) fn n_waiting(&self, is_meant: impl Fn(&NewJob) -> bool) -> usize {
        let records = self.live.values().filter(|record| is_meant(&record.job));
        records.map(|record| record.n_waiting).sum()
    }

    /// Returns the live jobs that match, in order.
    pub(super) fn jobs(&self, is_meant: impl Fn(&NewJob) -> bool) -> Vec<JobId> {
        let meant = self.live.iter().filter(|(_, record)| is_meant(&record.job));
        meant.map(|(&id, _)| id).collect()
    }

    /// Returns the live jobs of a batch.
    pub(super) fn jobs_of(&self, slices: &[BatchSlice]) -> Vec<JobId> {
        let jobs = slices.iter().map(|slice| slice.job);
        jobs.filter(|job| self.live.contains_key(job)).collect()
    }

    /// Records a planned batch; returns its tokens of each flow.
    pub(super) fn plan(
        &mut self,
        model: ModelId,
        slices: &[BatchSlice],
        now: Instant,
    ) -> BTreeMap<FlowId, usize> {
        let priority = self.live[&slices[0].job].job.priority;
        let before = self.waiting_flows(model, priority);
        let mut served: BTreeMap<FlowId, i64> = BTreeMap::new();
        for BatchSlice { job: id, windows } in slices {
            let record = self.live.get_mut(id).expect("what is planned is not over");
            assert_eq!((record.job.model, record.job.priority), (model, priority));
            assert_eq!(windows.start, record.n_planned, "{id:?}: windows in order, each once");
            assert!(!windows.is_empty() && windows.end <= record.job.windows.len());
            assert!(record.job.deadline.is_none_or(|deadline| deadline > now), "{id:?} is late");
            record.n_planned = windows.end;
            let n_tokens: u32 = record.job.windows[windows.clone()].iter().sum();
            record.n_waiting -= n_tokens as usize;
            *served.entry(record.job.flow).or_default() += i64::from(n_tokens);
        }
        self.check_order(slices);
        let after = self.waiting_flows(model, priority);
        let both: Vec<_> = before.into_iter().filter(|flow| after.contains(flow)).collect();
        self.check_fairness(model, priority, &both, &served);
        self.forget_idle_pairs();
        served.into_iter().map(|(flow, n)| (flow, usize::try_from(n).unwrap())).collect()
    }

    /// Records a computed batch; returns the jobs that it completes.
    pub(super) fn compute(&mut self, slices: &[BatchSlice]) -> Vec<JobId> {
        let mut complete = Vec::new();
        for BatchSlice { job, windows } in slices {
            let Some(record) = self.live.get_mut(job) else { continue };
            record.n_computed += windows.len();
            if record.n_computed == record.job.windows.len() {
                complete.push(*job);
            }
        }
        complete
    }

    /// Checks that no waiting job of the same flow should have been planned before those of the
    /// batch.
    fn check_order(&self, slices: &[BatchSlice]) {
        for id in slices.iter().map(|slice| slice.job) {
            let planned = &self.live[&id];
            for (&other, waiting) in &self.live {
                if waiting.is_of(&planned.job) && waiting.n_waiting > 0 && other != id {
                    let is_before = planned.rank() < waiting.rank()
                        || (planned.rank() == waiting.rank() && id < other);
                    assert!(is_before, "{id:?} passed {other:?}");
                }
            }
        }
    }

    fn check_fairness(
        &mut self,
        model: ModelId,
        priority: Priority,
        waiting: &[FlowId],
        served: &BTreeMap<FlowId, i64>,
    ) {
        let tokens = |flow| served.get(flow).copied().unwrap_or(0);
        let bound = 2 * i64::from(MAX_WINDOW) + i64::try_from(SETTINGS.max_credit()).unwrap();
        for one in waiting {
            for other in served.keys().filter(|other| *other != one) {
                let pair = Pair { model, priority, waiting: *one, other: *other };
                self.fairness.entry(pair).or_default();
            }
        }
        for (pair, ahead) in &mut self.fairness {
            if (pair.model, pair.priority) == (model, priority) && waiting.contains(&pair.waiting) {
                *ahead = 0.max(*ahead + tokens(&pair.other) - tokens(&pair.waiting));
                let Pair { waiting, other, .. } = pair;
                assert!(*ahead <= bound, "{other:?} is {ahead} before {waiting:?}");
            }
        }
    }

    fn waiting_flows(&self, model: ModelId, priority: Priority) -> Vec<FlowId> {
        let mut flows: Vec<_> = self
            .live
            .values()
            .filter(|record| (record.job.model, record.job.priority) == (model, priority))
            .filter(|record| record.n_waiting > 0)
            .map(|record| record.job.flow)
            .collect();
        flows.sort_unstable();
        flows.dedup();
        flows
    }

    /// Drops the pairs whose first flow is no longer waiting, however often the other comes and
    /// goes.
    pub(super) fn forget_idle_pairs(&mut self) {
        let mut pairs = std::mem::take(&mut self.fairness);
        let waiting: BTreeSet<_> = self
            .live
            .values()
            .filter(|record| record.n_waiting > 0)
            .map(|Record { job, .. }| (job.model, job.priority, job.flow))
            .collect();
        pairs.retain(|&Pair { model, priority, waiting: flow, .. }, _| {
            waiting.contains(&(model, priority, flow))
        });
        self.fairness = pairs;
    }
}

impl Record {
    fn rank(&self) -> Instant {
        self.admitted + self.delay
    }

    fn is_of(&self, other: &NewJob) -> bool {
        let NewJob { model, priority, flow, .. } = &self.job;
        (*model, *priority) == (other.model, other.priority) && *flow == other.flow
    }
}

/// Returns whether a request fits according to the ledger; `None` if it is too close to tell.
pub(super) fn would_fit(ledger: &Ledger, models: &[SimulatedModel], job: &NewJob) -> Option<bool> {
    let is_same = |other: &NewJob| other.priority == job.priority;
    let n_prepared: usize = models.iter().map(|model| model.n_prepared(job.priority)).sum();
    let n_tokens = job.windows.iter().map(|&len| len as usize).sum::<usize>();
    let all = ledger.n_waiting(is_same) + n_prepared;
    let mut fits = all + n_tokens <= SETTINGS.queue_tokens;
    let max = SETTINGS.queue_time.as_secs_f64();
    let own = tokens_of(ledger, models, job.model, job.priority);
    let seconds: f64 = models
        .iter()
        .map(|model| {
            let n_tokens = tokens_of(ledger, models, model.id, job.priority);
            let is_own = model.id == job.model;
            model.seconds_for(if is_own {
                n_tokens
            } else {
                n_tokens.min(own + SETTINGS.batch_tokens)
            })
        })
        .sum();
    let is_foreground = job.priority == Priority::Foreground;
    let mut is_close = (seconds - max).abs() < 1e-6;
    fits &= !is_foreground || all == 0 || seconds < max;
    if job.flow.is_key() {
        let of_key = |model: &SimulatedModel| {
            let is_own = |other: &NewJob| other.flow == job.flow && other.model == model.id;
            let n_waiting = ledger.n_waiting(|other| is_same(other) && is_own(other));
            n_waiting + model.n_prepared_of(job.flow, job.priority)
        };
        let tokens: usize = models.iter().map(of_key).sum();
        let own = models.iter().find(|model| model.id == job.model).expect("a model");
        let seconds = own.seconds_for(n_tokens)
            + models.iter().map(|model| model.seconds_for(of_key(model))).sum::<f64>();
        let share = SETTINGS.max_request_tokens.max(SETTINGS.queue_tokens / 2);
        fits &= tokens + n_tokens <= share;
        fits &= !is_foreground || tokens == 0 || seconds < max / 2.0;
        is_close |= (seconds - max / 2.0).abs() < 1e-6;
    }
    (!is_close).then_some(fits)
}

fn tokens_of(ledger: &Ledger, models: &[SimulatedModel], id: ModelId, priority: Priority) -> usize {
    let prepared = models.iter().filter(|model| model.id == id);
    let n_prepared: usize = prepared.map(|model| model.n_prepared(priority)).sum();
    n_prepared + ledger.n_waiting(|job| job.model == id && job.priority == priority)
}
