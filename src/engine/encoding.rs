//! The threads that tokenise, shared fairly.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::Weak;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

use crate::error::Error;
use crate::error::Result;
use crate::key::Account;

/// As many threads as may tokenise at once. Requests wait for them in order, of each key one: the
/// others of that key wait behind it and not in front of everybody else.
#[derive(Debug)]
pub(super) struct Encoding {
    threads: Arc<Semaphore>,
    keys: Mutex<Vec<Line>>, // of keys that have asked; held for a look through them
}

/// Where the requests of one key wait for each other.
#[derive(Debug)]
struct Line {
    account: Weak<Account>, // gone when the key is
    first: Arc<Semaphore>,
}

/// A thread, until it is dropped.
#[derive(Debug)]
pub(super) struct Thread {
    _thread: OwnedSemaphorePermit,
    _first: Option<OwnedSemaphorePermit>,
}

impl Encoding {
    /// So many at once.
    pub(super) fn new(n_threads: usize) -> Self {
        Self { threads: Arc::new(Semaphore::new(n_threads)), keys: Mutex::default() }
    }

    /// Waits for a thread.
    pub(super) async fn thread(&self, account: Option<&Arc<Account>>) -> Result<Thread> {
        let first = match account.map(|account| self.line(account)) {
            Some(line) => Some(line.acquire_owned().await.map_err(|_| Error::Stopped)?),
            None => None,
        };
        let thread = Arc::clone(&self.threads).acquire_owned().await;
        Ok(Thread { _thread: thread.map_err(|_| Error::Stopped)?, _first: first })
    }

    fn line(&self, account: &Arc<Account>) -> Arc<Semaphore> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |line: &&Line| std::ptr::eq(line.account.as_ptr(), Arc::as_ptr(account));
        if let Some(line) = keys.iter().find(is_same) {
            return Arc::clone(&line.first);
        }
        keys.retain(|line| line.account.strong_count() > 0);
        let first = Arc::new(Semaphore::new(1));
        keys.push(Line { account: Arc::downgrade(account), first: Arc::clone(&first) });
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Quota;

    #[tokio::test]
    async fn a_key_with_many_requests_keeps_one_place_among_those_who_wait() {
        let encoding = Arc::new(Encoding::new(1));
        let (greedy, polite) = (account(), account());
        let busy = encoding.thread(None).await.unwrap();
        let (came, mut order) = tokio::sync::mpsc::channel(8);
        for (name, account) in [("greedy", &greedy), ("greedy", &greedy), ("polite", &polite)] {
            let (encoding, account, came) =
                (Arc::clone(&encoding), Arc::clone(account), came.clone());
            tokio::spawn(async move {
                let _thread = encoding.thread(Some(&account)).await.unwrap();
                came.send(name).await.unwrap();
            });
            // Each comes to wait before the next one asks.
            tokio::task::yield_now().await;
        }
        drop(busy);
        let mut names = Vec::new();
        for _ in 0..3 {
            names.push(order.recv().await.unwrap());
        }
        assert_eq!(names, ["greedy", "polite", "greedy"]);
    }

    #[test]
    fn a_key_that_is_gone_leaves_nothing_behind() {
        let encoding = Encoding::new(1);
        for _ in 0..100 {
            encoding.line(&account());
        }
        assert!(encoding.keys.lock().unwrap().len() <= 1);
    }

    fn account() -> Arc<Account> {
        Arc::new(Account::new(Quota::UNLIMITED))
    }
}
