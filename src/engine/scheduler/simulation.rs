//! Simulates the scheduler under tens of thousands of random arrivals, and checks it against an
//! independent ledger.
//!
//! Invariants that hold in every run:
//! - every window of a job is planned once, in order; every job ends once: completed with all its
//!   windows, abandoned, expired, failed or removed with its model; no job is left at the end;
//! - a worker runs one batch at a time, within its budget unless it is a single window;
//! - while a key has work waiting for a model, no other key is planned more tokens of that model
//!   than this key, except for the credit of idle keys and two of the largest windows;
//! - a request is refused exactly when the ledger finds that a token or time limit is exceeded;
//! - within a key, a job is overtaken only by those that arrive later by less than its own
//!   computing time;
//! - the background is planned only when no foreground work is waiting for that worker, or when it
//!   has waited for [`BACKGROUND_WAIT`]; it never waits longer than that plus the batches in
//!   progress;
//! - a request that is neither abandoned nor late is computed within [`World::max_wait`].

mod ledger;
mod load;
mod model;
mod random;
mod world;

use std::time::Duration;

use self::load::LIGHT_LOAD;
use self::load::Load;
use self::load::STRESS_LOAD;
use self::world::World;

#[test]
fn one_model_on_one_worker() {
    World::new(Load { seed: 1, ..LIGHT_LOAD }).run(20_000);
}

#[test]
fn several_models_on_several_workers_with_failures() {
    for seed in 2..6 {
        World::new(Load { seed, ..STRESS_LOAD }).run(15_000);
    }
}

#[test]
fn a_flood_that_never_ends() {
    for seed in 6..8 {
        World::new(Load { seed, mean_gap: Duration::from_micros(300), ..STRESS_LOAD }).run(15_000);
    }
}

#[test]
fn the_background_is_not_starved_by_a_foreground_that_is_never_done() {
    let flood = Load { seed: 9, mean_gap: Duration::from_micros(500), ..LIGHT_LOAD };
    let world = World::new(Load { background: 0.3, n_models: 2, ..flood }).run(40_000);
    assert!(world.n_overdue_background_batches > 2, "{} turns", world.n_overdue_background_batches);
}
