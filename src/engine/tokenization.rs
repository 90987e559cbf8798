//! Permits to tokenise, shared fairly between keys.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use tokio::sync::oneshot;

use crate::engine::flow::FlowId;
use crate::engine::priority::Priority;
use crate::error::Error;
use crate::error::Result;

/// As many permits as texts may be tokenised concurrently.
///
/// While permits are free, every request gets one, however many its key already has. When there are
/// none, they are granted round-robin to the waiting keys, and to the background last.
#[derive(Debug, Clone)]
pub(super) struct Tokenization(Arc<Mutex<State>>);

/// A permit to tokenise, released when dropped.
#[derive(Debug)]
pub(super) struct Permit(Option<Tokenization>);

#[derive(Debug)]
struct State {
    n_free: usize, // 0 while any request is waiting
    foreground: RoundRobin,
    background: RoundRobin,
}

/// The waiting flows, the next one first; none is empty.
#[derive(Debug, Default)]
struct RoundRobin(VecDeque<Waiting>);

#[derive(Debug)]
struct Waiting {
    flow: FlowId,
    requests: VecDeque<Sender>,
}

type Sender = oneshot::Sender<Permit>;

impl Tokenization {
    /// Creates `n_permits` permits.
    pub(super) fn new(n_permits: usize) -> Self {
        let (foreground, background) = (RoundRobin::default(), RoundRobin::default());
        Self(Arc::new(Mutex::new(State { n_free: n_permits, foreground, background })))
    }

    /// Waits for a permit.
    pub(super) async fn permit(&self, priority: Priority, flow: FlowId) -> Result<Permit> {
        let granted = {
            let mut state = self.lock();
            if state.n_free > 0 {
                state.n_free -= 1;
                return Ok(Permit(Some(self.clone())));
            }
            let (sender, granted) = oneshot::channel();
            state.flows(priority).push(flow, sender);
            granted
        };
        // A permit sent to a request that was cancelled is dropped with its channel, and so
        // released.
        granted.await.map_err(|_| Error::Stopped)
    }

    /// Passes a permit to the next waiting request, or keeps it as free.
    fn release(&self) {
        loop {
            let mut state = self.lock();
            let Some(next) = state.foreground.pop().or_else(|| state.background.pop()) else {
                state.n_free += 1;
                return;
            };
            drop(state);
            match next.send(Permit(Some(self.clone()))) {
                Ok(()) => return,
                // The request was cancelled; its permit goes to the next one.
                Err(mut permit) => permit.0 = None,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(tokenization) = self.0.take() {
            tokenization.release();
        }
    }
}

impl State {
    fn flows(&mut self, priority: Priority) -> &mut RoundRobin {
        match priority {
            Priority::Foreground => &mut self.foreground,
            Priority::Background => &mut self.background,
        }
    }
}

impl RoundRobin {
    fn push(&mut self, flow: FlowId, sender: Sender) {
        match self.0.iter_mut().find(|waiting| waiting.flow == flow) {
            Some(waiting) => waiting.requests.push_back(sender),
            None => self.0.push_back(Waiting { flow, requests: VecDeque::from([sender]) }),
        }
    }

    fn pop(&mut self) -> Option<Sender> {
        let mut first = self.0.pop_front()?;
        let sender = first.requests.pop_front();
        if !first.requests.is_empty() {
            self.0.push_back(first);
        }
        sender
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn permits_go_round_the_keys_that_wait_and_to_the_background_last() {
        let tokenization = Tokenization::new(1);
        let busy = tokenization.permit(Priority::Foreground, FlowId::Anonymous).await.unwrap();
        let (came, mut order) = tokio::sync::mpsc::channel(8);
        for (name, priority, key) in [
            ("shadow", Priority::Background, 3),
            ("greedy", Priority::Foreground, 1),
            ("greedy", Priority::Foreground, 1),
            ("greedy", Priority::Foreground, 1),
            ("polite", Priority::Foreground, 2),
        ] {
            let (tokenization, came) = (tokenization.clone(), came.clone());
            tokio::spawn(async move {
                let _permit = tokenization.permit(priority, FlowId::Key(key)).await.unwrap();
                came.send(name).await.unwrap();
            });
            // Each task is waiting before the next one starts.
            tokio::task::yield_now().await;
        }
        drop(busy);
        let mut names = Vec::new();
        for _ in 0..5 {
            names.push(order.recv().await.unwrap());
        }
        assert_eq!(names, ["greedy", "polite", "greedy", "greedy", "shadow"]);
    }

    #[tokio::test]
    async fn a_key_that_is_alone_has_all_permits() {
        let tokenization = Tokenization::new(3);
        let mut permits = Vec::new();
        for _ in 0..3 {
            permits.push(tokenization.permit(Priority::Foreground, FlowId::Key(1)).await.unwrap());
        }
        let fourth = tokenization.permit(Priority::Foreground, FlowId::Key(1));
        tokio::pin!(fourth);
        let is_ready = std::future::poll_fn(|context| {
            std::task::Poll::Ready(fourth.as_mut().poll(context).is_ready())
        });
        assert!(!is_ready.await, "there are three");
        permits.pop();
        fourth.await.unwrap();
    }

    #[tokio::test]
    async fn no_permit_is_lost_when_those_who_wait_go_away() {
        let tokenization = Tokenization::new(2);
        let mut permits = Vec::new();
        for _ in 0..2 {
            permits.push(tokenization.permit(Priority::Foreground, FlowId::Key(0)).await.unwrap());
        }
        let waiting: Vec<_> = (0..100)
            .map(|key| {
                let tokenization = tokenization.clone();
                tokio::spawn(async move {
                    tokenization.permit(Priority::Foreground, FlowId::Key(key % 7)).await.unwrap();
                })
            })
            .collect();
        tokio::task::yield_now().await;
        for (place, task) in waiting.iter().enumerate() {
            // Some tasks are aborted before a permit is sent to them, and some after.
            if place == 50 {
                permits.clear();
            }
            if place % 3 != 0 {
                task.abort();
            }
        }
        for task in waiting {
            let _ = task.await;
        }
        let state = tokenization.lock();
        assert_eq!((state.n_free, state.foreground.0.len()), (2, 0));
    }
}
