mod fixture;
mod keys;

use self::fixture::Fixture;
use self::fixture::HERE;
use self::fixture::MS;
use self::fixture::SETTINGS;
use self::fixture::job;
use self::fixture::slice;
use super::*;
use crate::engine::flow::FlowId;
use crate::engine::priority::Priority;
use crate::engine::scheduler::lane::BACKGROUND_WAIT;
use crate::engine::token_budget::Full;

#[test]
fn jobs_of_one_model_share_a_batch() {
    let mut fixture = Fixture::new();
    let model = fixture.add_model();
    let first = fixture.admit(model, &[10, 10]);
    let second = fixture.admit(model, &[10]);
    let plan = fixture.next();
    assert_eq!(plan.model, model);
    assert_eq!(plan.slices, [slice(first, 0..2), slice(second, 0..1)]);
    assert_eq!(fixture.run(plan.id), [first, second]);
    assert_eq!(fixture.scheduler.next_batch(HERE, fixture.now).map(|plan| plan.id), None);
}

#[test]
fn a_long_job_is_complete_after_its_last_window() {
    let mut fixture = Fixture::new();
    let model = fixture.add_model();
    let long = fixture.admit(model, &[60; 4]);
    for expected in [0..1, 1..2, 2..3] {
        let plan = fixture.next();
        assert_eq!(plan.slices, [slice(long, expected)]);
        assert_eq!(fixture.run(plan.id), []);
    }
    let plan = fixture.next();
    assert_eq!(fixture.run(plan.id), [long]);
    assert!(fixture.is_idle(model));
}

#[test]
fn batches_that_end_out_of_order_complete_a_job_once() {
    let mut fixture = Fixture::new();
    let model = fixture.scheduler.add_model(2, None);
    let long = fixture.admit(model, &[60, 60]);
    let here = fixture.next();
    let there = fixture.scheduler.next_batch(WorkerId(1), fixture.now).unwrap();
    assert_eq!(fixture.scheduler.start(here.id), Start::Running);
    assert_eq!(fixture.scheduler.start(there.id), Start::Running);
    assert_eq!(fixture.scheduler.complete(there.id, MS), []);
    assert_eq!(fixture.scheduler.complete(there.id, MS), [], "a batch ends once");
    assert_eq!(fixture.scheduler.complete(here.id, MS), [long]);
}

#[test]
fn models_of_the_foreground_take_turns() {
    let mut fixture = Fixture::new();
    let models = [fixture.add_model(), fixture.add_model(), fixture.add_model()];
    for model in [models[0], models[0], models[0], models[1], models[2]] {
        fixture.admit(model, &[100]);
    }
    let mut order = Vec::new();
    for _ in 0..5 {
        let plan = fixture.next();
        order.push(models.iter().position(|&model| model == plan.model).unwrap());
        fixture.run(plan.id);
    }
    assert_eq!(order, [0, 1, 2, 0, 0]);
}

#[test]
fn the_background_runs_when_no_foreground_waits_in_quarter_batches() {
    let mut fixture = Fixture::new();
    let (serving, shadow) = (fixture.add_model(), fixture.add_model());
    fixture.admit_background(shadow, &[10; 10]);
    fixture.admit(serving, &[10; 10]);
    let plan = fixture.next();
    assert_eq!((plan.model, plan.budget), (serving, 100));
    fixture.run(plan.id);
    let plan = fixture.next();
    assert_eq!((plan.model, plan.budget), (shadow, 25));
    assert_eq!(plan.slices[0].windows, 0..2);
    fixture.run(plan.id);
}

#[test]
fn the_background_of_a_model_waits_for_its_own_foreground() {
    let mut fixture = Fixture::new();
    let model = fixture.add_model();
    fixture.admit_background(model, &[10]);
    let waited_for = fixture.admit(model, &[10]);
    let plan = fixture.next();
    assert_eq!(plan.slices, [slice(waited_for, 0..1)]);
}

