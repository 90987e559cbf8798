//! The scheduler under tens of thousands of random arrivals, held against a ledger of its own.
//!
//! Bounds that hold in every run:
//! - every window of a job is planned once, in order; every job ends once, completed with all its
//!   windows, abandoned, expired, failed or removed with its model; nothing is left at the end;
//! - a place runs one batch at a time, within its budget unless it is a single window;
//! - while a key has work of a model waiting, no other key is planned more tokens of that model than
//!   it, but for the credit of idle keys and two of the largest windows;
//! - a request is refused exactly when the ledger says that tokens or time do not suffice;
//! - within a key, a job is passed only by those that came less than its own time later;
//! - the background is planned only when no foreground waits for that place, or when it has waited
//!   for [`BACKGROUND_WAIT`]; it never waits longer than that and the batches then under way;
//! - a request that is neither abandoned nor late is computed within [`World::max_wait`].

mod ledger;
mod load;
mod model;
mod random;
mod world;

use std::time::Duration;

use self::load::CALM;
use self::load::Load;
use self::load::WILD;
use self::world::World;

#[test]
fn one_model_at_one_place() {
    World::new(Load { seed: 1, ..CALM }).run(20_000);
}

#[test]
fn several_models_at_several_places_with_everything_going_wrong() {
    for seed in 2..6 {
        World::new(Load { seed, ..WILD }).run(15_000);
    }
}

#[test]
fn a_flood_that_never_ends() {
    for seed in 6..8 {
        World::new(Load { seed, mean_gap: Duration::from_micros(300), ..WILD }).run(15_000);
    }
}

#[test]
fn the_background_is_not_starved_by_a_foreground_that_is_never_done() {
    let flood = Load { seed: 9, mean_gap: Duration::from_micros(500), ..CALM };
    let world = World::new(Load { background: 0.3, n_models: 2, ..flood }).run(40_000);
    assert!(world.n_overdue_turns > 2, "{} turns", world.n_overdue_turns);
}
