mod keys;

use super::*;
use crate::engine::flow::FlowId;
use crate::engine::priority::Priority;
use crate::engine::scheduler::lane::BACKGROUND_WAIT;
use crate::engine::token_budget::Full;

#[test]
fn jobs_of_one_model_share_a_batch() {
    let mut small = Small::new();
    let model = small.add_model();
    let first = small.admit(model, &[10, 10]);
    let second = small.admit(model, &[10]);
    let plan = small.next();
    assert_eq!(plan.model, model);
    assert_eq!(plan.slices, [slice(first, 0..2), slice(second, 0..1)]);
    assert_eq!(small.run(plan.id), [first, second]);
    assert_eq!(small.scheduler.next_batch(HERE, small.now).map(|plan| plan.id), None);
}

#[test]
fn a_long_job_is_complete_after_its_last_window() {
    let mut small = Small::new();
    let model = small.add_model();
    let long = small.admit(model, &[60; 4]);
    for expected in [0..1, 1..2, 2..3] {
        let plan = small.next();
        assert_eq!(plan.slices, [slice(long, expected)]);
        assert_eq!(small.run(plan.id), []);
    }
    let plan = small.next();
    assert_eq!(small.run(plan.id), [long]);
    assert!(small.is_idle(model));
}

#[test]
fn batches_that_end_out_of_order_complete_a_job_once() {
    let mut small = Small::new();
    let model = small.scheduler.add_model(2, None);
    let long = small.admit(model, &[60, 60]);
    let here = small.next();
    let there = small.scheduler.next_batch(PlaceId(1), small.now).unwrap();
    assert_eq!(small.scheduler.start(here.id), Start::Running);
    assert_eq!(small.scheduler.start(there.id), Start::Running);
    assert_eq!(small.scheduler.complete(there.id, MS), []);
    assert_eq!(small.scheduler.complete(there.id, MS), [], "a batch ends once");
    assert_eq!(small.scheduler.complete(here.id, MS), [long]);
}

#[test]
fn models_of_the_foreground_take_turns() {
    let mut small = Small::new();
    let models = [small.add_model(), small.add_model(), small.add_model()];
    for model in [models[0], models[0], models[0], models[1], models[2]] {
        small.admit(model, &[100]);
    }
    let mut order = Vec::new();
    for _ in 0..5 {
        let plan = small.next();
        order.push(models.iter().position(|&model| model == plan.model).unwrap());
        small.run(plan.id);
    }
    assert_eq!(order, [0, 1, 2, 0, 0]);
}

#[test]
fn the_background_runs_when_no_foreground_waits_in_quarter_batches() {
    let mut small = Small::new();
    let (serving, shadow) = (small.add_model(), small.add_model());
    small.admit_behind(shadow, &[10; 10]);
    small.admit(serving, &[10; 10]);
    let plan = small.next();
    assert_eq!((plan.model, plan.budget), (serving, 100));
    small.run(plan.id);
    let plan = small.next();
    assert_eq!((plan.model, plan.budget), (shadow, 25));
    assert_eq!(plan.slices[0].windows, 0..2);
    small.run(plan.id);
}

#[test]
fn the_background_of_a_model_waits_for_its_own_foreground() {
    let mut small = Small::new();
    let model = small.add_model();
    small.admit_behind(model, &[10]);
    let waited_for = small.admit(model, &[10]);
    let plan = small.next();
    assert_eq!(plan.slices, [slice(waited_for, 0..1)]);
}

#[test]
fn the_background_has_a_turn_when_it_has_waited_long_enough() {
    let mut small = Small::new();
    let (serving, shadow) = (small.add_model(), small.add_model());
    small.admit_behind(shadow, &[10; 10]);
    for _ in 0..4 {
        small.admit(serving, &[100]);
    }
    let begin = small.now;
    small.now = begin + BACKGROUND_WAIT.checked_sub(MS).unwrap();
    let plan = small.next();
    assert_eq!(plan.model, serving);
    small.run(plan.id);
    small.now = begin + BACKGROUND_WAIT;
    let plan = small.next();
    assert_eq!(plan.model, shadow);
    small.run(plan.id);
    let plan = small.next();
    assert_eq!(plan.model, serving, "one turn, and it waits anew");
    small.run(plan.id);
}

#[test]
fn of_two_that_are_overdue_the_one_that_waits_longer_is_first() {
    let mut small = Small::new();
    let (one, other) = (small.add_model(), small.add_model());
    small.admit_behind(other, &[10]);
    small.now += MS;
    small.admit_behind(one, &[10]);
    small.now += BACKGROUND_WAIT;
    assert_eq!(small.next().model, other);
}