#[test]
fn the_background_has_a_turn_when_it_has_waited_long_enough() {
    let mut fixture = Fixture::new();
    let (serving, shadow) = (fixture.add_model(), fixture.add_model());
    fixture.admit_background(shadow, &[10; 10]);
    for _ in 0..4 {
        fixture.admit(serving, &[100]);
    }
    let begin = fixture.now;
    fixture.now = begin + BACKGROUND_WAIT.checked_sub(MS).unwrap();
    let plan = fixture.next();
    assert_eq!(plan.model, serving);
    fixture.run(plan.id);
    fixture.now = begin + BACKGROUND_WAIT;
    let plan = fixture.next();
    assert_eq!(plan.model, shadow);
    fixture.run(plan.id);
    let plan = fixture.next();
    assert_eq!(plan.model, serving, "one turn, and it waits anew");
    fixture.run(plan.id);
}

#[test]
fn of_two_that_are_overdue_the_one_that_waits_longer_is_first() {
    let mut fixture = Fixture::new();
    let (one, other) = (fixture.add_model(), fixture.add_model());
    fixture.admit_background(other, &[10]);
    fixture.now += MS;
    fixture.admit_background(one, &[10]);
    fixture.now += BACKGROUND_WAIT;
    assert_eq!(fixture.next().model, other);
}

#[test]
fn a_batch_is_prepared_ahead_only_if_a_whole_one_waits() {
    for (waiting, is_prepared) in [(99, false), (100, true)] {
        let mut fixture = Fixture::new();
        let model = fixture.add_model();
        fixture.admit(model, &[100]);
        let running = fixture.next();
        assert_eq!(fixture.scheduler.start(running.id), Start::Running);
        fixture.admit(model, &[waiting - 1, 1]);
        assert_eq!(fixture.scheduler.has_batch(HERE, fixture.now), is_prepared, "{waiting}");
        let ahead = fixture.scheduler.next_batch(HERE, fixture.now);
        assert_eq!(ahead.is_some(), is_prepared, "{waiting}");
        fixture.admit(model, &[100; 3]);
        let more = fixture.scheduler.next_batch(HERE, fixture.now);
        assert_eq!(more.is_some(), !is_prepared, "{waiting}: one at most");
        let ahead = ahead.or(more).unwrap();
        assert_eq!(fixture.scheduler.start(ahead.id), Start::Occupied);
        fixture.scheduler.complete(running.id, MS);
        assert_eq!(fixture.scheduler.start(ahead.id), Start::Running);
    }
}

#[test]
fn nothing_is_prepared_while_another_place_is_free() {
    let mut fixture = Fixture::new();
    let model = fixture.scheduler.add_model(2, None);
    fixture.admit(model, &[100; 4]);
    let running = fixture.next();
    fixture.scheduler.start(running.id);
    assert!(!fixture.scheduler.has_batch(HERE, fixture.now));
    assert!(fixture.scheduler.next_batch(WorkerId(1), fixture.now).is_some());
    assert!(fixture.scheduler.has_batch(HERE, fixture.now));
}

#[test]
fn the_background_is_never_prepared_ahead() {
    let mut fixture = Fixture::new();
    let model = fixture.add_model();
    fixture.admit_background(model, &[100; 4]);
    let running = fixture.next();
    fixture.scheduler.start(running.id);
    assert!(!fixture.scheduler.has_batch(HERE, fixture.now));
    fixture.now += BACKGROUND_WAIT;
    assert!(!fixture.scheduler.has_batch(HERE, fixture.now));
}

#[test]
fn a_model_runs_only_where_it_has_a_replica() {
    let mut fixture = Fixture::new();
    fixture.scheduler.add_model(2, None);
    let single = fixture.add_model();
    fixture.admit(single, &[10]);
    assert!(!fixture.scheduler.has_batch(WorkerId(1), fixture.now));
    assert!(fixture.scheduler.has_batch(HERE, fixture.now));
}

