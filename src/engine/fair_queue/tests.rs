use std::time::Duration;

use proptest::prelude::*;

use super::*;

#[test]
fn a_flow_with_much_to_do_waits_for_itself() {
    let mut queue = Filled::default();
    for _ in 0..50 {
        queue.push(GREEDY, &[10; 32]);
    }
    for _ in 0..20 {
        queue.take(64);
    }
    let polite = queue.push(POLITE, &[10]);
    assert!(queue.take(64).iter().any(|slice| slice.job == polite));
}

#[test]
fn jobs_of_a_flow_come_in_order_as_many_windows_as_fit() {
    let mut queue = Filled::default();
    let jobs: Vec<_> = (0..3).map(|_| queue.push(FlowId::Anonymous, &[10, 10, 10])).collect();
    assert_eq!(queue.take(55), [slice(jobs[0], 0..3), slice(jobs[1], 0..2)]);
    assert_eq!(queue.take(29), [slice(jobs[1], 2..3), slice(jobs[2], 0..1)]);
    assert_eq!(queue.take(30), [slice(jobs[2], 1..3)]);
    assert_eq!(queue.take(30), []);
}

#[test]
fn a_batch_takes_what_fits_and_one_window_at_least() {
    struct Case {
        windows: &'static [u32],
        budget: usize,
        fits: usize,
    }
    for Case { windows, budget, fits } in [
        Case { windows: &[4, 4, 4], budget: 8, fits: 2 }, // tokens, not windows
        Case { windows: &[4, 5, 1], budget: 8, fits: 1 }, // nothing overtakes
        Case { windows: &[9], budget: 8, fits: 1 },       // at least one
        Case { windows: &[9, 1], budget: 8, fits: 1 },    // a large window goes alone
        Case { windows: &[0, 0, 1], budget: 0, fits: 2 },
    ] {
        let mut queue = Filled::default();
        let job = queue.push(FlowId::Anonymous, windows);
        let taken = queue.queue.take(budget);
        assert_eq!(taken.slices, [slice(job, 0..fits)], "{windows:?}, budget {budget}");
        let n_tokens: u32 = windows[..fits].iter().sum();
        assert_eq!(
            taken.n_tokens[&FlowId::Anonymous],
            n_tokens as usize,
            "{windows:?}, budget {budget}"
        );
    }
}

#[test]
fn a_lower_rank_goes_first_and_an_older_job_among_equals() {
    let mut queue = Filled::default();
    let late = queue.push_at(FlowId::Anonymous, &[1], 20);
    let early = queue.push_at(FlowId::Anonymous, &[1], 10);
    let same = queue.push_at(FlowId::Anonymous, &[1], 10);
    let order: Vec<_> = (0..3).map(|_| queue.take(1)[0].job).collect();
    assert_eq!(order, [early, same, late]);
}

#[test]
fn tokens_are_counted_as_jobs_come_and_go() {
    let mut queue = Filled::default();
    let first = queue.push(GREEDY, &[10, 20]);
    queue.push(POLITE, &[5]);
    let tokens = |queue: &Filled| {
        let queue = &queue.queue;
        (queue.n_tokens(), queue.n_tokens_of(GREEDY), queue.n_tokens_of(POLITE))
    };
    assert_eq!(tokens(&queue), (35, 30, 5));
    queue.take(10);
    assert_eq!(tokens(&queue), (25, 20, 5));
    queue.remove(GREEDY, first);
    assert_eq!(tokens(&queue), (5, 0, 5));
    queue.remove(GREEDY, first);
    queue.remove(FlowId::Anonymous, first);
    assert_eq!(tokens(&queue), (5, 0, 5), "removed once");
    queue.take(10);
    assert_eq!(tokens(&queue), (0, 0, 0));
}

#[test]
fn a_job_that_is_removed_leaves_the_turn_to_the_others() {
    let mut queue = Filled::default();
    let gone = queue.push(GREEDY, &[10]);
    let stays = queue.push(GREEDY, &[10]);
    let other = queue.push(POLITE, &[10]);
    queue.remove(GREEDY, gone);
    assert_eq!(queue.take(100), [slice(stays, 0..1), slice(other, 0..1)]);
}