#[test]
fn a_batch_is_prepared_ahead_only_if_a_whole_one_waits() {
    for (waiting, is_prepared) in [(99, false), (100, true)] {
        let mut small = Small::new();
        let model = small.add_model();
        small.admit(model, &[100]);
        let running = small.next();
        assert_eq!(small.scheduler.start(running.id), Start::Running);
        small.admit(model, &[waiting - 1, 1]);
        assert_eq!(small.scheduler.has_batch(HERE, small.now), is_prepared, "{waiting}");
        let ahead = small.scheduler.next_batch(HERE, small.now);
        assert_eq!(ahead.is_some(), is_prepared, "{waiting}");
        small.admit(model, &[100; 3]);
        let more = small.scheduler.next_batch(HERE, small.now);
        assert_eq!(more.is_some(), !is_prepared, "{waiting}: one at most");
        let ahead = ahead.or(more).unwrap();
        assert_eq!(small.scheduler.start(ahead.id), Start::Occupied);
        small.scheduler.complete(running.id, MS);
        assert_eq!(small.scheduler.start(ahead.id), Start::Running);
    }
}

#[test]
fn nothing_is_prepared_while_another_place_is_free() {
    let mut small = Small::new();
    let model = small.scheduler.add_model(2, None);
    small.admit(model, &[100; 4]);
    let running = small.next();
    small.scheduler.start(running.id);
    assert!(!small.scheduler.has_batch(HERE, small.now));
    assert!(small.scheduler.next_batch(PlaceId(1), small.now).is_some());
    assert!(small.scheduler.has_batch(HERE, small.now));
}

#[test]
fn the_background_is_never_prepared_ahead() {
    let mut small = Small::new();
    let model = small.add_model();
    small.admit_behind(model, &[100; 4]);
    let running = small.next();
    small.scheduler.start(running.id);
    assert!(!small.scheduler.has_batch(HERE, small.now));
    small.now += BACKGROUND_WAIT;
    assert!(!small.scheduler.has_batch(HERE, small.now));
}

#[test]
fn a_model_runs_only_where_it_has_a_replica() {
    let mut small = Small::new();
    small.scheduler.add_model(2, None);
    let single = small.add_model();
    small.admit(single, &[10]);
    assert!(!small.scheduler.has_batch(PlaceId(1), small.now));
    assert!(small.scheduler.has_batch(HERE, small.now));
}

#[test]
fn a_short_job_passes_a_long_one_that_came_less_than_its_own_time_before() {
    // 1,000 tokens per second: the long one takes 500 ms and the short one 10.
    for (later_ms, passes) in [(1, true), (489, true), (491, false)] {
        let mut small = Small::new();
        let model = small.scheduler.add_model(1, Some(1000.0));
        let long = small.admit(model, &[50; 10]);
        small.now += Duration::from_millis(later_ms);
        let short = small.admit(model, &[10]);
        let first = small.next().slices;
        let expected = if passes {
            [slice(long, 0..1), slice(short, 0..1)].to_vec()
        } else {
            vec![slice(long, 0..2)]
        };
        assert_eq!(first, expected, "{later_ms} ms later");
    }
}

#[test]
fn a_slow_model_leaves_a_fast_one_its_room() {
    let mut small = Small::new();
    let fast = small.scheduler.add_model(1, Some(10_000.0));
    let slow = small.scheduler.add_model(1, Some(100.0));
    small.admit(slow, &[100]);
    assert_eq!(small.check(slow, 100), Ok(()), "one second of two");
    small.admit(slow, &[100]);
    assert!(matches!(small.check(slow, 1), Err(Refusal::Full(_))), "two seconds");
    assert_eq!(small.check(fast, 1), Ok(()), "one batch of the other is before it");
    small.admit(fast, &[100]);
    let full = small.check(fast, 1).unwrap_err();
    let retry_after = Duration::from_millis(1005);
    assert_eq!(full, Refusal::Full(Full { queued_tokens: 300, capacity: 298, retry_after }));
}

#[test]
fn what_is_prepared_waits_and_what_runs_does_not() {
    let mut small = Small::new();
    let model = small.scheduler.add_model(1, Some(50.0));
    small.admit(model, &[100]);
    let plan = small.next();
    assert_eq!(small.scheduler.n_waiting(model, Priority::Foreground), 100);
    assert!(small.check(model, 1).is_err(), "it takes two seconds");
    small.scheduler.start(plan.id);
    assert_eq!(small.scheduler.n_waiting(model, Priority::Foreground), 0);
    assert_eq!(small.check(model, 1), Ok(()));
}

