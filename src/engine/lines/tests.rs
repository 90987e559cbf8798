use proptest::prelude::*;

use super::*;
use crate::engine::room::Room;
use crate::key::Quota;

#[test]
fn a_key_with_much_to_do_waits_for_itself() {
    let (greedy, polite) = (account(), account());
    let room = Room::new(100_000, 1000);
    let mut lines = Lines::default();
    for _ in 0..50 {
        lines.enqueue(job(&room, Some(&greedy), &[10; 32]));
    }
    run(&mut lines, 64, 20);
    lines.enqueue(job(&room, Some(&polite), &[10]));
    let shares = lines.choose(64);
    let first_two: Vec<_> = shares.iter().take(2).map(|share| share.line).collect();
    assert!(first_two.contains(&1), "{shares:?}");
}

#[test]
fn one_line_gives_its_jobs_in_order_as_many_windows_as_fit() {
    let room = Room::new(100_000, 1000);
    let mut lines = Lines::default();
    // Of one size, so that they are due in order of their coming.
    for _ in 0..3 {
        lines.enqueue(job(&room, None, &[10, 10, 10]));
    }
    let share = |job, n_windows| Share { line: 0, job, n_windows };
    assert_eq!(lines.choose(55), [share(0, 3), share(1, 2)]);
}

#[test]
fn a_window_larger_than_a_batch_goes_alone() {
    let room = Room::new(100_000, 1000);
    let mut lines = Lines::default();
    lines.enqueue(job(&room, None, &[500, 10]));
    assert_eq!(lines.choose(100), [Share { line: 0, job: 0, n_windows: 1 }]);
}

#[test]
fn the_room_of_a_key_is_half_of_all_and_comes_back() {
    let (greedy, polite) = (account(), account());
    let room = Room::new(100, 10);
    let mut place = room.enter(50, Some(&greedy)).unwrap();
    assert!(room.enter(1, Some(&greedy)).is_err(), "the half is taken");
    assert!(room.enter(10, Some(&polite)).is_ok());
    place.give_back(20);
    assert!(room.enter(20, Some(&greedy)).is_ok());
    drop(place);
    assert!(room.enter(50, Some(&greedy)).is_ok());
    assert!(room.enter(100, None).is_ok(), "everything has come back");
}

#[test]
fn a_key_with_much_to_do_hogs_the_model_only_where_others_come_too() {
    let (greedy, polite) = (account(), account());
    let room = Room::new(100_000, 1000);
    let mut lines = Lines::default();
    lines.enqueue(job(&room, Some(&greedy), &[10; 32]));
    lines.enqueue(job(&room, Some(&greedy), &[10; 32]));
    // It has met nobody but those without a key, whom everybody follows.
    lines.company.met = None;
    assert!(!lines.is_hogged(100));
    lines.enqueue(job(&room, Some(&polite), &[10]));
    assert!(lines.is_hogged(100));
    assert!(!lines.is_hogged(1000), "that is not much");
    lines.enqueue(job(&room, Some(&polite), &[10; 63]));
    assert!(!lines.is_hogged(100), "the other has as much");
    lines.enqueue(job(&room, Some(&greedy), &[10; 64]));
    assert!(lines.is_hogged(100));
    lines.company.met = Instant::now().checked_sub(COMPANY_LASTS);
    assert!(!lines.is_hogged(100), "that was long ago");
}

#[test]
fn those_without_a_key_are_one_party_and_hog_nothing() {
    let room = Room::new(100_000, 1000);
    let mut lines = Lines::default();
    lines.enqueue(job(&room, Some(&account()), &[10]));
    for _ in 0..10 {
        lines.enqueue(job(&room, None, &[10; 32]));
    }
    assert!(!lines.is_hogged(100));
}

proptest! {
    /// Keys that always have something waiting get the same number of tokens, up to a window.
    #[test]
    fn keys_share_the_model_by_tokens(
        lens in prop::collection::vec(prop::collection::vec(1_usize..40, 60..80), 2..5),
        budget in 1_usize..120,
    ) {
        let room = Room::new(1_000_000, 100_000);
        let mut lines = Lines::default();
        for lens in &lens {
            lines.enqueue(job(&room, Some(&account()), lens));
        }
        let before: Vec<_> = lines.lines.iter().map(left).collect();
        for _ in 0..5 {
            let shares = lines.choose(budget);
            let n_tokens: usize = lines.windows(&shares).map(|window| window.ids.len()).sum();
            let n_windows: usize = shares.iter().map(|share| share.n_windows).sum();
            prop_assert!(n_tokens <= budget || n_windows == 1);
            for share in &shares {
                lines.job_mut(*share).advance(share.n_windows);
            }
        }
        let had: Vec<_> =
            std::iter::zip(before, &lines.lines).map(|(before, line)| before - left(line)).collect();
        let (most, fewest) = (had.iter().max().unwrap(), had.iter().min().unwrap());
        prop_assert!(most - fewest <= 40, "{:?}", had);
    }
}

/// Computes so many batches.
fn run(lines: &mut Lines, budget: usize, n_batches: usize) {
    for _ in 0..n_batches {
        let shares = lines.choose(budget);
        for share in &shares {
            lines.job_mut(*share).advance(share.n_windows);
        }
        lines.remove(&shares, |progress| progress.pending().is_empty());
    }
}

fn left(line: &Line) -> usize {
    line.jobs.iter().flat_map(Progress::pending).map(|window| window.ids.len()).sum()
}

fn account() -> Arc<Account> {
    Arc::new(Account::new(Quota::UNLIMITED))
}

fn job(room: &Room, account: Option<&Arc<Account>>, lens: &[usize]) -> Job {
    let windows = lens.iter().map(|&len| Window { ids: vec![0; len], bytes: 0..len });
    let place = room.enter(lens.iter().sum(), account).unwrap();
    // Nobody waits for it.
    Job::new(windows.collect(), place).0
}