#[test]
fn a_short_job_passes_a_long_one_that_came_less_than_its_own_time_before() {
    // At 1,000 tokens per second, the long job takes 500 ms and the short one 10 ms.
    for (later_ms, passes) in [(1, true), (489, true), (491, false)] {
        let mut fixture = Fixture::new();
        let model = fixture.scheduler.add_model(1, Some(1000.0));
        let long = fixture.admit(model, &[50; 10]);
        fixture.now += Duration::from_millis(later_ms);
        let short = fixture.admit(model, &[10]);
        let first = fixture.next().slices;
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
    let mut fixture = Fixture::new();
    let fast = fixture.scheduler.add_model(1, Some(10_000.0));
    let slow = fixture.scheduler.add_model(1, Some(100.0));
    fixture.admit(slow, &[100]);
    assert_eq!(fixture.check(slow, 100), Ok(()), "one second of two");
    fixture.admit(slow, &[100]);
    assert!(matches!(fixture.check(slow, 1), Err(Refusal::Full(_))), "two seconds");
    assert_eq!(fixture.check(fast, 1), Ok(()), "one batch of the other is before it");
    fixture.admit(fast, &[100]);
    let full = fixture.check(fast, 1).unwrap_err();
    let retry_after = Duration::from_millis(1005);
    assert_eq!(full, Refusal::Full(Full { queued_tokens: 300, capacity: 298, retry_after }));
}

#[test]
fn one_batch_of_another_model_comes_before_what_arrives_now_and_one_more_than_that_does_not() {
    let mut fixture = Fixture::new();
    let fast = fixture.scheduler.add_model(1, Some(10_000.0));
    let slow = fixture.scheduler.add_model(1, Some(100.0));
    fixture.admit(slow, &[100, 100]);
    fixture.admit(fast, &[10]);
    assert_eq!(fixture.check(fast, 1), Ok(()), "110 tokens of the other, in 1.1 seconds");
    let slower = fixture.scheduler.add_model(1, Some(40.0));
    fixture.admit(slower, &[100]);
    let empty = fixture.scheduler.add_model(1, Some(10_000.0));
    assert!(matches!(fixture.check(empty, 1), Err(Refusal::Full(_))), "3.5 seconds for both");
}

#[test]
fn what_is_prepared_waits_and_what_runs_does_not() {
    let mut fixture = Fixture::new();
    let model = fixture.scheduler.add_model(1, Some(50.0));
    fixture.admit(model, &[100]);
    let plan = fixture.next();
    assert_eq!(fixture.scheduler.n_waiting(model, Priority::Foreground), 100);
    assert!(fixture.check(model, 1).is_err(), "it takes two seconds");
    fixture.scheduler.start(plan.id);
    assert_eq!(fixture.scheduler.n_waiting(model, Priority::Foreground), 0);
    assert_eq!(fixture.check(model, 1), Ok(()));
}

#[test]
fn the_background_takes_nothing_of_the_foregrounds_room() {
    let mut fixture = Fixture::new();
    let model = fixture.scheduler.add_model(1, Some(50.0));
    fixture.admit_background(model, &[100; 100]);
    assert!(fixture.check_for(FlowId::Anonymous, model, 1, Priority::Background).is_err());
    assert_eq!(fixture.check(model, 10_000), Ok(()));
    assert!(!fixture.scheduler.is_busy());
}

#[test]
fn time_bounds_the_foreground_only() {
    let mut fixture = Fixture::new();
    let model = fixture.scheduler.add_model(1, Some(1.0));
    fixture.admit_background(model, &[100; 10]);
    fixture.admit(model, &[2]);
    let check = |priority| fixture.check_for(FlowId::Anonymous, model, 1, priority);
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
        let mut fixture = Fixture::new();
        let model = fixture.scheduler.add_model(1, rate);
        fixture.admit(model, &[n_tokens]);
        assert_eq!(fixture.scheduler.is_busy(), is_busy, "{rate:?}: {n_tokens}");
    }
}

#[test]
fn what_is_abandoned_gives_its_room_back_at_once() {
    let mut fixture = Fixture::new();
    let model = fixture.add_model();
    let job = fixture.admit(model, &[60, 60]);
    let plan = fixture.next();
    assert!(fixture.scheduler.abandon(job));
    assert!(!fixture.scheduler.abandon(job), "once");
    assert_eq!(fixture.scheduler.n_waiting(model, Priority::Foreground), 60, "what is prepared");
    assert_eq!(fixture.run(plan.id), []);
    assert!(fixture.is_idle(model));
}