#[test]
fn the_background_takes_nothing_of_the_foregrounds_room() {
    let mut small = Small::new();
    let model = small.scheduler.add_model(1, Some(50.0));
    small.admit_behind(model, &[100; 100]);
    assert!(small.check_for(FlowId::Anonymous, model, 1, Priority::Background).is_err());
    assert_eq!(small.check(model, 10_000), Ok(()));
    assert!(!small.scheduler.is_busy());
}

#[test]
fn time_bounds_the_foreground_only() {
    let mut small = Small::new();
    let model = small.scheduler.add_model(1, Some(1.0));
    small.admit_behind(model, &[100; 10]);
    small.admit(model, &[2]);
    let check = |priority| small.check_for(FlowId::Anonymous, model, 1, priority);
    assert_eq!(check(Priority::Background), Ok(()));
    assert!(check(Priority::Foreground).is_err());
}

#[test]
fn it_is_busy_when_half_of_the_room_or_of_the_time_is_taken() {
    for (rate, n_tokens, is_busy) in [
        (None, 5000, false),
        (None, 5001, true),
        (Some(100.0), 100, false),
        (Some(100.0), 101, true),
    ] {
        let mut small = Small::new();
        let model = small.scheduler.add_model(1, rate);
        small.admit(model, &[n_tokens]);
        assert_eq!(small.scheduler.is_busy(), is_busy, "{rate:?}: {n_tokens}");
    }
}

#[test]
fn what_is_abandoned_gives_its_room_back_at_once() {
    let mut small = Small::new();
    let model = small.add_model();
    let job = small.admit(model, &[60, 60]);
    let plan = small.next();
    assert!(small.scheduler.abandon(job));
    assert!(!small.scheduler.abandon(job), "once");
    assert_eq!(small.scheduler.n_waiting(model, Priority::Foreground), 60, "what is prepared");
    assert_eq!(small.run(plan.id), []);
    assert!(small.is_idle(model));
}

#[test]
fn a_deadline_is_kept_to_the_moment() {
    let mut small = Small::new();
    let model = small.add_model();
    let (deadline, before) = (small.now + MS, small.now);
    let new = NewJob { deadline: Some(deadline), ..job(model, &[10]) };
    let first = small.scheduler.admit(new.clone(), small.now).unwrap();
    let later = NewJob { deadline: Some(deadline + MS), ..new };
    let second = small.scheduler.admit(later, small.now).unwrap();
    let endless = small.admit(model, &[10]);
    assert_eq!(small.scheduler.expire(before), []);
    assert_eq!(small.scheduler.expire(deadline), [first]);
    assert_eq!(small.scheduler.expire(deadline), []);
    assert_eq!(small.scheduler.n_waiting(model, Priority::Foreground), 20);
    let plan = small.next();
    assert_eq!(small.run(plan.id), [second, endless]);
    assert_eq!(small.scheduler.expire(deadline + 2 * MS), [], "it was answered in time");
}

#[test]
fn a_failed_batch_ends_its_jobs_and_frees_its_place() {
    let mut small = Small::new();
    let model = small.add_model();
    let failing = small.admit(model, &[60, 60]);
    let plan = small.next();
    small.scheduler.start(plan.id);
    let next = small.admit(model, &[10]);
    assert_eq!(small.scheduler.fail(plan.id), [failing]);
    assert_eq!(small.scheduler.fail(plan.id), [], "once");
    let plan = small.next();
    assert_eq!(small.run(plan.id), [next]);
    assert!(small.is_idle(model));
}

#[test]
fn a_model_that_is_removed_gives_its_jobs_back_and_keeps_its_place_to_the_end() {
    let mut small = Small::new();
    let (model, other) = (small.add_model(), small.add_model());
    let running = small.admit(model, &[100]);
    let first = small.next();
    small.scheduler.start(first.id);
    let prepared = small.admit(model, &[100]);
    let second = small.next();
    let waiting = small.admit(model, &[100]);
    let stays = small.admit(other, &[10]);
    assert_eq!(small.scheduler.remove_model(model), [running, prepared, waiting]);
    assert_eq!(small.scheduler.remove_model(model), []);
    assert_eq!(small.scheduler.start(second.id), Start::Cancelled);
    assert_eq!(small.check(model, 1), Err(Refusal::Removed));
    let refused = small.scheduler.enqueue(job(model, &[1]), small.now);
    assert_eq!(refused, Err(Refusal::Removed));
    assert!(!small.scheduler.has_batch(HERE, small.now), "the place is not free");
    assert_eq!(small.scheduler.complete(first.id, MS), []);
    let plan = small.next();
    assert_eq!(small.run(plan.id), [stays]);
}

