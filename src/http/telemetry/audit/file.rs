//! The file of the audit log: appends whole lines, and rotates when the file is full.

use std::fs::File;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Result;
use std::io::Seek;
use std::io::SeekFrom;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use crate::http::telemetry::audit::AuditSettings;

/// A log file opened for appending.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    n_bytes: u64,
    max_bytes: u64,
    keep: usize,
    has_partial_line: bool, // the file ends in a partial line
    is_dirty: bool,         // the file has unsynced writes
}

impl LogFile {
    /// Opens the file for appending. If it ends in a partial line, the first line is preceded by a
    /// newline. Fails if another process writes to the same file.
    pub(super) fn open(settings: &AuditSettings) -> Result<Self> {
        let AuditSettings { path, max_bytes, keep, .. } = settings;
        let (file, n_bytes) = open(path)?;
        let has_partial_line = n_bytes > 0 && last_byte(path)? != b'\n';
        let (path, max_bytes, keep) = (path.clone(), *max_bytes, *keep);
        Ok(Self { path, file, n_bytes, max_bytes, keep, has_partial_line, is_dirty: false })
    }

    /// Appends a whole line. If that fails, part of the line may have been written; the next line
    /// is then preceded by a newline.
    pub(super) fn append(&mut self, line: &[u8]) -> Result<()> {
        let n_bytes = self.n_bytes + u64::from(self.has_partial_line) + line.len() as u64;
        if self.n_bytes > 0 && n_bytes > self.max_bytes {
            self.rotate()?;
        }
        if self.has_partial_line {
            self.write_all(b"\n")?;
        }
        self.write_all(line)
    }

    /// Syncs written lines to disk.
    pub(super) fn sync(&mut self) -> Result<()> {
        if !self.is_dirty {
            return Ok(());
        }
        let synced = match self.file.sync_data() {
            // A pipe or a terminal cannot be synced.
            Err(fault) if fault.kind() == ErrorKind::InvalidInput => Ok(()),
            result => result,
        };
        self.is_dirty = synced.is_err();
        synced
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match self.file.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n_written) => {
                    self.has_partial_line = bytes[n_written - 1] != b'\n';
                    self.is_dirty = true;
                    self.n_bytes += n_written as u64;
                    bytes = &bytes[n_written..];
                }
                Err(fault) if fault.kind() == ErrorKind::Interrupted => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    /// Starts a new file, renumbers the full ones, and drops the oldest.
    fn rotate(&mut self) -> Result<()> {
        self.sync()?;
        let place = |number| numbered(&self.path, number);
        // After a failure to open the new file, the full ones have their new numbers already.
        let n_shifted = if self.path.exists() { self.keep } else { 0 };
        for number in (0..n_shifted).rev() {
            let from = if number == 0 { self.path.clone() } else { place(number) };
            ignore_not_found(std::fs::rename(from, place(number + 1)))?;
        }
        if self.keep == 0 {
            ignore_not_found(std::fs::remove_file(&self.path))?;
        }
        (self.file, self.n_bytes) = open(&self.path)?;
        self.has_partial_line = false;
        Ok(())
    }
}

/// Opens or creates the file and locks it; returns it with its length in bytes.
fn open(path: &Path) -> Result<(File, u64)> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, OWNER_AND_GROUP);
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() {
        file.try_lock().map_err(|_| std::io::Error::other("another process writes it"))?;
    }
    Ok((file, metadata.len()))
}

fn last_byte(path: &Path) -> Result<u8> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-1))?;
    let mut byte = [0];
    file.read_exact(&mut byte)?;
    Ok(byte[0])
}

/// Returns the path `FILE.NUMBER`.
fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn ignore_not_found(result: Result<()>) -> Result<()> {
    match result {
        Err(fault) if fault.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// The log records who requested what, so other users may not read it.
#[cfg(unix)]
const OWNER_AND_GROUP: u32 = 0o640;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::telemetry::audit::OnFailure;

    fn settings(folder: &Path, keep: usize) -> AuditSettings {
        let path = folder.join("audit.jsonl");
        AuditSettings { path, max_bytes: 10, keep, on_failure: OnFailure::Refuse }
    }

    fn contents(folder: &Path) -> Vec<(String, String)> {
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                (name, std::fs::read_to_string(entry.path()).unwrap())
            })
            .collect();
        files.sort();
        files
    }

    #[test]
    fn a_full_file_makes_place_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = LogFile::open(&settings(folder.path(), 2)).unwrap();
        for line in ["one\n", "two\n", "three\n", "longer than a file\n", "four\n", "five\n"] {
            file.append(line.as_bytes()).unwrap();
        }
        let expected = [
            ("audit.jsonl", "four\nfive\n"),
            ("audit.jsonl.1", "longer than a file\n"),
            ("audit.jsonl.2", "three\n"),
        ];
        let expected = expected.map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(contents(folder.path()), expected);
    }

    #[test]
    fn without_old_files_only_the_newest_lines_stay() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = LogFile::open(&settings(folder.path(), 0)).unwrap();
        for line in ["one\n", "two\n", "three\n"] {
            file.append(line.as_bytes()).unwrap();
        }
        assert_eq!(contents(folder.path()), [("audit.jsonl".to_owned(), "three\n".to_owned())]);
    }

    #[test]
    fn half_a_line_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path(), 2);
        std::fs::write(&settings.path, "{\"a\"").unwrap();
        let mut file = LogFile::open(&settings).unwrap();
        file.append(b"{}\n").unwrap();
        drop(file);
        LogFile::open(&settings).unwrap().append(b"\n").unwrap();
        assert_eq!(std::fs::read_to_string(&settings.path).unwrap(), "{\"a\"\n{}\n\n");
    }

    #[test]
    fn two_do_not_write_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path(), 2);
        let first = LogFile::open(&settings).unwrap();
        let fault = LogFile::open(&settings).unwrap_err();
        assert_eq!(fault.to_string(), "another process writes it");
        drop(first);
        LogFile::open(&settings).unwrap();
    }
}
