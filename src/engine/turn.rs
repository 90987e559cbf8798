//! Whose batch has the cores.

use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// Lets one batch at a time compute, in the order in which they ask; those of the background when
/// no other asks.
#[derive(Debug, Default)]
pub(super) struct Turn {
    state: Mutex<State>, // never held while anything is computed
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_taken: bool,
    next_ticket: u64,
    now_served: u64, // the ticket that comes next; tickets are of the foreground
}

/// Whether answers wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Priority {
    Foreground,
    Background,
}

/// The cores, until it is dropped.
#[derive(Debug)]
pub(super) struct Taken<'a>(&'a Turn);

impl Turn {
    /// Waits until the cores are free for this one.
    pub(super) fn take(&self, priority: Priority) -> Taken<'_> {
        let state = self.lock();
        let state = match priority {
            Priority::Foreground => self.wait_in_order(state),
            Priority::Background => self.wait_for_quiet(state),
        };
        drop(state);
        Taken(self)
    }

    fn wait_in_order<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        let is_early = |state: &mut State| state.is_taken || state.now_served != ticket;
        let waited = self.changed.wait_while(state, is_early);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.now_served += 1;
        state.is_taken = true;
        state
    }

    fn wait_for_quiet<'a>(&'a self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let is_busy = |state: &mut State| state.is_taken || state.now_served != state.next_ticket;
        let waited = self.changed.wait_while(state, is_busy);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.is_taken = true;
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.lock().is_taken = false;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn those_who_wait_come_in_order_and_the_background_last() {
        let turn = Arc::new(Turn::default());
        let taken = turn.take(Priority::Foreground);
        let (came, order) = mpsc::channel();
        let mut threads = Vec::new();
        let mut ask = |name: &'static str, priority| {
            let (turn, came) = (Arc::clone(&turn), came.clone());
            threads.push(std::thread::spawn(move || {
                let _taken = turn.take(priority);
                came.send(name).unwrap();
            }));
        };
        ask("background", Priority::Background);
        ask("first", Priority::Foreground);
        while turn.lock().next_ticket < 2 {
            std::thread::yield_now();
        }
        ask("second", Priority::Foreground);
        while turn.lock().next_ticket < 3 {
            std::thread::yield_now();
        }
        drop(taken);
        assert_eq!(order.iter().take(3).collect::<Vec<_>>(), ["first", "second", "background"]);
        for thread in threads {
            thread.join().unwrap();
        }
    }

    #[test]
    fn a_batch_that_panics_gives_the_cores_back() {
        let turn = Arc::new(Turn::default());
        let other = Arc::clone(&turn);
        let panicking = std::thread::spawn(move || {
            let _taken = other.take(Priority::Foreground);
            panic!("a panic on purpose");
        });
        assert!(panicking.join().is_err());
        drop(turn.take(Priority::Background));
        drop(turn.take(Priority::Foreground));
    }
}
