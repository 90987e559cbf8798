//! The keys that are valid now, and the file that they come from.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tracing::error;
use tracing::info;

use crate::error::Error;
use crate::error::Result;
use crate::key;
use crate::key::Account;
use crate::key::Key;
use crate::metrics::Metrics;

/// A file of keys, read again when it changes.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    seen: Option<Stamp>, // none if it was not there
    is_unreadable: bool, // and so is tried again without a sign of change: rights leave none
    holders: watch::Sender<Arc<[Holder]>>,
    metrics: Arc<Metrics>,
}

/// The keys of a file as it was read last; a clone is the same one.
#[derive(Debug, Clone)]
pub struct Keyring(watch::Receiver<Arc<[Holder]>>);

/// A key and what is left of its quota.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    pub(super) key: Key,
    pub(super) account: Arc<Account>,
}

/// By which a change of a file is seen without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    n_bytes: u64,
}

impl KeyFile {
    /// Reads it; a fault here is one of the start.
    pub fn open(path: &Path, metrics: Arc<Metrics>) -> Result<Self> {
        let seen = Stamp::of(path);
        let holders: Arc<[_]> = keys(path)?.into_iter().map(Holder::new).collect();
        info!(file = %path.display(), n_keys = holders.len(), "read the keys");
        let holders = watch::Sender::new(holders);
        Ok(Self { path: path.into(), seen, is_unreadable: false, holders, metrics })
    }

    /// Its keys, now and after every change.
    pub fn keyring(&self) -> Keyring {
        Keyring(self.holders.subscribe())
    }

    /// Reads it again if it has changed. Where that fails the old keys stay valid.
    pub fn refresh(&mut self) {
        // Taken before it is read, so that a change meanwhile is seen next time.
        let seen = Stamp::of(&self.path);
        let is_changed = seen != self.seen;
        if !is_changed && !self.is_unreadable {
            return;
        }
        self.seen = seen;
        let keys = keys(&self.path);
        let is_unreadable = matches!(keys, Err(Error::File { .. }));
        let is_news = is_changed || is_unreadable != self.is_unreadable;
        self.is_unreadable = is_unreadable;
        match keys {
            Ok(keys) => self.replace(keys),
            Err(fault) if is_news => {
                let (file, detail) = (self.path.display(), fault.chain());
                error!(%file, detail, "the keys could not be read again; the old ones stay valid");
                self.metrics.keys_kept();
            }
            Err(_) => {}
        }
    }

    /// Looks once a second, for as long as the process lives.
    pub async fn keep_fresh(mut self) {
        let mut interval = tokio::time::interval(EVERY);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            // A slow disk may hold up no request.
            let refresh = move || {
                self.refresh();
                self
            };
            match tokio::task::spawn_blocking(refresh).await {
                Ok(same) => self = same,
                // It panicked, or the process ends.
                Err(_) => return error!("the file of keys is not read any more"),
            }
        }
    }

    fn replace(&self, keys: Vec<Key>) {
        let old = self.holders.borrow().clone();
        let holder = |key: Key| {
            // What a key has used up stays used up, whatever else changes in the file.
            let same = |other: &&Holder| other.key.name == key.name && other.key.quota == key.quota;
            let account = old.iter().find(same).map(|other| Arc::clone(&other.account));
            match account {
                Some(account) => Holder { key, account },
                None => Holder::new(key),
            }
        };
        let holders: Arc<[_]> = keys.into_iter().map(holder).collect();
        let n_keys = holders.len();
        self.holders.send_replace(holders);
        // Whoever reads this may rely on it.
        info!(file = %self.path.display(), n_keys, "read the keys again");
    }
}

impl Keyring {
    /// Who sent this, if it is a key.
    pub(super) fn find(&self, presented: &[u8]) -> Option<Holder> {
        let holders = self.0.borrow().clone();
        let place = key::find(holders.iter().map(|holder| &holder.key.hash), presented)?;
        holders.get(place).cloned()
    }
}

impl Holder {
    fn new(key: Key) -> Self {
        Self { account: Arc::new(Account::new(key.quota)), key }
    }
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self { modified: metadata.modified().ok()?, n_bytes: metadata.len() })
    }
}

fn keys(path: &Path) -> Result<Vec<Key>> {
    let bytes = std::fs::read(path).map_err(|fault| Error::File {
        path: path.into(),
        action: "reading",
        source: Arc::new(fault),
    })?;
    let file = path.display().to_string();
    match std::str::from_utf8(&bytes) {
        Ok(text) => Key::read_all(&file, text),
        Err(_) => Err(Error::Artifact {
            file,
            expected: "text in UTF-8".into(),
            found: "other bytes".into(),
        }),
    }
}

/// A key that is taken out works no longer than that.
const EVERY: Duration = Duration::from_secs(1);