#[test]
fn a_deadline_is_kept_to_the_moment() {
    let mut fixture = Fixture::new();
    let model = fixture.add_model();
    let (deadline, before) = (fixture.now + MS, fixture.now);
    let new = NewJob { deadline: Some(deadline), ..job(model, &[10]) };
    let first = fixture.scheduler.admit(new.clone(), fixture.now).unwrap();
    let later = NewJob { deadline: Some(deadline + MS), ..new };
    let second = fixture.scheduler.admit(later, fixture.now).unwrap();
    let endless = fixture.admit(model, &[10]);
    assert_eq!(fixture.scheduler.expire(before), []);
    assert_eq!(fixture.scheduler.expire(deadline), [first]);
    assert_eq!(fixture.scheduler.expire(deadline), []);
    assert_eq!(fixture.scheduler.n_waiting(model, Priority::Foreground), 20);
    let plan = fixture.next();
    assert_eq!(fixture.run(plan.id), [second, endless]);
    assert_eq!(fixture.scheduler.expire(deadline + 2 * MS), [], "it was answered in time");
}

#[test]
fn a_failed_batch_ends_its_jobs_and_frees_its_place() {
    let mut fixture = Fixture::new();
    let model = fixture.add_model();
    let failing = fixture.admit(model, &[60, 60]);
    let plan = fixture.next();
    fixture.scheduler.start(plan.id);
    let next = fixture.admit(model, &[10]);
    assert_eq!(fixture.scheduler.fail(plan.id), [failing]);
    assert_eq!(fixture.scheduler.fail(plan.id), [], "once");
    let plan = fixture.next();
    assert_eq!(fixture.run(plan.id), [next]);
    assert!(fixture.is_idle(model));
}

#[test]
fn a_model_that_is_removed_gives_its_jobs_back_and_keeps_its_place_to_the_end() {
    let mut fixture = Fixture::new();
    let (model, other) = (fixture.add_model(), fixture.add_model());
    let running = fixture.admit(model, &[100]);
    let first = fixture.next();
    fixture.scheduler.start(first.id);
    let prepared = fixture.admit(model, &[100]);
    let second = fixture.next();
    let waiting = fixture.admit(model, &[100]);
    let stays = fixture.admit(other, &[10]);
    assert_eq!(fixture.scheduler.remove_model(model), [running, prepared, waiting]);
    assert_eq!(fixture.scheduler.remove_model(model), []);
    assert_eq!(fixture.scheduler.start(second.id), Start::Cancelled);
    assert_eq!(fixture.check(model, 1), Err(Refusal::Removed));
    let refused = fixture.scheduler.enqueue(job(model, &[1]), fixture.now);
    assert_eq!(refused, Err(Refusal::Removed));
    assert!(!fixture.scheduler.has_batch(HERE, fixture.now), "the worker is not free");
    assert_eq!(fixture.scheduler.complete(first.id, MS), []);
    let plan = fixture.next();
    assert_eq!(fixture.run(plan.id), [stays]);
}

#[test]
fn a_batch_teaches_the_throughput_of_its_model() {
    let mut fixture = Fixture::new();
    let (one, other) = (fixture.add_model(), fixture.add_model());
    fixture.admit(one, &[100]);
    let plan = fixture.next();
    fixture.scheduler.start(plan.id);
    fixture.scheduler.complete(plan.id, Duration::from_secs(1));
    fixture.admit(one, &[200]);
    assert!(fixture.check(one, 1).is_err(), "200 tokens take two seconds");
    assert_eq!(fixture.check(other, 1), Ok(()), "one batch of them is before it");
}

#[test]
fn a_request_beyond_all_bounds_is_taken_where_it_is_told_so() {
    let mut fixture = Fixture::new();
    let model = fixture.scheduler.add_model(1, Some(1.0));
    fixture.admit(model, &[10_000]);
    assert!(fixture.check(model, 1).is_err());
    let job = fixture.scheduler.enqueue(job(model, &[10]), fixture.now);
    assert!(job.is_ok());
}
