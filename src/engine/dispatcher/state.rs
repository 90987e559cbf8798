//! The state guarded by the dispatcher's lock.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Condvar;
use std::time::Duration;
use std::time::Instant;

use tokio::sync::oneshot;
use tokio::sync::watch;

use crate::engine::dispatcher::JobOutput;
use crate::engine::dispatcher::ModelState;
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
use crate::engine::scheduler::Refusal;
use crate::engine::scheduler::Scheduler;
use crate::engine::scheduler::SchedulerSettings;
use crate::engine::scheduler::WorkerId;
use crate::error::Result;
use crate::model::Logits;
use crate::tokenize::Window;

/// The scheduler, and the jobs and models that it knows only by id.
#[derive(Debug)]
pub(super) struct State {
    pub(super) scheduler: Scheduler,
    settings: SchedulerSettings,
    jobs: HashMap<JobId, PendingJob>,
    models: HashMap<ModelId, ActiveModel>,
    workers: Vec<Worker>,
    is_shut_down: bool,
}

/// A model that computes requests.
#[derive(Debug)]
pub(super) struct ActiveModel {
    pub(super) replicas: Vec<Arc<Replica>>, // one for each of the first workers
    pub(super) state: watch::Sender<ModelState>,
    pub(super) queued: watch::Sender<Queued>,
}

/// The condition variables of a worker's threads, and their clean-up work.
#[derive(Debug, Default)]
struct Worker {
    has_work: Arc<Condvar>,     // idle threads wait here
    is_notified: bool,          // a woken thread has yet to check
    is_free: Arc<Condvar>,      // a thread with a prepared batch waits here
    retired: Vec<Arc<Replica>>, // to be dropped by a worker thread
}

impl State {
    pub(super) fn new(settings: SchedulerSettings) -> Self {
        Self {
            scheduler: Scheduler::new(settings),
            settings,
            jobs: HashMap::new(),
            models: HashMap::new(),
            workers: Vec::new(),
            is_shut_down: false,
        }
    }

    pub(super) fn add_worker(&mut self, worker: WorkerId) {
        let n_workers = self.workers.len().max(worker.0 + 1);
        self.workers.resize_with(n_workers, Worker::default);
    }

    pub(super) fn add_model(&mut self, model: ActiveModel, rate: Option<f64>) -> ModelId {
        let id = self.scheduler.add_model(model.replicas.len(), rate);
        self.models.insert(id, model);
        id
    }

    /// Queues a request; one with a deadline is refused if it exceeds the budgets.
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
            flow: FlowId::from_account(account.as_ref()),
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

    /// Returns the next task of a worker, if any.
    pub(super) fn task(&mut self, worker: WorkerId, now: Instant) -> Option<Task> {
        let own = &mut self.workers[worker.0];
        own.is_notified = false;
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
        let work = self.work(worker, now)?;
        // Another worker may be allowed to prepare a batch now that this one is no longer free.
        self.call(now);
        Some(Task::Compute(work))
    }

    /// Records that a batch starts. Returns how long each job that starts with it has waited.
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

    /// Adds the rows of a batch to its jobs.
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

    /// Removes and returns jobs that have ended.
    pub(super) fn take(&mut self, jobs: &[JobId]) -> Vec<PendingJob> {
        let taken: Vec<_> = jobs.iter().filter_map(|id| self.jobs.remove(id)).collect();
        for job in &taken {
            self.publish(job.model, |queued| queued.n_requests -= 1);
        }
        self.call(Instant::now());
        taken
    }

    /// Wakes the threads that wait for a worker to become free.
    pub(super) fn freed(&mut self, worker: WorkerId, now: Instant) {
        self.workers[worker.0].is_free.notify_all();
        self.call(now);
    }

    /// Removes a model; returns its jobs and replicas, or `None` if it was removed before.
    pub(super) fn remove_model(&mut self, id: ModelId, state: ModelState) -> Option<Removed> {
        let ids = self.scheduler.remove_model(id);
        let jobs = ids.iter().filter_map(|id| self.jobs.remove(id)).collect();
        let model = self.models.remove(&id)?;
        model.queued.send_replace(Queued::default());
        model.state.send_replace(state);
        for worker in 0..self.workers.len() {
            self.freed(WorkerId(worker), Instant::now());
        }
        Some(Removed { jobs, replicas: model.replicas })
    }

    /// Hands replicas to the threads of their workers to be dropped, which is slow.
    pub(super) fn retire(&mut self, replicas: Vec<Arc<Replica>>) {
        for (worker, replica) in std::iter::zip(&mut self.workers, replicas) {
            worker.retired.push(replica);
            worker.has_work.notify_one();
        }
    }

    /// Tells all worker threads to exit.
    pub(super) fn shut_down(&mut self) {
        self.is_shut_down = true;
        for worker in &self.workers {
            worker.has_work.notify_all();
            worker.is_free.notify_all();
        }
    }

    /// Drops all jobs, marks all models as crashed and shuts down: a panic may have left the state
    /// inconsistent.
    pub(super) fn break_down(&mut self) {
        self.scheduler = Scheduler::new(self.settings);
        self.jobs.clear();
        for (_, model) in self.models.drain() {
            model.state.send_replace(ModelState::Crashed);
        }
        self.shut_down();
    }

    pub(super) fn has_work(&self, worker: WorkerId) -> Arc<Condvar> {
        Arc::clone(&self.workers[worker.0].has_work)
    }

    pub(super) fn is_free(&self, worker: WorkerId) -> Arc<Condvar> {
        Arc::clone(&self.workers[worker.0].is_free)
    }

    fn work(&mut self, worker: WorkerId, now: Instant) -> Option<Work> {
        let plan = self.scheduler.next_batch(worker, now)?;
        let mut windows = Vec::new();
        for slice in &plan.slices {
            let job = self.jobs.get_mut(&slice.job).expect("what is planned is pending");
            windows.extend(job.windows.drain(..slice.windows.len()));
        }
        let model = self.models.get(&plan.model).expect("a model that has a turn is there");
        let replica = Arc::clone(&model.replicas[worker.0]);
        let (batch, model, slices) = (plan.id, plan.model, plan.slices);
        Some(Work { batch, model, worker, replica, slices, windows, budget: plan.budget })
    }

    /// Wakes a thread of each worker that can plan a batch.
    fn call(&mut self, now: Instant) {
        for (number, worker) in self.workers.iter_mut().enumerate() {
            if !worker.is_notified && self.scheduler.has_batch(WorkerId(number), now) {
                worker.is_notified = true;
                worker.has_work.notify_one();
            }
        }
    }

    /// Publishes the load of a model.
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

/// The jobs and replicas of a removed model.
#[derive(Debug)]
pub(super) struct Removed {
    pub(super) jobs: Vec<PendingJob>,
    pub(super) replicas: Vec<Arc<Replica>>,
}
