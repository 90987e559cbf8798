//! How keys share a model.

use super::*;

#[test]
fn a_long_text_of_a_key_that_was_idle_is_computed_before_more_of_one_that_is_greedy() {
    for (n_before, n_first) in [(3, 6), (12, 9)] {
        let mut small = Small::new();
        let model = small.add_model();
        small.admit_for(FlowId::Key(0), model, &[50; 100]);
        for _ in 0..n_before {
            let plan = small.next();
            small.run(plan.id);
        }
        let long = small.admit_for(FlowId::Key(1), model, &[50; 20]);
        let mut n_taken = 0;
        while small.next_is_all_of(long) {
            n_taken += 1;
        }
        assert_eq!(n_taken, n_first, "batches after {n_before}");
    }
}

#[test]
fn nothing_is_prepared_for_a_key_with_more_than_all_others() {
    for (polite, is_prepared) in [(&[1; 40][..], false), (&[50; 7], true)] {
        let mut small = Small::new();
        let model = small.add_model();
        small.admit_for(FlowId::Key(1), model, &[50; 7]);
        small.admit_for(FlowId::Key(2), model, polite);
        let running = small.next();
        assert_eq!(small.scheduler.start(running.id), Start::Running);
        assert_eq!(small.scheduler.has_batch(HERE, small.now), is_prepared, "{polite:?}");
    }
}

#[test]
fn a_key_with_more_than_a_batch_gets_half_batches_beside_others() {
    for (n_windows, budget) in [(10, 100), (11, 50)] {
        let mut small = Small::new();
        let model = small.add_model();
        small.admit_for(FlowId::Key(1), model, &vec![10; n_windows]);
        assert_eq!(small.scheduler.turn(HERE, small.now).unwrap().budget, 100, "nobody else comes");
        small.admit_for(FlowId::Key(2), model, &[10]);
        let plan = small.next();
        assert_eq!(plan.budget, budget, "{n_windows}");
    }
}

#[test]
fn a_key_has_half_of_the_queue_or_one_of_the_largest_requests() {
    for (max_request_tokens, share) in [(100, 5000), (7000, 7000)] {
        let mut small = Small::with(SchedulerSettings { max_request_tokens, ..SETTINGS });
        let (one, other) = (small.add_model(), small.add_model());
        small.admit_for(FlowId::Key(1), one, &[1000]);
        let check = |model, flow, n_tokens| {
            small.check_for(flow, model, n_tokens, Priority::Foreground).is_ok()
        };
        for (n_tokens, fits) in [(share - 1000, true), (share - 999, false)] {
            assert_eq!(check(one, FlowId::Key(1), n_tokens), fits, "{n_tokens} of {share}");
            assert_eq!(check(other, FlowId::Key(1), n_tokens), fits, "for all models together");
        }
        assert!(check(one, FlowId::Key(2), share));
        assert!(check(one, FlowId::Anonymous, 9000), "no key, no share");
    }
}

#[test]
fn what_a_key_has_waiting_stays_within_half_of_the_time() {
    let mut small = Small::new();
    let model = small.scheduler.add_model(1, Some(100.0));
    let check = |small: &Small, key, n_tokens| {
        small.check_for(FlowId::Key(key), model, n_tokens, Priority::Foreground).is_ok()
    };
    assert!(check(&small, 1, 1000), "the only one of its key");
    small.admit_for(FlowId::Key(1), model, &[50]);
    let plan = small.next();
    for (n_tokens, fits) in [(49, true), (50, false)] {
        assert_eq!(check(&small, 1, n_tokens), fits, "{n_tokens} beside 50 prepared ones");
        assert!(check(&small, 2, n_tokens), "another key");
    }
    small.scheduler.start(plan.id);
    assert!(check(&small, 1, 1000), "what runs does not wait");
}