#[test]
fn a_batch_teaches_the_throughput_of_its_model() {
    let mut small = Small::new();
    let (one, other) = (small.add_model(), small.add_model());
    small.admit(one, &[100]);
    let plan = small.next();
    small.scheduler.start(plan.id);
    small.scheduler.complete(plan.id, Duration::from_secs(1));
    small.admit(one, &[200]);
    assert!(small.check(one, 1).is_err(), "200 tokens take two seconds");
    assert_eq!(small.check(other, 1), Ok(()), "one batch of them is before it");
}

#[test]
fn a_request_beyond_all_bounds_is_taken_where_it_is_told_so() {
    let mut small = Small::new();
    let model = small.scheduler.add_model(1, Some(1.0));
    small.admit(model, &[10_000]);
    assert!(small.check(model, 1).is_err());
    let job = small.scheduler.enqueue(job(model, &[10]), small.now);
    assert!(job.is_ok());
}

/// A scheduler of one place, unless a model has more.
struct Small {
    scheduler: Scheduler,
    now: Instant,
}

impl Small {
    fn new() -> Self {
        Self::with(SETTINGS)
    }

    fn with(settings: SchedulerSettings) -> Self {
        Self { scheduler: Scheduler::new(settings), now: Instant::now() }
    }

    /// A model whose throughput is not known.
    fn add_model(&mut self) -> ModelId {
        self.scheduler.add_model(1, None)
    }

    fn admit(&mut self, model: ModelId, windows: &[u32]) -> JobId {
        self.admit_for(FlowId::Anonymous, model, windows)
    }

    fn admit_for(&mut self, flow: FlowId, model: ModelId, windows: &[u32]) -> JobId {
        let job = NewJob { flow, ..job(model, windows) };
        self.scheduler.admit(job, self.now).unwrap()
    }

    fn admit_behind(&mut self, model: ModelId, windows: &[u32]) -> JobId {
        let job = NewJob { priority: Priority::Background, ..job(model, windows) };
        self.scheduler.admit(job, self.now).unwrap()
    }

    fn check(&self, model: ModelId, n_tokens: usize) -> Result<(), Refusal> {
        self.check_for(FlowId::Anonymous, model, n_tokens, Priority::Foreground)
    }

    fn check_for(
        &self,
        flow: FlowId,
        model: ModelId,
        n_tokens: usize,
        priority: Priority,
    ) -> Result<(), Refusal> {
        self.scheduler.check(Demand { model, priority, flow, n_tokens })
    }

    fn next(&mut self) -> Plan {
        assert!(self.scheduler.has_batch(HERE, self.now));
        self.scheduler.next_batch(HERE, self.now).unwrap()
    }

    /// Computes the next batch; tells whether it has windows of that job alone.
    fn next_is_all_of(&mut self, job: JobId) -> bool {
        let plan = self.next();
        self.run(plan.id);
        plan.slices.iter().all(|slice| slice.job == job)
    }

    fn run(&mut self, batch: BatchId) -> Vec<JobId> {
        assert_eq!(self.scheduler.start(batch), Start::Running);
        self.scheduler.complete(batch, MS)
    }

    fn is_idle(&self, model: ModelId) -> bool {
        self.scheduler.n_waiting(model, Priority::Foreground) == 0
            && self.scheduler.jobs.is_empty()
            && self.scheduler.deadlines.is_empty()
    }
}

fn job(model: ModelId, windows: &[u32]) -> NewJob {
    let (priority, flow) = (Priority::Foreground, FlowId::Anonymous);
    NewJob { model, priority, flow, windows: windows.into(), deadline: None }
}

fn slice(job: JobId, windows: std::ops::Range<usize>) -> BatchSlice {
    BatchSlice { job, windows }
}

const HERE: PlaceId = PlaceId(0);
const MS: Duration = Duration::from_millis(1);
const SETTINGS: SchedulerSettings = SchedulerSettings {
    batch_tokens: 100,
    queue_tokens: 10_000,
    max_request_tokens: 1000,
    queue_time: Duration::from_secs(2),
};