#[test]
fn by_leaving_and_coming_back_a_flow_wins_no_more_than_the_credit() {
    for credit in [0, 100, 300] {
        let mut queue = Filled::with_credit(credit);
        queue.push(POLITE, &[10; 1000]);
        let (mut n_pushed, mut n_idle) = (0, 0);
        for _ in 0..100 {
            if queue.queue.n_tokens_of(GREEDY) == 0 {
                n_idle += 1;
            }
            if n_idle > 2 {
                let burst = vec![50; 1 + credit / 50];
                queue.push(GREEDY, &burst);
                (n_pushed, n_idle) = (n_pushed + 50 * burst.len(), 0);
            }
            queue.take(50);
        }
        let n_greedy = n_pushed - queue.queue.n_tokens_of(GREEDY);
        let n_polite = 10_000 - queue.queue.n_tokens_of(POLITE);
        assert!(n_greedy > 1000 && n_greedy <= n_polite + credit + 100, "{n_greedy}, {n_polite}");
    }
}

#[test]
fn the_credit_is_shared_and_grows_by_what_the_waiting_are_given() {
    let mut queue = Filled::with_credit(60);
    queue.push(GREEDY, &[10; 100]);
    for _ in 0..50 {
        queue.take(10);
    }
    // POLITE gets the 30 tokens of credit that it needs, OTHER the 30 that are left and one window
    // more.
    queue.push(POLITE, &[10; 3]);
    let other = queue.push(OTHER, &[10; 9]);
    assert_eq!(queue.tokens_until(GREEDY), 70);
    queue.remove(OTHER, other);
    // GREEDY has been served one window since.
    queue.push(POLITE, &[10; 9]);
    assert_eq!(queue.tokens_until(GREEDY), 20);
}

#[test]
fn a_flow_that_was_idle_catches_up_on_what_others_had_meanwhile_up_to_the_credit() {
    // The virtual time is one window behind the tokens that the backlogged flow was served.
    for (n_before, n_first) in [(0, 0), (20, 20), (60, 60), (70, 70), (80, 70), (500, 70)] {
        let mut queue = Filled::with_credit(60);
        queue.push(GREEDY, &[10; 100]);
        for _ in 0..n_before / 10 {
            queue.take(10);
        }
        queue.push(POLITE, &[10; 50]);
        assert_eq!(queue.tokens_until(GREEDY), n_first, "after {n_before}");
    }
}

#[test]
fn a_flow_that_was_away_gets_no_more_than_its_share() {
    let mut queue = Filled::default();
    for _ in 0..20 {
        queue.push(GREEDY, &[10]);
    }
    for _ in 0..10 {
        queue.take(10);
    }
    for _ in 0..10 {
        queue.push(POLITE, &[10]);
    }
    queue.take(80);
    assert_eq!(queue.queue.n_tokens_of(GREEDY), 60);
    assert_eq!(queue.queue.n_tokens_of(POLITE), 60);
}

#[test]
fn nothing_is_remembered_when_nothing_waits() {
    let mut queue = Filled::default();
    for key in 0..100 {
        let job = queue.push(FlowId::Key(key), &[10]);
        if key % 2 == 0 {
            queue.take(10);
        } else {
            queue.remove(FlowId::Key(key), job);
        }
        assert!(queue.queue.flows.is_empty() && queue.queue.turns.is_empty());
        assert_eq!(queue.queue.virtual_time, 0);
    }
}

#[test]
fn a_flow_that_is_behind_is_forgotten_when_it_is_idle() {
    let mut queue = Filled::default();
    queue.push(FlowId::Anonymous, &[10; 100]);
    for key in 0..50 {
        queue.push(FlowId::Key(key), &[10]);
        queue.take(20);
    }
    queue.take(40);
    assert_eq!(queue.queue.flows.len(), 1, "{:?}", queue.queue.flows.keys());
}

