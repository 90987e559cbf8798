//! Models of a Hugging Face hub, through its official cache; the only network client.

use std::path::PathBuf;

/// How to talk to the hub. Endpoint, token and cache folder come from the variables that the hub's
/// own clients read: `HF_ENDPOINT`, `HF_TOKEN`, `HF_HOME`, `HF_HUB_CACHE`.
#[derive(Debug, Clone, Copy)]
pub struct HubSettings {
    /// Uses what is in the cache and nothing else (`HF_HUB_OFFLINE`).
    pub offline: bool,
}

/// A repository at one commit, in the cache.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) folder: PathBuf,
    pub(super) commit: String,
}

pub(super) use self::client::fetch;

#[cfg(feature = "hub")]
mod client {
    use std::path::Path;
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::Duration;

    use hf_hub::HFClient;
    use hf_hub::HFError;
    use hf_hub::HFRepositorySync;
    use hf_hub::RepoTypeModel;
    use hf_hub::progress::DownloadEvent;
    use hf_hub::progress::FileProgress;
    use hf_hub::progress::ProgressEvent;
    use hf_hub::progress::ProgressHandler;
    use indicatif::ProgressBar;
    use indicatif::ProgressStyle;

    use super::HubSettings;
    use super::Snapshot;
    use crate::error::Cause;
    use crate::error::Error;
    use crate::error::Result;
    use crate::model::weights::INDEX;
    use crate::model::weights::Index;
    use crate::model::weights::SINGLE;

    /// Brings the files of a model into the cache, all of one commit, and none that is not needed.
    pub(in crate::model) fn fetch(
        repo: &str,
        revision: &str,
        settings: HubSettings,
    ) -> Result<Snapshot> {
        let checkout = Checkout::open(repo, revision, settings)?;
        // The first file tells which commit the revision is; the others are asked for by commit.
        let config = checkout.file("config.json", revision)?;
        let snapshot = snapshot_of(&config).ok_or_else(|| {
            checkout.fault("config.json", format!("{} is not in a snapshot", config.display()))
        })?;
        let commit = snapshot.commit.as_str();
        checkout.file("tokenizer.json", commit)?;
        checkout.optional_file("policy.toml", commit)?;
        checkout.optional_file("calibration.json", commit)?;
        match checkout.optional_file(INDEX, commit)? {
            Some(index) => {
                for shard in read_index(&index)?.files() {
                    checkout.file(shard, commit)?;
                }
            }
            None => drop(checkout.file(SINGLE, commit)?),
        }
        Ok(snapshot)
    }

    /// One repository of one hub.
    struct Checkout {
        handle: HFRepositorySync<RepoTypeModel>,
        repo: String,
        revision: String,
        offline: bool,
    }

    impl Checkout {
        fn open(repo: &str, revision: &str, settings: HubSettings) -> Result<Self> {
            let client = HFClient::builder()
                .retry_max_attempts(RETRIES)
                .retry_base_delay(RETRY_DELAY)
                .build_sync()
                .map_err(|fault| Error::Hub {
                    repo: repo.into(),
                    revision: revision.into(),
                    file: "config.json".into(),
                    source: Arc::new(fault) as Cause,
                })?;
            let (owner, name) = hf_hub::split_id(repo);
            Ok(Self {
                handle: client.model(owner, name),
                repo: repo.into(),
                revision: revision.into(),
                offline: settings.offline,
            })
        }

        fn file(&self, name: &str, revision: &str) -> Result<PathBuf> {
            self.download(name, revision).map_err(|fault| self.fault(name, fault))
        }

        /// `None` if the repository has no such file; offline also if the cache has none.
        fn optional_file(&self, name: &str, revision: &str) -> Result<Option<PathBuf>> {
            match self.download(name, revision) {
                Ok(path) => Ok(Some(path)),
                Err(HFError::EntryNotFound { .. }) => Ok(None),
                Err(HFError::LocalEntryNotFound { .. }) if self.offline => Ok(None),
                Err(fault) => Err(self.fault(name, fault)),
            }
        }

        fn download(&self, name: &str, revision: &str) -> Result<PathBuf, HFError> {
            self.handle
                .download_file()
                .filename(name)
                .revision(revision)
                .local_files_only(self.offline)
                .progress(Bar::new(name))
                .send()
        }

        fn fault(
            &self,
            file: &str,
            source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
        ) -> Error {
            Error::Hub {
                repo: self.repo.clone(),
                revision: self.revision.clone(),
                file: file.into(),
                source: Arc::from(source.into()),
            }
        }
    }

    /// The folder and the commit of a file in the cache: `.../snapshots/COMMIT/NAME`.
    fn snapshot_of(file: &Path) -> Option<Snapshot> {
        let folder = file.parent()?;
        let commit = folder.file_name()?.to_str()?.to_owned();
        (folder.parent()?.file_name()? == "snapshots")
            .then(|| Snapshot { folder: folder.into(), commit })
    }

    /// An index that has been fetched.
    fn read_index(path: &Path) -> Result<Index> {
        let json = std::fs::read(path).map_err(|fault| Error::File {
            path: path.into(),
            action: "reading",
            source: Arc::new(fault),
        })?;
        Index::parse(&path.display().to_string(), &json)
    }

    /// A download on the terminal; silent where there is none.
    struct Bar(ProgressBar);

    impl Bar {
        fn new(file: &str) -> Self {
            let style = ProgressStyle::with_template(
                "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} eta {eta}",
            );
            let bar = ProgressBar::no_length().with_message(file.to_owned());
            Self(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
        }

        fn advance(&self, files: &[FileProgress]) {
            for file in files {
                self.0.set_position(file.bytes_completed);
            }
        }
    }

    impl ProgressHandler for Bar {
        fn on_progress(&self, event: &ProgressEvent) {
            let ProgressEvent::Download(event) = event else { return };
            match event {
                DownloadEvent::Start { total_bytes, .. } => self.0.set_length(*total_bytes),
                DownloadEvent::Progress { files } => self.advance(files),
                DownloadEvent::AggregateProgress { bytes_completed, .. } => {
                    self.0.set_position(*bytes_completed);
                }
                DownloadEvent::Complete => self.0.finish_and_clear(),
            }
        }
    }

    /// A start should fail within seconds when the hub is away.
    const RETRIES: usize = 3;
    const RETRY_DELAY: Duration = Duration::from_millis(100);
}

#[cfg(not(feature = "hub"))]
mod client {
    use super::HubSettings;
    use super::Snapshot;
    use crate::error::Error;
    use crate::error::Result;

    pub(in crate::model) fn fetch(_: &str, _: &str, _: HubSettings) -> Result<Snapshot> {
        Err(Error::Config {
            name: "model",
            reason: "this binary was built without the feature hub; name a folder".into(),
        })
    }
}
