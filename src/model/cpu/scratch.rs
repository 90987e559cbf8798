//! Memory that is used again, for each batch and for each part of one.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::model::ops::AttentionScratch;
use crate::model::ops::QuantizedRows;

/// Values that are taken out to be used, and given back.
///
/// **No value is locked while anything is computed.** A thread that waits in `rayon::join` takes up
/// other parts meanwhile: one that needed what the thread already holds would wait for itself. So a
/// value is moved out of its stack, which is locked for that moment only, and the other part finds
/// the stack empty and gets another value.
#[derive(Debug)]
pub(super) struct Pool<T>(Vec<Mutex<Vec<T>>>);

/// What a block of rows needs on its way between two attentions, and attention itself.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) attention: AttentionScratch,
    pub(super) quantized: QuantizedRows,
    pub(super) attended: Vec<f32>, // (row, hidden)
    pub(super) inner: Vec<f32>,    // (row, intermediate)
}

/// What a batch needs; it grows with the largest.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    pub(super) hidden: Vec<f32>,    // (token, hidden)
    pub(super) projected: Vec<f32>, // (token, query key value) or (token, key value)
    pub(super) context: Vec<f32>,   // (token, hidden)
    // Of the first tokens only, for the last layer:
    pub(super) firsts: Vec<f32>,  // (window, hidden)
    pub(super) queries: Vec<f32>, // (window, hidden)
    /// Of a block that all threads share, which is the whole batch.
    pub(super) shared: Scratch,
}

impl<T: Default> Pool<T> {
    /// Creates a pool of so many stacks.
    pub(super) fn new(n_stacks: usize) -> Self {
        Self((0..n_stacks).map(|_| Mutex::default()).collect())
    }

    /// Calls `work` with a value of that stack, or a new one.
    pub(super) fn with<R>(&self, stack: usize, work: impl FnOnce(&mut T) -> R) -> R {
        let stack = &self.0[stack];
        let mut value = lock(stack).pop().unwrap_or_default();
        let result = work(&mut value);
        lock(stack).push(value);
        result
    }
}

impl Pool<Scratch> {
    /// Calls `work` with a value of this thread: what is in the caches of its core.
    pub(super) fn with_mine<R>(&self, work: impl FnOnce(&mut Scratch) -> R) -> R {
        self.with(rayon::current_thread_index().expect("on a thread of the pool"), work)
    }
}

/// A stack stays whole when a thread panics: it is only pushed to and popped from.
fn lock<T>(stack: &Mutex<Vec<T>>) -> MutexGuard<'_, Vec<T>> {
    stack.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// As when a thread takes up another part while it waits for those of its own.
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
