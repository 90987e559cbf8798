//! Tests of how keys share a model and the queue.

use super::*;

#[test]
fn a_long_job_of_an_idle_key_is_served_before_a_backlogged_key() {
    for (n_before, expected) in [(3, 6), (12, 9)] {
        let mut fixture = Fixture::new();
        let model = fixture.add_model();
        fixture.admit_for(FlowId::Key(0), model, &[50; 100]);
        for _ in 0..n_before {
            let plan = fixture.next();
            fixture.run(plan.id);
        }
        let long = fixture.admit_for(FlowId::Key(1), model, &[50; 20]);
        let mut n_batches = 0;
        while fixture.next_batch_is_only(long) {
            n_batches += 1;
        }
        assert_eq!(n_batches, expected, "batches after {n_before}");
    }
}

#[test]
fn no_batch_is_prepared_while_one_key_dominates() {
    for (other, is_prepared) in [(&[1; 40][..], false), (&[50; 7], true)] {
        let mut fixture = Fixture::new();
        let model = fixture.add_model();
        fixture.admit_for(FlowId::Key(1), model, &[50; 7]);
        fixture.admit_for(FlowId::Key(2), model, other);
        let running = fixture.next();
        assert_eq!(fixture.scheduler.start(running.id), Start::Running);
        assert_eq!(fixture.scheduler.has_batch(HERE, fixture.now), is_prepared, "{other:?}");
    }
}

#[test]
fn a_dominant_key_gets_half_size_batches() {
    for (n_windows, budget) in [(10, 100), (11, 50)] {
        let mut fixture = Fixture::new();
        let model = fixture.add_model();
        fixture.admit_for(FlowId::Key(1), model, &vec![10; n_windows]);
        assert_eq!(
            fixture.scheduler.turn(HERE, fixture.now).unwrap().budget,
            100,
            "no other key is active"
        );
        fixture.admit_for(FlowId::Key(2), model, &[10]);
        let plan = fixture.next();
        assert_eq!(plan.budget, budget, "{n_windows}");
    }
}

#[test]
fn a_key_may_use_half_of_the_queue_or_one_maximum_request() {
    for (max_request_tokens, share) in [(100, 5000), (7000, 7000)] {
        let mut fixture = Fixture::with(SchedulerSettings { max_request_tokens, ..SETTINGS });
        let (one, other) = (fixture.add_model(), fixture.add_model());
        fixture.admit_for(FlowId::Key(1), one, &[1000]);
        let check = |model, flow, n_tokens| {
            fixture.check_for(flow, model, n_tokens, Priority::Foreground).is_ok()
        };
        for (n_tokens, fits) in [(share - 1000, true), (share - 999, false)] {
            assert_eq!(check(one, FlowId::Key(1), n_tokens), fits, "{n_tokens} of {share}");
            assert_eq!(check(other, FlowId::Key(1), n_tokens), fits, "the limit spans all models");
        }
        assert!(check(one, FlowId::Key(2), share));
        assert!(check(one, FlowId::Anonymous, 9000), "no key, no limit per key");
    }
}

#[test]
fn the_backlog_of_a_key_stays_within_half_of_the_maximum_wait() {
    let mut fixture = Fixture::new();
    let model = fixture.scheduler.add_model(1, Some(100.0));
    let check = |fixture: &Fixture, key, n_tokens| {
        fixture.check_for(FlowId::Key(key), model, n_tokens, Priority::Foreground).is_ok()
    };
    assert!(check(&fixture, 1, 1000), "the key's only request");
    fixture.admit_for(FlowId::Key(1), model, &[50]);
    let plan = fixture.next();
    for (n_tokens, fits) in [(49, true), (50, false)] {
        assert_eq!(check(&fixture, 1, n_tokens), fits, "{n_tokens} tokens with 50 prepared");
        assert!(check(&fixture, 2, n_tokens), "another key");
    }
    fixture.scheduler.start(plan.id);
    assert!(check(&fixture, 1, 1000), "running tokens do not count");
}
