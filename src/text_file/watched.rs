//! A small text file that operators change while the server runs.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::Error;
use crate::error::Result;
use crate::text_file;

/// A small file, with the content of its last read to detect changes.
///
/// Changes are detected by comparing contents. Size and modification time would miss a file that is
/// replaced by one of the same size and time, and a symbolic link whose folder is replaced, as
/// Kubernetes does.
pub struct WatchedFile {
    path: PathBuf,
    content: std::io::Result<Vec<u8>>,
}

impl WatchedFile {
    /// Reads the file, which may be missing.
    pub fn read(path: &Path) -> Self {
        Self { path: path.into(), content: text_file::read_bytes(path) }
    }

    /// Reads the file again. Returns whether the content, or the reason why it cannot be read, has
    /// changed.
    pub fn refresh(&mut self) -> bool {
        if text_file::is_descriptor(&self.path) {
            return false;
        }
        let before = std::mem::replace(&mut self.content, text_file::read_bytes(&self.path));
        match (&before, &self.content) {
            (Ok(before), Ok(now)) => before != now,
            (Err(before), Err(now)) => before.kind() != now.kind(),
            (Ok(_), Err(_)) | (Err(_), Ok(_)) => true,
        }
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the text of the last read, without its byte order mark.
    pub fn content(&self) -> Result<Cow<'_, [u8]>> {
        let content = self.content.as_deref().map_err(|fault| Error::File {
            path: self.path.clone(),
            action: "reading",
            source: Arc::new(std::io::Error::new(fault.kind(), fault.to_string())),
        })?;
        text_file::decode(&self.path.display().to_string(), content.into())
    }
}

impl fmt::Debug for WatchedFile {
    /// Omits the content, which may be a private key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WatchedFile").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::fs::FileTimes;

    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_change_is_seen_whatever_the_size_and_the_times_say() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.txt");
        let write = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
            let times = FileTimes::new().set_modified(long_ago);
            File::options().write(true).open(&path).unwrap().set_times(times).unwrap();
        };
        write("old");
        let mut file = WatchedFile::read(&path);
        assert!(!file.refresh(), "nothing has changed");
        write("new");
        assert!(file.refresh(), "of the same size and time");
        assert_eq!(*file.content().unwrap(), *b"new");
        std::fs::remove_file(&path).unwrap();
        assert!(file.refresh(), "it is gone");
        assert!(!file.refresh(), "it is still gone");
        assert_eq!(file.content().unwrap_err().code(), "file_error");
        write("new");
        assert!(file.refresh(), "it is there again");
        std::fs::remove_file(&path).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        assert!(file.refresh(), "a pipe to which nobody writes is a fault, and not waited for");
        assert_eq!(file.content().unwrap_err().code(), "file_error");
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_is_exchanged_behind_a_link_is_seen() {
        use std::os::unix::fs::symlink;

        // As Kubernetes mounts a secret: keys.txt -> ..data/keys.txt, ..data -> a dated folder.
        let mount = tempfile::tempdir().unwrap();
        let at = |name: &str| mount.path().join(name);
        for (version, text) in [("..1", "old"), ("..2", "new")] {
            std::fs::create_dir(at(version)).unwrap();
            std::fs::write(at(version).join("keys.txt"), text).unwrap();
        }
        symlink("..1", at("..data")).unwrap();
        symlink("..data/keys.txt", at("keys.txt")).unwrap();
        let mut file = WatchedFile::read(&at("keys.txt"));
        assert_eq!(*file.content().unwrap(), *b"old");
        symlink("..2", at("..data_tmp")).unwrap();
        std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
        assert!(file.refresh());
        assert_eq!(*file.content().unwrap(), *b"new");
    }
    #[cfg(target_os = "linux")]
    #[test]
    fn a_pipe_is_read_once() {
        use std::io::Write;
        use std::os::fd::AsRawFd;

        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"secret").unwrap();
        drop(writer);
        let path = format!("/dev/fd/{}", reader.as_raw_fd());
        let mut file = WatchedFile::read(Path::new(&path));
        assert!(!file.refresh());
        assert_eq!(*file.content().unwrap(), *b"secret");
        assert!(!format!("{file:?}").contains(&format!("{:?}", b"secret")));
    }
}
