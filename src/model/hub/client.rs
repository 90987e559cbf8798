//! The hub client: resolves a revision to a commit, and fetches its files.

use std::error::Error as StdError;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use hf_hub::HFClient;
use hf_hub::HFClientBuilder;
use hf_hub::HFClientSync;
use hf_hub::HFError;
use hf_hub::HFRepositorySync;
use hf_hub::RepoTypeModel;
use hf_hub::repository::FileMetadataInfo;
use tracing::warn;

use crate::error::Cause;
use crate::error::Error;
use crate::error::Result;
use crate::model::hub::HubSettings;
use crate::model::hub::Snapshot;
use crate::model::hub::Token;
use crate::model::hub::bar::Bar;
use crate::model::hub::integrity;
use crate::model::hub::refusal::DEFAULT_ENDPOINT;
use crate::model::hub::refusal::HubLocation;
use crate::model::hub::refusal::explain;
use crate::model::hub::refusal::explain_first;
use crate::model::hub::refusal::host_of;
use crate::model::hub::refusal::is_unavailable;
use crate::model::hub::refusal::with_remedy;
use crate::model::weights::INDEX;
use crate::model::weights::Index;
use crate::model::weights::SINGLE;
use crate::progress_bar::ProgressBar;
use crate::text_file;

/// Fetches the files of a model into the cache: all from one commit, and only those needed.
pub(in crate::model) fn fetch(
    repo: &str,
    revision: &str,
    settings: HubSettings,
) -> Result<Snapshot> {
    let mut fetcher = Fetcher::open(repo, revision, settings)?;
    // A branch may move at any time, so it is resolved once, and every file is fetched by commit.
    let commit = fetcher.commit()?;
    let config = fetcher.file(CONFIG, &commit)?;
    fetcher.file("tokenizer.json", &commit)?;
    fetcher.optional_file("policy.toml", &commit)?;
    fetcher.optional_file("calibration.json", &commit)?;
    fetcher.optional_file("self_test.jsonl", &commit)?;
    fetcher.optional_file("canaries.jsonl", &commit)?;
    match fetcher.optional_file(INDEX, &commit)? {
        Some(index) => {
            for shard in read_index(&index)?.files() {
                fetcher.file(shard, &commit)?;
            }
        }
        None => drop(fetcher.file(SINGLE, &commit)?),
    }
    let folder = config.parent().expect("a file in the cache is in a folder").to_owned();
    fetcher.remember(&folder, &commit)?;
    Ok(Snapshot { folder, commit })
}

/// One repository of one hub.
struct Fetcher {
    handle: HFRepositorySync<RepoTypeModel>,
    location: HubLocation,
    repo: String,
    revision: String,
    offline: bool, // as set, or because the hub is unavailable
}

impl Fetcher {
    fn open(repo: &str, revision: &str, settings: HubSettings) -> Result<Self> {
        let fault = |fault: HFError| Error::Hub {
            repo: repo.into(),
            revision: revision.into(),
            file: CONFIG.into(),
            source: Arc::new(fault) as Cause,
        };
        let client = builder(&settings)?
            .retry_max_attempts(RETRIES)
            .retry_base_delay(RETRY_DELAY)
            .build()
            .map_err(fault)?;
        let location = HubLocation {
            endpoint: client.endpoint().into(),
            cache: client.cache_dir().into(),
            repo: repo.into(),
        };
        let (owner, name) = hf_hub::split_id(repo);
        Ok(Self {
            handle: HFClientSync::from_inner(client).map_err(fault)?.model(owner, name),
            location,
            repo: repo.into(),
            revision: revision.into(),
            offline: settings.offline,
        })
    }

    /// Resolves the revision to a commit: by the hub, or by the cache if the hub is not available.
    fn commit(&mut self) -> Result<String> {
        let known = self.cached(CONFIG, &self.revision).map(|config| commit_of(&config));
        match known {
            Ok(commit) if self.offline || commit == self.revision => return Ok(commit),
            Err(fault @ HFError::LocalEntryNotFound { .. }) if self.offline => {
                return Err(self.first_fault(fault));
            }
            Err(fault) if self.offline => return Err(self.fault(CONFIG, fault)),
            _ => {}
        }
        match (self.metadata(), known) {
            (Ok(metadata), _) => Ok(metadata.commit_hash),
            (Err(fault), Ok(commit)) if is_unavailable(&fault) => {
                warn!(%commit, %fault, "the hub is unavailable; using the cached model");
                self.offline = true;
                Ok(commit)
            }
            (Err(fault), _) => Err(self.first_fault(fault)),
        }
    }

