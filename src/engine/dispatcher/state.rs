//! What the dispatcher's lock guards.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Condvar;
use std::time::Duration;
use std::time::Instant;

use tokio::sync::oneshot;
use tokio::sync::watch;

use crate::encode::Window;
use crate::engine::dispatcher::JobOutput;
use crate::engine::dispatcher::Life;
use crate::engine::dispatcher::PendingJob;
use crate::engine::dispatcher::Queued;
use crate::engine::dispatcher::Submission;
use crate::engine::dispatcher::Task;
use crate::engine::dispatcher::Work;
use crate::engine::dispatcher::pending_job::Part;
use crate::engine::fair_queue::BatchSlice;
use crate::engine::fair_queue::JobId;
use crate::engine::flow::FlowId;
use crate::engine::priority::Priority;
use crate::engine::replica::Replica;
use crate::engine::scheduler::ModelId;
use crate::engine::scheduler::NewJob;
use crate::engine::scheduler::PlaceId;
use crate::engine::scheduler::Refusal;
use crate::engine::scheduler::Scheduler;
use crate::engine::scheduler::SchedulerSettings;
use crate::error::Result;
use crate::model::Logits;

/// The scheduler, and what it only knows ids of.
#[derive(Debug)]
pub(super) struct State {
    pub(super) scheduler: Scheduler,
    settings: SchedulerSettings,
    jobs: HashMap<JobId, PendingJob>,
    models: HashMap<ModelId, ActiveModel>,
    places: Vec<Place>,
    is_shut_down: bool,
}

/// A model that computes.
#[derive(Debug)]
pub(super) struct ActiveModel {
    pub(super) replicas: Vec<Arc<Replica>>, // at the first places, in order
    pub(super) life: watch::Sender<Life>,
    pub(super) queued: watch::Sender<Queued>,
}

/// How the threads of a place are called.
#[derive(Debug, Default)]
struct Place {
    has_work: Arc<Condvar>,     // where they sleep
    is_called: bool,            // one of them is about to look
    is_free: Arc<Condvar>,      // where one waits with a prepared batch
    retired: Vec<Arc<Replica>>, // to be dropped by a thread that may take its time
}

impl State {
    pub(super) fn new(settings: SchedulerSettings) -> Self {
        Self {
            scheduler: Scheduler::new(settings),
            settings,
            jobs: HashMap::new(),
            models: HashMap::new(),
            places: Vec::new(),
            is_shut_down: false,
        }
    }

    pub(super) fn add_place(&mut self, place: PlaceId) {
        let n_places = self.places.len().max(place.0 + 1);
        self.places.resize_with(n_places, Place::default);
    }

    pub(super) fn add_model(&mut self, model: ActiveModel, rate: Option<f64>) -> ModelId {
        let id = self.scheduler.add_model(model.replicas.len(), rate);
        self.models.insert(id, model);
        id
    }

    /// Puts a request into the queue: within the bounds if it has a deadline.
    pub(super) fn submit(
        &mut self,
        submission: Submission,
        now: Instant,
    ) -> Result<(JobId, oneshot::Receiver<Result<JobOutput>>), Refusal> {
        let Submission { model, priority, account, windows, deadline } = submission;
        let metrics = self.models.get(&model).and_then(|model| model.replicas.first());
        let metrics = Arc::clone(&metrics.ok_or(Refusal::Removed)?.metrics);
        let tokens = |window: &Window| {
            u32::try_from(window.ids.len()).expect("a request is below u32 tokens")
        };
        let job = NewJob {
            model,
            priority,
            flow: FlowId::of(account.as_ref()),
            windows: windows.iter().map(tokens).collect(),
            deadline: deadline.map(|deadline| deadline.at().into_std()),
        };
        let id = match deadline {
            Some(_) => self.scheduler.admit(job, now)?,
            None => self.scheduler.enqueue(job, now)?,
        };
        let (reply, answer) = oneshot::channel();
        let pending = PendingJob {
            model,
            windows: windows.into(),
            reply,
            _account: account,
            deadline,
            admitted: now,
            began: None,
            parts: Vec::new(),
            metrics,
        };
        self.jobs.insert(id, pending);
        self.publish(model, |queued| queued.n_requests += 1);
        self.call(now);
        Ok((id, answer))
    }

    /// What a thread of a place has to do now.
    pub(super) fn task(&mut self, place: PlaceId, now: Instant) -> Option<Task> {
        let own = &mut self.places[place.0];
        own.is_called = false;
        if !own.retired.is_empty() {
            return Some(Task::Free(std::mem::take(&mut own.retired)));
        }
        if self.is_shut_down {
            return Some(Task::End);
        }
        let expired = self.scheduler.expire(now);
        if !expired.is_empty() {
            return Some(Task::Expire(self.take(&expired)));
        }
        let work = self.work(place, now)?;
        // Another place may have been waiting for this one to be taken.
        self.call(now);
        Some(Task::Compute(work))
    }

