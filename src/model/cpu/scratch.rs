//! Reusable memory, for each batch and for each part of a batch.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::model::ops::AttentionScratch;
use crate::model::ops::QuantizedRows;

/// A pool of values that are taken out for use and returned.
///
/// **No lock is held during computation.** A thread that waits in `rayon::join` may run other parts
/// meanwhile; a part that needed a lock held by its own thread would deadlock. So a value is moved
/// out of its stack, which is locked only for that moment, and a nested part finds the stack
/// without this value and takes another one.
#[derive(Debug)]
pub(super) struct Pool<T>(Vec<Mutex<Vec<T>>>);

/// Buffers for the operations on a block of rows between two attention steps, and for attention.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) attention: AttentionScratch,
    pub(super) quantized: QuantizedRows,
    pub(super) attended: Vec<f32>, // (row, hidden)
    pub(super) inner: Vec<f32>,    // (row, intermediate)
}

/// Buffers for a batch; they grow to the size of the largest.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    pub(super) hidden: Vec<f32>,    // (token, hidden)
    pub(super) projected: Vec<f32>, // (token, query key value) or (token, key value)
    pub(super) context: Vec<f32>,   // (token, hidden)
    // For the last layer, of first tokens only:
    pub(super) firsts: Vec<f32>,  // (window, hidden)
    pub(super) queries: Vec<f32>, // (window, hidden)
    /// For a block that all threads share, which is the whole batch.
    pub(super) shared: Scratch,
}

impl<T: Default> Pool<T> {
    /// Creates a pool of `n_stacks` empty stacks.
    pub(super) fn new(n_stacks: usize) -> Self {
        Self((0..n_stacks).map(|_| Mutex::default()).collect())
    }

    /// Calls `work` with a value from the given stack, or with a new value if the stack is empty.
    pub(super) fn with<R>(&self, stack: usize, work: impl FnOnce(&mut T) -> R) -> R {
        let stack = &self.0[stack];
        let mut value = lock(stack).pop().unwrap_or_default();
        let result = work(&mut value);
        lock(stack).push(value);
        result
    }
}

impl Pool<Scratch> {
    /// Calls `work` with a value from the stack of this thread, likely to be in the caches of its
    /// core.
    pub(super) fn with_thread_local<R>(&self, work: impl FnOnce(&mut Scratch) -> R) -> R {
        self.with(rayon::current_thread_index().expect("on a thread of the pool"), work)
    }
}

/// Locks a stack, even if poisoned: stacks are only pushed to and popped from, so a panic leaves
/// them consistent.
fn lock<T>(stack: &Mutex<Vec<T>>) -> MutexGuard<'_, Vec<T>> {
    stack.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// This happens when a thread takes up another part while it waits for its own parts.
    #[test]
    fn a_value_can_be_taken_while_another_of_the_same_stack_is_in_use() {
        let (done, finished) = mpsc::channel();
        std::thread::spawn(move || {
            let pool = Pool::<Vec<u8>>::new(1);
            pool.with(0, |outer| {
                outer.push(1);
                pool.with(0, |inner| inner.push(2));
            });
            pool.with(0, |last| done.send(last.clone()).unwrap());
        });
        let last = finished.recv_timeout(Duration::from_mins(1));
        assert_eq!(last, Ok(vec![1]), "the one that came back last is used first");
    }
}