    /// Returns the hub's current metadata of `config.json`.
    ///
    /// A download would only check whether that file has changed since it was cached; if not, it
    /// would assume that the branch has not moved, even if the weights have changed.
    fn metadata(&self) -> Result<FileMetadataInfo, HFError> {
        let (handle, revision) = (self.handle.clone(), self.revision.clone());
        with_deadline(move || {
            handle.get_file_metadata().filepath(CONFIG).revision(&revision).send()
        })
    }

    fn file(&self, name: &str, commit: &str) -> Result<PathBuf> {
        let path =
            if self.offline { self.cached(name, commit) } else { self.download(name, commit) };
        path.map_err(|fault| self.fault(name, fault))
    }

    /// Returns the path of a file, or `None` if the repository has no such file; offline, also
    /// `None` if the cache has none.
    fn optional_file(&self, name: &str, commit: &str) -> Result<Option<PathBuf>> {
        let path = match self.cached(name, commit) {
            Err(HFError::LocalEntryNotFound { .. }) if self.offline => {
                let message = "not in the cache, and whether the repository has it is unknown";
                warn!(file = name, "{message}");
                return Ok(None);
            }
            Err(HFError::LocalEntryNotFound { .. }) => self.download(name, commit),
            // A commit is immutable, so a file that it is known to lack stays missing.
            known => known,
        };
        match path {
            Ok(path) => Ok(Some(path)),
            Err(HFError::EntryNotFound { .. }) => Ok(None),
            Err(fault) => Err(self.fault(name, fault)),
        }
    }

    /// Returns a file in the cache. If the file is damaged, this is an error when offline;
    /// otherwise the file is removed and reported as missing.
    fn cached(&self, name: &str, revision: &str) -> Result<PathBuf, HFError> {
        let request = self.handle.download_file().filename(name).revision(revision);
        let path = request.local_files_only(true).send()?;
        match integrity::damage(&path)? {
            None => Ok(path),
            Some(damage) if self.offline => Err(HFError::Other(format!(
                "{damage}; remove it, and a start with the hub fetches it again"
            ))),
            Some(damage) => {
                warn!(file = name, "{damage}; it is removed, and is fetched again");
                integrity::remove(&path)?;
                Err(HFError::LocalEntryNotFound { path: name.into() })
            }
        }
    }

    /// Returns a file from the cache, downloading it if it is missing.
    fn download(&self, name: &str, commit: &str) -> Result<PathBuf, HFError> {
        if let Ok(path) = self.cached(name, commit) {
            return Ok(path);
        }
        let bar = Bar::new(name);
        let announced = bar.0.clone();
        let (handle, commit, file) = (self.handle.clone(), commit.to_owned(), name.to_owned());
        let download = {
            let (handle, commit, file) = (handle.clone(), commit.clone(), file.clone());
            move || {
                let request = handle.download_file().filename(&file).revision(&commit);
                request.progress(bar).send()
            }
        };
        let path = with_stall_timeout(&announced, download)
            .map_err(|fault| with_remedy(fault, &self.location))?;
        // The client stores any response body, even an error page.
        let Some(fault) = integrity::fault(&path, announced.length())? else { return Ok(path) };
        integrity::remove(&path)?;
        // The client reports the response status only if it does not write the body to a file.
        let again = with_deadline(move || {
            handle.download_file_to_bytes().filename(&file).revision(&commit).range(0..1).send()
        });
        match again {
            Err(refusal) if host_of(&refusal).is_some() => Err(refusal),
            _ => Err(HFError::Other(fault)),
        }
    }

