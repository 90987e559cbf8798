//! The simulated clients, workers and clock.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use super::ledger::Ledger;
use super::ledger::would_fit;
use super::load::Load;
use super::model::MAX_WINDOW;
use super::model::MIN_RATE;
use super::model::SETTINGS;
use super::model::SimulatedModel;
use super::random::Random;
use crate::engine::fair_queue::JobId;
use crate::engine::flow::FlowId;
use crate::engine::priority::Priority;
use crate::engine::scheduler::Demand;
use crate::engine::scheduler::NewJob;
use crate::engine::scheduler::Plan;
use crate::engine::scheduler::Scheduler;
use crate::engine::scheduler::Start;
use crate::engine::scheduler::WorkerId;
use crate::engine::scheduler::lane::BACKGROUND_WAIT;

pub(super) struct World {
    load: Load,
    random: Random,
    scheduler: Scheduler,
    now: Instant,
    n_arrivals_left: usize,
    n_events: u64,
    events: BTreeMap<(Instant, u64), Event>,
    models: Vec<SimulatedModel>,
    workers: Vec<SimulatedWorker>,
    ledger: Ledger,
    pub(super) n_overdue_background_batches: usize,
}

#[derive(Default)]
struct SimulatedWorker {
    running: Option<SimulatedBatch>,
    prepared: Option<SimulatedBatch>,
}

struct SimulatedBatch {
    plan: Plan,
    n_tokens: usize,
    elapsed: Duration,
}

enum Event {
    Arrival,
    Computed(usize), // by the worker with this index
    Abandoned(JobId),
    Replaced(usize), // the model with this index
}

impl World {
    pub(super) fn new(load: Load) -> Self {
        let workers = (0..load.n_workers).map(|_| SimulatedWorker::default()).collect();
        let mut world = Self {
            load,
            random: Random::new(load.seed),
            scheduler: Scheduler::new(SETTINGS),
            now: Instant::now(),
            n_arrivals_left: 0,
            n_events: 0,
            events: BTreeMap::new(),
            models: Vec::new(),
            workers,
            ledger: Ledger::default(),
            n_overdue_background_batches: 0,
        };
        for _ in 0..load.n_models {
            let model = world.new_model();
            world.models.push(model);
        }
        world
    }

    /// Simulates `n_arrivals` requests and runs until all events have happened.
    pub(super) fn run(mut self, n_arrivals: usize) -> Self {
        self.n_arrivals_left = n_arrivals;
        self.schedule(Duration::ZERO, Event::Arrival);
        (0..self.models.len()).for_each(|model| self.schedule_replacement(model));
        while let Some(((at, _), event)) = self.events.pop_first() {
            self.now = at;
            self.handle(event);
            self.expire();
            self.ledger.forget_idle_pairs();
            self.update_background_since();
            self.work();
            self.check();
        }
        assert!(self.ledger.live.is_empty(), "{} jobs are left", self.ledger.live.len());
        assert_eq!(self.ledger.n_over, self.ledger.n_admitted, "every job ends once");
        assert!(self.ledger.n_admitted > n_arrivals / 50, "{}", self.ledger.n_admitted);
        assert!(self.scheduler.jobs.is_empty() && self.scheduler.deadlines.is_empty());
        self
    }

