//! The keys that are valid now, and the file that they come from.

use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use tokio::sync::watch;
use tracing::error;
use tracing::info;

use crate::error::Error;
use crate::error::Result;
use crate::http::watched::WatchedFile;
use crate::key;
use crate::key::Account;
use crate::key::Key;
use crate::metrics::Metrics;

/// A file of keys, read again when it changes; a clone is the same one.
#[derive(Debug, Clone)]
pub struct KeyFile(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    file: Mutex<Source>, // held while it is read and its keys replace the old ones
    holders: watch::Sender<Arc<[Holder]>>,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct Source {
    file: WatchedFile,
    is_in_doubt: bool, // what was read last are no keys
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

impl KeyFile {
    /// Reads it; a fault here is one of the start.
    pub fn open(path: &Path, metrics: Arc<Metrics>) -> Result<Self> {
        let file = WatchedFile::read(path);
        let holders: Arc<[_]> = keys(&file)?.into_iter().map(Holder::new).collect();
        info!(file = %path.display(), n_keys = holders.len(), "read the keys");
        let holders = watch::Sender::new(holders);
        let file = Mutex::new(Source { file, is_in_doubt: false });
        Ok(Self(Arc::new(Shared { file, holders, metrics })))
    }

    /// Its keys, now and after every change.
    pub fn keyring(&self) -> Keyring {
        Keyring(self.0.holders.subscribe())
    }

    /// Reads it again and follows a change. Where that fails the old keys stay valid.
    ///
    /// What cannot be read is a fault only if it is still the same the next time: it may be half
    /// written.
    pub fn refresh(&self) {
        let mut source = self.0.file.lock().unwrap_or_else(PoisonError::into_inner);
        let has_changed = source.file.refresh();
        if has_changed || source.is_in_doubt {
            let keys = keys(&source.file);
            source.is_in_doubt = has_changed && keys.is_err();
            if !source.is_in_doubt {
                self.0.follow(source.file.path(), keys);
            }
        }
    }

    /// Reads it again, changed or not, and reports a fault at once.
    pub fn reload(&self) {
        let mut source = self.0.file.lock().unwrap_or_else(PoisonError::into_inner);
        source.file.refresh();
        source.is_in_doubt = false;
        self.0.follow(source.file.path(), keys(&source.file));
    }
}

impl Shared {
    fn follow(&self, path: &Path, keys: Result<Vec<Key>>) {
        match keys {
            Ok(keys) => self.replace(path, keys),
            Err(fault) => {
                let (file, detail) = (path.display(), fault.chain());
                error!(%file, detail, "the keys could not be read again; the old ones stay valid");
                self.metrics.keys_kept();
            }
        }
    }

    fn replace(&self, path: &Path, keys: Vec<Key>) {
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
        info!(file = %path.display(), n_keys, "read the keys again");
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

fn keys(file: &WatchedFile) -> Result<Vec<Key>> {
    let name = file.path().display().to_string();
    match std::str::from_utf8(&file.content()?) {
        Ok(text) => Key::read_all(&name, text),
        Err(_) => Err(Error::Artifact {
            file: name,
            expected: "text in UTF-8".into(),
            found: "other bytes".into(),
        }),
    }
}