    /// Records in the cache which commit the revision refers to. Must be called last, so that every
    /// recorded commit is complete.
    fn remember(&self, folder: &Path, commit: &str) -> Result<()> {
        let repo = folder.ancestors().nth(2).expect("a snapshot is in snapshots/ of a repo");
        let path = repo.join("refs").join(&self.revision);
        let is_known = std::fs::read_to_string(&path).is_ok_and(|known| known == commit);
        if self.offline || commit == self.revision || is_known {
            return Ok(());
        }
        path.parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::write(&path, commit))
            .map_err(|fault| self.fault(CONFIG, HFError::Io(fault)))
    }

    fn fault(&self, file: &str, fault: HFError) -> Error {
        let message = explain(&fault, &self.location);
        self.explained(file, fault, message)
    }

    /// Does the same for the first request, which looks up the repository.
    fn first_fault(&self, fault: HFError) -> Error {
        let message = explain_first(&fault, &self.location);
        self.explained(CONFIG, fault, message)
    }

    fn explained(&self, file: &str, fault: HFError, message: Option<String>) -> Error {
        Error::Hub {
            repo: self.repo.clone(),
            revision: self.revision.clone(),
            file: file.into(),
            source: match message {
                Some(message) => Arc::from(Box::<dyn StdError + Send + Sync>::from(message)),
                None => Arc::new(fault),
            },
        }
    }
}

/// Runs a short request to the hub, with a deadline. The client has none of its own: a silent hub
/// would block it for ever.
fn with_deadline<T: Send + 'static>(
    request: impl FnOnce() -> Result<T, HFError> + Send + 'static,
) -> Result<T, HFError> {
    let (sender, receiver) = mpsc::sync_channel(1);
    // After the deadline there is no receiver, and the result is dropped.
    std::thread::spawn(move || sender.send(request()).is_ok());
    receiver
        .recv_timeout(DEADLINE)
        .unwrap_or_else(|_| Err(HFError::Other(format!("no answer within {DEADLINE:?}"))))
}

/// Creates a client builder for the configured hub. The client would read missing settings from the
/// environment itself, and take an empty variable for a value.
fn builder(settings: &HubSettings) -> Result<HFClientBuilder> {
    let endpoint = settings.endpoint.as_deref().unwrap_or(DEFAULT_ENDPOINT);
    check_endpoint(endpoint)?;
    let token = settings.token.as_ref().map_or(NO_TOKEN, Token::reveal);
    let builder = HFClient::builder().endpoint(endpoint).token(token);
    Ok(match &settings.cache {
        Some(cache) => builder.cache_dir(cache),
        None => builder,
    })
}

/// Refuses an endpoint that is not a base URL: the client would take `localhost:8080` for a URL
/// with the scheme `localhost`.
fn check_endpoint(endpoint: &str) -> Result<()> {
    let rest = ["https://", "http://"].iter().find_map(|scheme| endpoint.strip_prefix(scheme));
    if rest
        .is_some_and(|host| host.starts_with(|first: char| first.is_alphanumeric() || first == '['))
    {
        return Ok(());
    }
    let reason = format!(
        "{endpoint} is not a URL; expected one such as {DEFAULT_ENDPOINT}, or none for that hub"
    );
    Err(Error::Config { name: "HF_ENDPOINT", reason })
}

/// Waits for a download as long as bytes arrive; the client itself would wait for ever.
fn with_stall_timeout(
    bar: &ProgressBar,
    download: impl FnOnce() -> Result<PathBuf, HFError> + Send + 'static,
) -> Result<PathBuf, HFError> {
    let (sender, receiver) = mpsc::sync_channel(1);
    // After the deadline there is no receiver, and the result is dropped.
    std::thread::spawn(move || sender.send(download()).is_ok());
    loop {
        let n_bytes = bar.position();
        match receiver.recv_timeout(DEADLINE) {
            Ok(result) => return result,
            Err(RecvTimeoutError::Timeout) if bar.position() > n_bytes => {}
            Err(RecvTimeoutError::Timeout) => {
                return Err(HFError::Other(format!("no bytes arrived for {DEADLINE:?}")));
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(HFError::Other("the download ended early".into()));
            }
        }
    }
}

/// Returns the commit of a file in the cache: `.../snapshots/COMMIT/NAME`.
fn commit_of(file: &Path) -> String {
    let folder = file.parent().and_then(Path::file_name).unwrap_or_default();
    folder.to_string_lossy().into_owned()
}

/// Reads an index that has been fetched.
fn read_index(path: &Path) -> Result<Index> {
    let json = text_file::read(path)?;
    Index::parse(&path.display().to_string(), &json)
}

const CONFIG: &str = "config.json";
/// Not a valid header value, so no token is sent, and the client does not look for one itself.
const NO_TOKEN: &str = "\n";

/// A start should fail within seconds if the hub is unavailable.
const RETRIES: usize = 3;
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// The default timeout of the hub's Python client (`HF_HUB_ETAG_TIMEOUT`).
const DEADLINE: Duration = Duration::from_secs(10);
