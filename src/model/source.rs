//! Where a model is loaded from, and access to its files.

use std::borrow::Cow;
use std::fmt;
use std::io::ErrorKind;
use std::path::Path;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::Error;
use crate::error::Result;
use crate::model::embedded;
use crate::model::hub;
use crate::text_file;

/// The source of a model, as given by `--model`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The model compiled into the binary.
    Embedded,
    /// A folder.
    Folder(PathBuf),
    /// A repository of a model hub.
    Hub {
        /// `ORG/NAME`.
        repo: String,
        /// A branch, a tag or a commit.
        revision: String,
    },
}

/// The files of a model, by name.
#[derive(Debug, Clone)]
pub(super) enum Files {
    Embedded,
    Folder(PathBuf),
}

/// The files of a model, with its name and revision.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) files: Files,
    pub(super) name: String,
    pub(super) revision: Option<String>,
}

impl Source {
    /// Makes the files available locally, downloading them if necessary.
    pub(super) fn fetch(&self, settings: hub::HubSettings) -> Result<Fetched> {
        match self {
            Self::Embedded => {
                embedded::check()?;
                Ok(Fetched { files: Files::Embedded, name: embedded::NAME.into(), revision: None })
            }
            Self::Folder(path) => {
                let absolute = path.canonicalize().map_err(|fault| unreadable(path, fault))?;
                let name = absolute.file_name().unwrap_or(absolute.as_os_str());
                let name = name.to_string_lossy().into_owned();
                Ok(Fetched { files: Files::Folder(path.clone()), name, revision: None })
            }
            Self::Hub { repo, revision } => {
                let snapshot = hub::fetch(repo, revision, settings)?;
                let files = Files::Folder(snapshot.folder);
                Ok(Fetched { files, name: repo.clone(), revision: Some(snapshot.commit) })
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => formatter.write_str("embedded"),
            Self::Folder(path) => write!(formatter, "{}", path.display()),
            Self::Hub { repo, revision } => write!(formatter, "{repo}@{revision}"),
        }
    }
}

impl FromStr for Source {
    type Err = String;

    /// Parses `embedded`, a path that exists or looks like one, or `ORG/NAME[@REVISION]`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "embedded" {
            return Ok(Self::Embedded);
        }
        let path = Path::new(text);
        let is_path =
            text.starts_with(['.', '/', '~']) || text.ends_with('/') || path.is_absolute();
        if is_path || path.exists() {
            return Ok(Self::Folder(path.into()));
        }
        let (repo, revision) = text.split_once('@').unwrap_or((text, "main"));
        let is_repo = repo.split('/').count() == 2
            && repo.split('/').all(is_repo_word)
            && revision.split('/').all(is_repo_word);
        if is_repo {
            return Ok(Self::Hub { repo: repo.into(), revision: revision.into() });
        }
        Err(format!("no such folder and not ORG/NAME[@REVISION]: {text}"))
    }
}

/// Returns whether a word consists of letters, digits, `-`, `_` and `.`, and not of dots alone, so
/// that it cannot escape a folder or a URL.
fn is_repo_word(word: &str) -> bool {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    !word.is_empty() && word.chars().all(allowed) && word.chars().any(|character| character != '.')
}

impl Files {
    /// Reads a text file, without its byte order mark; `None` if there is no such file.
    pub(super) fn read(&self, name: &str) -> Result<Option<Cow<'static, [u8]>>> {
        let bytes = self.bytes(name)?;
        bytes.map(|bytes| text_file::decode(&self.display(name), bytes)).transpose()
    }

    /// Reads any file; `None` if there is no such file.
    pub(super) fn bytes(&self, name: &str) -> Result<Option<Cow<'static, [u8]>>> {
        match self {
            Self::Embedded => Ok(embedded::file(name).map(Cow::Borrowed)),
            Self::Folder(folder) => {
                let path = folder.join(name);
                match text_file::read_bytes(&path) {
                    Ok(bytes)
                        if text_file::without_byte_order_mark(&bytes).starts_with(LFS_POINTER) =>
                    {
                        Err(pointer(self, name))
                    }
                    Ok(bytes) => Ok(Some(Cow::Owned(bytes))),
                    Err(fault) if fault.kind() == ErrorKind::NotFound => Ok(None),
                    Err(fault) => Err(unreadable(&path, fault)),
                }
            }
        }
    }

    /// Reads a text file that must exist.
    pub(super) fn require(&self, name: &str) -> Result<Cow<'static, [u8]>> {
        self.read(name)?.ok_or_else(|| Error::Artifact {
            file: self.display(name),
            expected: "a file of the model".into(),
            found: "no such file".into(),
        })
    }

    /// Returns the name of a file for error messages.
    pub(super) fn display(&self, name: &str) -> String {
        match self {
            Self::Embedded => format!("embedded {name}"),
            Self::Folder(folder) => folder.join(name).display().to_string(),
        }
    }
}

impl fmt::Display for Files {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => formatter.write_str("embedded"),
            Self::Folder(folder) => write!(formatter, "{}", folder.display()),
        }
    }
}

/// Returns the error for a Git LFS pointer found in place of the file.
fn pointer(files: &Files, name: &str) -> Error {
    Error::Artifact {
        file: files.display(name),
        expected: "the file itself".into(),
        found: "a pointer of Git LFS to it; git lfs pull, run in that folder, fetches the file"
            .into(),
    }
}

fn unreadable(path: &Path, fault: std::io::Error) -> Error {
    Error::File { path: path.into(), action: "reading", source: Arc::new(fault) }
}

/// The start of every Git LFS pointer file, by the specification.
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_the_embedded_model_a_folder_or_a_repository() {
        let hub = |repo: &str, revision: &str| Source::Hub {
            repo: repo.into(),
            revision: revision.into(),
        };
        for (text, source) in [
            ("embedded", Some(Source::Embedded)),
            ("./weights", Some(Source::Folder("./weights".into()))),
            ("/srv/weights", Some(Source::Folder("/srv/weights".into()))),
            ("src", Some(Source::Folder("src".into()))), // it exists
            ("org/name", Some(hub("org/name", "main"))),
            ("org/name@v1.0", Some(hub("org/name", "v1.0"))),
            ("org/name@refs/pr/1", Some(hub("org/name", "refs/pr/1"))),
            ("org/../name", None),
            ("org/..", None),
            ("org/name@", None),
            ("nowhere", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Source>().ok(), source, "{text:?}");
        }
    }
}