    /// Returns the longest time that a foreground request may take: the time limit of the queue
    /// plus the time of the largest request on the slowest model, multiplied by the numbers of
    /// flows and models that take turns.
    pub(super) fn max_wait(&self) -> Duration {
        let n_flows = u32::try_from(self.load.n_keys + 1).unwrap();
        let n_models = u32::try_from(self.load.n_models).unwrap();
        let request_seconds = SETTINGS.max_request_tokens as f64 / MIN_RATE;
        (SETTINGS.queue_time + Duration::from_secs_f64(request_seconds)) * n_flows * n_models
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Arrival => self.arrive(),
            Event::Computed(worker) => self.end_batch(worker),
            Event::Abandoned(job) => {
                assert_eq!(self.scheduler.abandon(job), self.ledger.end(job), "{job:?}");
            }
            Event::Replaced(model) => self.replace(model),
        }
    }

    fn arrive(&mut self) {
        self.n_arrivals_left -= 1;
        if self.n_arrivals_left > 0 {
            let gap = self.random.exponential(self.load.mean_gap);
            self.schedule(gap, Event::Arrival);
        }
        let job = self.new_job();
        let NewJob { model, priority, flow, .. } = job;
        let n_tokens = job.windows.iter().map(|&len| len as usize).sum();
        let checked = self.scheduler.check(Demand { model, priority, flow, n_tokens });
        if let Some(fits) = would_fit(&self.ledger, &self.models, &job) {
            assert_eq!(checked.is_ok(), fits, "{checked:?}");
        }
        let admitted = self.scheduler.admit(job.clone(), self.now);
        assert_eq!(admitted.err(), checked.err(), "admit agrees with check");
        let Ok(id) = admitted else { return };
        let model = self.models.iter().find(|other| other.id == model).unwrap();
        self.ledger.admit(id, &job, model, self.now);
        if self.random.chance(self.load.abandoned) {
            let after = self.random.exponential(Duration::from_millis(200));
            self.schedule(after, Event::Abandoned(id));
        }
    }

    fn new_job(&mut self) -> NewJob {
        let flow = match self.random.below(self.load.n_keys + 1) {
            0 => FlowId::Anonymous,
            // The first key sends more than half of all requests with a key.
            key if self.random.chance(0.5) => FlowId::Key(key),
            _ => FlowId::Key(1),
        };
        let n_windows = match self.random.below(20) {
            0 => 1 + self.random.below(30),
            1..=5 => 1 + self.random.below(6),
            _ => 1,
        };
        let max_len = if n_windows == 1 { MAX_WINDOW / 2 } else { MAX_WINDOW };
        let len = |_| 1 + u32::try_from(self.random.below(max_len as usize)).unwrap();
        let windows = (0..n_windows).map(len).collect();
        let is_background = self.random.chance(self.load.background);
        let has_deadline = self.random.chance(self.load.with_deadline);
        NewJob {
            model: self.models[self.random.below(self.models.len())].id,
            priority: if is_background { Priority::Background } else { Priority::Foreground },
            flow,
            windows,
            deadline: has_deadline
                .then(|| self.now + self.random.exponential(Duration::from_millis(500))),
        }
    }

    fn end_batch(&mut self, worker: usize) {
        let SimulatedBatch { plan, elapsed, .. } = self.workers[worker].running.take().unwrap();
        if self.random.chance(self.load.failing) {
            let expected = self.ledger.jobs_of(&plan.slices);
            assert_eq!(self.scheduler.fail(plan.id), expected);
            self.ledger.end_all(&expected);
            return;
        }
        let expected = self.ledger.compute(&plan.slices);
        assert_eq!(self.scheduler.complete(plan.id, elapsed), expected);
        for job in expected {
            let record = &self.ledger.live[&job];
            if record.job.priority == Priority::Foreground {
                let took = self.now - record.admitted;
                assert!(took <= self.max_wait(), "{took:?}");
            }
            assert!(self.ledger.end(job));
        }
    }

    fn replace(&mut self, model: usize) {
        let id = self.models[model].id;
        let expected = self.ledger.jobs(|job| job.model == id);
        assert_eq!(self.scheduler.remove_model(id), expected);
        self.ledger.end_all(&expected);
        for worker in &mut self.workers {
            worker.prepared.take_if(|batch| batch.plan.model == id);
        }
        self.models[model] = self.new_model();
        self.schedule_replacement(model);
    }

    fn expire(&mut self) {
        let now = self.now;
        let expected = self.ledger.jobs(|job| job.deadline.is_some_and(|at| at <= now));
        let mut expired = self.scheduler.expire(now);
        expired.sort_unstable();
        assert_eq!(expired, expected);
        self.ledger.end_all(&expected);
    }

    /// Lets the workers plan and start all batches that they can, beginning with a random worker.
    fn work(&mut self) {
        let (n_workers, first) = (self.workers.len(), self.random.below(self.workers.len()));
        let mut has_changed = true;
        while has_changed {
            has_changed = false;
            for worker in 0..n_workers {
                let worker = (worker + first) % n_workers;
                has_changed |= self.plan(worker) || self.start(worker);
            }
        }
    }

    fn plan(&mut self, worker: usize) -> bool {
        let has_batch = self.scheduler.has_batch(WorkerId(worker), self.now);
        let plan = self.scheduler.next_batch(WorkerId(worker), self.now);
        assert_eq!(has_batch, plan.is_some());
        let Some(plan) = plan else { return false };
        let priority = self.ledger.live[&plan.slices[0].job].job.priority;
        self.check_turn(&plan, priority, worker);
        let flow_tokens = self.ledger.plan(plan.model, &plan.slices, self.now);
        let n_tokens = flow_tokens.values().sum();
        let n_windows: usize = plan.slices.iter().map(|slice| slice.windows.len()).sum();
        assert!(n_tokens <= plan.budget || n_windows == 1, "{n_tokens} in {}", plan.budget);
        let model = self.models.iter_mut().find(|model| model.id == plan.model).unwrap();
        let elapsed = Duration::from_secs_f64(n_tokens as f64 / model.rate);
        model.prepared.insert(plan.id, (priority, flow_tokens));
        if priority == Priority::Background {
            model.background_since = None; // set again if anything is left
        }
        assert!(self.workers[worker].prepared.is_none(), "at most one");
        self.workers[worker].prepared = Some(SimulatedBatch { plan, n_tokens, elapsed });
        self.update_background_since();
        true
    }

    fn start(&mut self, worker: usize) -> bool {
        let Some(SimulatedBatch { plan, .. }) = &self.workers[worker].prepared else {
            return false;
        };
        let (id, is_free) = (plan.id, self.workers[worker].running.is_none());
        let expected = if is_free { Start::Running } else { Start::Occupied };
        assert_eq!(self.scheduler.start(id), expected);
        if !is_free {
            return false;
        }
        let batch = self.workers[worker].prepared.take().unwrap();
        for model in &mut self.models {
            let prepared = model.prepared.remove(&id);
            let n_tokens = prepared.map(|(_, flow_tokens)| flow_tokens.values().sum());
            assert!(n_tokens.is_none_or(|n_tokens: usize| n_tokens == batch.n_tokens));
        }
        self.schedule(batch.elapsed, Event::Computed(worker));
        self.workers[worker].running = Some(batch);
        true
    }

    /// Checks that the scheduler was allowed to plan this batch now, with this budget.
    fn check_turn(&mut self, plan: &Plan, priority: Priority, worker: usize) {
        let model = self.models.iter().find(|model| model.id == plan.model).unwrap();
        assert!(worker < model.n_workers);
        let is_at_worker = |id| self.models.iter().any(|m| m.id == id && worker < m.n_workers);
        let is_foreground = |job: &NewJob| job.priority == Priority::Foreground;
        let n_foreground =
            self.ledger.n_waiting(|job| is_foreground(job) && is_at_worker(job.model));
        let n_own = self.ledger.n_waiting(|job| is_foreground(job) && job.model == plan.model);
        let is_running = self.workers[worker].running.is_some();
        if priority == Priority::Background {
            assert!(!is_running);
            assert_eq!(plan.budget, SETTINGS.batch_tokens / 4);
            let since = model.background_since.unwrap();
            if n_foreground > 0 {
                assert!(self.now - since >= BACKGROUND_WAIT, "foreground work is waiting");
                self.n_overdue_background_batches += 1;
            }
        } else if is_running {
            assert!(plan.budget == SETTINGS.batch_tokens && n_own >= SETTINGS.batch_tokens);
        } else if plan.budget < SETTINGS.batch_tokens {
            assert_eq!(plan.budget, SETTINGS.batch_tokens / 2);
            let n_of_key = |key| {
                let flow = FlowId::Key(key);
                let is_of_key = |job: &NewJob| job.flow == flow && job.model == plan.model;
                self.ledger.n_waiting(|job| is_foreground(job) && is_of_key(job))
            };
            let largest = (1..=self.load.n_keys).map(n_of_key).max().unwrap_or(0);
            assert!(largest > SETTINGS.batch_tokens && largest > n_own / 2, "{largest} of {n_own}");
        }
    }

    /// Checks the invariants that hold after every event.
    fn check(&self) {
        let batch_time = Duration::from_secs_f64(SETTINGS.batch_tokens as f64 / MIN_RATE);
        let n_batches = u32::try_from(2 + self.load.n_models).unwrap();
        for model in &self.models {
            for priority in [Priority::Foreground, Priority::Background] {
                let is_in_lane = |job: &NewJob| (job.model, job.priority) == (model.id, priority);
                let expected = self.ledger.n_waiting(is_in_lane) + model.n_prepared(priority);
                assert_eq!(self.scheduler.n_waiting(model.id, priority), expected);
            }
            let waited = model.background_since.map_or(Duration::ZERO, |since| self.now - since);
            assert!(waited <= BACKGROUND_WAIT + n_batches * batch_time, "{waited:?}");
        }
    }

    /// Updates since when each model has had background work waiting for a turn.
    fn update_background_since(&mut self) {
        for model in &mut self.models {
            let is_background =
                |job: &NewJob| job.model == model.id && job.priority == Priority::Background;
            match self.ledger.n_waiting(is_background) {
                0 => model.background_since = None,
                _ => _ = model.background_since.get_or_insert(self.now),
            }
        }
    }

    fn new_model(&mut self) -> SimulatedModel {
        let rate = MIN_RATE * (1.0 + 3.0 * self.random.unit());
        let n_workers = 1 + self.random.below(self.load.n_workers);
        let id = self.scheduler.add_model(n_workers, Some(rate));
        SimulatedModel { id, rate, n_workers, prepared: BTreeMap::new(), background_since: None }
    }

    fn schedule_replacement(&mut self, model: usize) {
        if let Some(mean) = self.load.model_lifetime
            && self.n_arrivals_left > 0
        {
            let lifetime = self.random.exponential(mean);
            self.schedule(lifetime, Event::Replaced(model));
        }
    }

    fn schedule(&mut self, delay: Duration, event: Event) {
        self.n_events += 1;
        self.events.insert((self.now + delay, self.n_events), event);
    }
}