#[test]
fn a_key_dominates_only_where_others_come_too() {
    let mut queue = Filled::default();
    let now = queue.now;
    queue.push(GREEDY, &[10; 64]);
    assert!(!queue.queue.is_dominated(100, now), "nobody else has come");
    queue.push(POLITE, &[10]);
    for (n_tokens, is_dominated) in [(100, true), (639, true), (640, false)] {
        assert_eq!(queue.queue.is_dominated(n_tokens, now), is_dominated, "{n_tokens}");
    }
    assert!(!queue.queue.is_dominated(100, now + Duration::from_mins(1)), "that was long ago");
    queue.push(POLITE, &[10; 63]);
    assert!(!queue.queue.is_dominated(100, now), "the other has as much");
    queue.push(GREEDY, &[10]);
    assert!(!queue.queue.is_dominated(650, now));
    assert!(queue.queue.is_dominated(649, now));
}

#[test]
fn requests_without_a_key_dominate_nobody() {
    let mut queue = Filled::default();
    queue.push(POLITE, &[10]);
    queue.push(FlowId::Anonymous, &[10; 320]);
    assert!(!queue.queue.is_dominated(100, queue.now));
}

proptest! {
    /// Flows that are always backlogged are served the same number of tokens, up to the largest
    /// window.
    #[test]
    fn flows_share_the_model_by_tokens(
        lens in prop::collection::vec(prop::collection::vec(1_u32..40, 60..80), 2..5),
        budget in 1_usize..120,
    ) {
        let mut queue = Filled::default();
        for (key, lens) in lens.iter().enumerate() {
            queue.push(FlowId::Key(key), lens);
        }
        let waiting = |queue: &Filled| -> Vec<_> {
            (0..lens.len()).map(|key| queue.queue.n_tokens_of(FlowId::Key(key))).collect()
        };
        let before = waiting(&queue);
        for _ in 0..5 {
            let taken = queue.queue.take(budget);
            let n_windows: usize = taken.slices.iter().map(|slice| slice.windows.len()).sum();
            let n_tokens: usize = taken.n_tokens.values().sum();
            prop_assert!(n_tokens <= budget || n_windows == 1);
        }
        let served: Vec<_> =
            std::iter::zip(before, waiting(&queue)).map(|(before, left)| before - left).collect();
        let (most, fewest) = (served.iter().max().unwrap(), served.iter().min().unwrap());
        prop_assert!(most - fewest <= 40, "{:?}", served);
    }
}

const GREEDY: FlowId = FlowId::Key(0);
const POLITE: FlowId = FlowId::Key(1);
const OTHER: FlowId = FlowId::Key(2);

/// A queue that assigns ids to its jobs.
struct Filled {
    queue: FairQueue,
    now: Instant,
    n_jobs: u64,
}

impl Default for Filled {
    fn default() -> Self {
        Self::with_credit(0)
    }
}

impl Filled {
    fn with_credit(max_credit: usize) -> Self {
        Self { queue: FairQueue::new(max_credit), now: Instant::now(), n_jobs: 0 }
    }

    fn push(&mut self, flow: FlowId, windows: &[u32]) -> JobId {
        self.push_at(flow, windows, 0)
    }

    fn push_at(&mut self, flow: FlowId, windows: &[u32], rank_ms: u64) -> JobId {
        let id = JobId(self.n_jobs);
        self.n_jobs += 1;
        let rank = self.now + Duration::from_millis(rank_ms);
        self.queue.push(flow, QueuedJob { id, rank, windows: windows.into() }, self.now);
        id
    }

    fn remove(&mut self, flow: FlowId, id: JobId) {
        self.queue.remove(flow, self.now, id);
    }

    /// Takes windows one by one until one of `flow` comes; returns the tokens taken before it.
    fn tokens_until(&mut self, flow: FlowId) -> usize {
        let mut n_tokens = 0;
        loop {
            let taken = self.queue.take(1).n_tokens;
            if taken.contains_key(&flow) {
                return n_tokens;
            }
            n_tokens += taken.values().sum::<usize>();
        }
    }

    fn take(&mut self, budget: usize) -> Vec<BatchSlice> {
        self.queue.take(budget).slices
    }
}

fn slice(job: JobId, windows: Range<usize>) -> BatchSlice {
    BatchSlice { job, windows }
}
