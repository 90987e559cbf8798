//! Room for the tokens that wait, in all and of one key.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

use crate::error::Error;
use crate::error::Result;
use crate::key::Account;

/// The tokens that may wait; a clone is the same room.
#[derive(Debug, Clone)]
pub(super) struct Room {
    free: Arc<Semaphore>, // a permit a token that may still come
    capacity: usize,
    share: usize, // of it, the most that one key may take
}

/// A place in the room, given back bit by bit or when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    permits: OwnedSemaphorePermit,
    held: Option<Held>,
}

/// What one key takes of the room.
#[derive(Debug)]
struct Held {
    account: Arc<Account>,
    n_tokens: usize,
}

impl Room {
    /// Of so many tokens, of which a key may take half, or one of the largest requests.
    pub(super) fn new(capacity: usize, largest: usize) -> Self {
        let share = largest.max(capacity / 2);
        Self { free: Arc::new(Semaphore::new(capacity)), capacity, share }
    }

    /// Refuses what there is no room for now; takes none.
    pub(super) fn check(&self, n_tokens: usize, account: Option<&Arc<Account>>) -> Result<()> {
        if self.free.available_permits() < n_tokens.max(1) {
            return Err(self.full());
        }
        // What it takes it gives back at once.
        account.map_or(Ok(()), |account| self.hold(n_tokens, account).map(drop))
    }

    /// Whether more than half of it is taken.
    pub(super) fn is_busy(&self) -> bool {
        self.n_taken() > self.capacity / 2
    }

    /// Takes a place, or refuses at once.
    pub(super) fn enter(&self, n_tokens: usize, account: Option<&Arc<Account>>) -> Result<Place> {
        let held = account.map(|account| self.hold(n_tokens, account)).transpose()?;
        let permits = Arc::clone(&self.free).try_acquire_many_owned(permits(n_tokens));
        let permits = permits.map_err(|_| self.full())?;
        Ok(Place { permits, held })
    }

    /// Takes a place as soon as there is one.
    pub(super) async fn wait(&self, n_tokens: usize) -> Result<Place> {
        let permits = Arc::clone(&self.free).acquire_many_owned(permits(n_tokens)).await;
        Ok(Place { permits: permits.map_err(|_| Error::Stopped)?, held: None })
    }

    /// The refusal of a full room; it does not know yet when there will be some.
    pub(super) fn full(&self) -> Error {
        Error::QueueFull { queued_tokens: self.n_taken(), capacity: self.capacity, retry_ms: 0 }
    }

    fn hold(&self, n_tokens: usize, account: &Arc<Account>) -> Result<Held> {
        account.enter(n_tokens, self.share).map_err(|queued_tokens| Error::QueueFull {
            queued_tokens,
            capacity: self.share,
            retry_ms: 0,
        })?;
        Ok(Held { account: Arc::clone(account), n_tokens })
    }

    fn n_taken(&self) -> usize {
        self.capacity - self.free.available_permits()
    }
}

impl Place {
    /// Who takes it, if it came with a key.
    pub(super) fn account(&self) -> Option<&Arc<Account>> {
        self.held.as_ref().map(|held| &held.account)
    }

    /// Gives back so much of it.
    pub(super) fn give_back(&mut self, n_tokens: usize) {
        drop(self.permits.split(n_tokens));
        if let Some(held) = &mut self.held {
            held.give_back(n_tokens);
        }
    }
}

impl Held {
    fn give_back(&mut self, n_tokens: usize) {
        let n_tokens = n_tokens.min(self.n_tokens);
        self.n_tokens -= n_tokens;
        self.account.leave(n_tokens);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.give_back(self.n_tokens);
    }
}

fn permits(n_tokens: usize) -> u32 {
    u32::try_from(n_tokens).expect("a request is smaller than the queue, which has u32 tokens")
}
