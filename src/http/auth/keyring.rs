//! The currently valid keys, and the file that they are loaded from.

use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use tokio::sync::watch;
use tracing::error;
use tracing::info;

use crate::error::Error;
use crate::error::Result;
use crate::key;
use crate::key::Account;
use crate::key::Key;
use crate::metrics::Metrics;
use crate::text_file::WatchedFile;

/// A key file that is reloaded when it changes. Clones share the file.
#[derive(Debug, Clone)]
pub struct KeyFile(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    file: Mutex<Source>, // locked during a reload
    holders: watch::Sender<Arc<[Holder]>>,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct Source {
    file: WatchedFile,
    has_pending_error: bool, // the last read was not a valid key file
}

/// The keys that are currently valid. Clones see the same reloads.
#[derive(Debug, Clone)]
pub struct Keyring(watch::Receiver<Arc<[Holder]>>);

/// A key and the account that tracks its quota.
#[derive(Debug, Clone)]
pub(in crate::http) struct Holder {
    pub(in crate::http) key: Key,
    pub(in crate::http) account: Arc<Account>,
}

impl KeyFile {
    /// Reads the key file; an invalid file prevents the server from starting.
    pub fn open(path: &Path, metrics: Arc<Metrics>) -> Result<Self> {
        let file = WatchedFile::read(path);
        let holders: Arc<[_]> = keys(&file)?.into_iter().map(Holder::new).collect();
        info!(file = %path.display(), n_keys = holders.len(), "read the keys");
        let holders = watch::Sender::new(holders);
        let file = Mutex::new(Source { file, has_pending_error: false });
        Ok(Self(Arc::new(Shared { file, holders, metrics })))
    }

    /// Returns the keys of the file, which follow every later change.
    pub fn keyring(&self) -> Keyring {
        Keyring(self.0.holders.subscribe())
    }

    /// Reloads the file if it has changed. If that fails, the old keys stay valid.
    ///
    /// An invalid file is reported only if it is unchanged at the next call: it may be half
    /// written.
    pub fn refresh(&self) {
        let mut source = self.0.file.lock().unwrap_or_else(PoisonError::into_inner);
        let has_changed = source.file.refresh();
        if has_changed || source.has_pending_error {
            let keys = keys(&source.file);
            source.has_pending_error = has_changed && keys.is_err();
            if !source.has_pending_error {
                self.0.follow(source.file.path(), keys);
            }
        }
    }

    /// Reloads the file even if it is unchanged, and reports errors at once.
    pub fn reload(&self) {
        let mut source = self.0.file.lock().unwrap_or_else(PoisonError::into_inner);
        source.file.refresh();
        source.has_pending_error = false;
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
                self.metrics.count_keys_reload_failure();
            }
        }
    }

    fn replace(&self, path: &Path, keys: Vec<Key>) {
        let old = self.holders.borrow().clone();
        let holder = |key: Key| {
            // A reload does not reset the usage of a key that keeps its name and quota.
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
        // Logged last: once this line appears, the new keys are in force.
        info!(file = %path.display(), n_keys, "read the keys again");
    }
}

impl Keyring {
    /// Returns the holder of a presented key, or `None` if the key is unknown.
    pub(in crate::http) fn find(&self, presented: &[u8]) -> Option<Holder> {
        let holders = self.0.borrow().clone();
        let index = key::find(holders.iter().map(|holder| &holder.key.hash), presented)?;
        holders.get(index).cloned()
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