    /// Takes down that these windows begin to run; gives how long the jobs waited that are new.
    pub(super) fn begin(&mut self, work: &Work, now: Instant) -> Vec<Duration> {
        let mut waits = Vec::new();
        for BatchSlice { job, .. } in &work.slices {
            if let Some(job) = self.jobs.get_mut(job)
                && job.began.is_none()
            {
                job.began = Some(now);
                waits.push(now - job.admitted);
            }
        }
        self.publish(work.model, |_| ());
        self.call(now);
        waits
    }

    /// Gives each job its rows.
    pub(super) fn deliver(&mut self, slices: &[BatchSlice], logits: &Arc<Logits>) {
        let mut row = 0;
        for BatchSlice { job, windows } in slices {
            let rows = row..row + windows.len();
            row = rows.end;
            if let Some(job) = self.jobs.get_mut(job) {
                let logits = Arc::clone(logits);
                job.parts.push(Part { first_window: windows.start, logits, rows });
            }
        }
    }

    /// Takes out jobs that are over.
    pub(super) fn take(&mut self, jobs: &[JobId]) -> Vec<PendingJob> {
        let taken: Vec<_> = jobs.iter().filter_map(|id| self.jobs.remove(id)).collect();
        for job in &taken {
            self.publish(job.model, |queued| queued.n_requests -= 1);
        }
        self.call(Instant::now());
        taken
    }

    /// Tells that a place may be free.
    pub(super) fn freed(&mut self, place: PlaceId, now: Instant) {
        self.places[place.0].is_free.notify_all();
        self.call(now);
    }

    /// Takes a model out with all that waits for it.
    pub(super) fn remove_model(&mut self, id: ModelId, life: Life) -> Option<Removed> {
        let ids = self.scheduler.remove_model(id);
        let jobs = ids.iter().filter_map(|id| self.jobs.remove(id)).collect();
        let model = self.models.remove(&id)?;
        model.queued.send_replace(Queued::default());
        model.life.send_replace(life);
        for place in 0..self.places.len() {
            self.freed(PlaceId(place), Instant::now());
        }
        Some(Removed { jobs, replicas: model.replicas })
    }

    /// Has the threads of their places drop replicas, which takes long.
    pub(super) fn retire(&mut self, replicas: Vec<Arc<Replica>>) {
        for (place, replica) in std::iter::zip(&mut self.places, replicas) {
            place.retired.push(replica);
            place.has_work.notify_one();
        }
    }

    /// Has all threads end.
    pub(super) fn shut_down(&mut self) {
        self.is_shut_down = true;
        for place in &self.places {
            place.has_work.notify_all();
            place.is_free.notify_all();
        }
    }

    /// After a panic in here nothing can be relied on: all models have crashed.
    pub(super) fn break_down(&mut self) {
        self.scheduler = Scheduler::new(self.settings);
        self.jobs.clear();
        for (_, model) in self.models.drain() {
            model.life.send_replace(Life::Crashed);
        }
        self.shut_down();
    }

    pub(super) fn has_work(&self, place: PlaceId) -> Arc<Condvar> {
        Arc::clone(&self.places[place.0].has_work)
    }

    pub(super) fn is_free(&self, place: PlaceId) -> Arc<Condvar> {
        Arc::clone(&self.places[place.0].is_free)
    }

    fn work(&mut self, place: PlaceId, now: Instant) -> Option<Work> {
        let plan = self.scheduler.next_batch(place, now)?;
        let mut windows = Vec::new();
        for slice in &plan.slices {
            let job = self.jobs.get_mut(&slice.job).expect("what is planned is pending");
            windows.extend(job.windows.drain(..slice.windows.len()));
        }
        let model = self.models.get(&plan.model).expect("a model that has a turn is there");
        let replica = Arc::clone(&model.replicas[place.0]);
        let (batch, model, slices) = (plan.id, plan.model, plan.slices);
        Some(Work { batch, model, place, replica, slices, windows, budget: plan.budget })
    }

    /// Calls a thread of each place that could begin a batch.
    fn call(&mut self, now: Instant) {
        for (number, place) in self.places.iter_mut().enumerate() {
            if !place.is_called && self.scheduler.has_batch(PlaceId(number), now) {
                place.is_called = true;
                place.has_work.notify_one();
            }
        }
    }

    /// Shows who looks what waits for a model.
    fn publish(&mut self, id: ModelId, change: impl FnOnce(&mut Queued)) {
        let Some(model) = self.models.get(&id) else { return };
        let n_tokens = [Priority::Foreground, Priority::Background]
            .map(|priority| self.scheduler.n_waiting(id, priority))
            .iter()
            .sum();
        model.queued.send_modify(|queued| {
            change(queued);
            queued.n_tokens = n_tokens;
        });
    }
}

/// A model that was taken out.
#[derive(Debug)]
pub(super) struct Removed {
    pub(super) jobs: Vec<PendingJob>,
    pub(super) replicas: Vec<Arc<Replica>>,
}
