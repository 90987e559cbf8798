//! The file of the audit log: whole lines at its end, and others in its place as it grows.

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

use crate::http::audit::AuditSettings;

/// A file open at its end.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    n_bytes: u64,
    max_bytes: u64,
    keep: usize,
    is_torn: bool,  // ends in a part of a line
    is_dirty: bool, // has what the disk may not have yet
}

impl LogFile {
    /// Goes on at the end of the file, on a new line whatever it ends in. Another process that
    /// writes the same file has it refused.
    pub(super) fn open(settings: &AuditSettings) -> Result<Self> {
        let AuditSettings { path, max_bytes, keep, .. } = settings;
        let (file, n_bytes) = open(path)?;
        let is_torn = n_bytes > 0 && last_byte(path)? != b'\n';
        let (path, max_bytes, keep) = (path.clone(), *max_bytes, *keep);
        Ok(Self { path, file, n_bytes, max_bytes, keep, is_torn, is_dirty: false })
    }

    /// Adds a whole line. If that fails, a part of it may be there; the next begins a new one.
    pub(super) fn append(&mut self, line: &[u8]) -> Result<()> {
        let n_bytes = self.n_bytes + u64::from(self.is_torn) + line.len() as u64;
        if self.n_bytes > 0 && n_bytes > self.max_bytes {
            self.rotate()?;
        }
        if self.is_torn {
            self.write_all(b"\n")?;
        }
        self.write_all(line)
    }

    /// Waits for the disk.
    pub(super) fn sync(&mut self) -> Result<()> {
        if !self.is_dirty {
            return Ok(());
        }
        self.is_dirty = false;
        match self.file.sync_data() {
            // A pipe or a terminal has no disk.
            Err(fault) if fault.kind() == ErrorKind::InvalidInput => Ok(()),
            result => result,
        }
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match self.file.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n_written) => {
                    self.is_torn = bytes[n_written - 1] != b'\n';
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

    /// Begins a new file; the others move on by one, and the oldest goes.
    fn rotate(&mut self) -> Result<()> {
        self.sync()?;
        let place = |number| numbered(&self.path, number);
        for number in (0..self.keep).rev() {
            let from = if number == 0 { self.path.clone() } else { place(number) };
            missing_is_fine(std::fs::rename(from, place(number + 1)))?;
        }
        if self.keep == 0 {
            missing_is_fine(std::fs::remove_file(&self.path))?;
        }
        (self.file, self.n_bytes) = open(&self.path)?;
        self.is_torn = false;
        Ok(())
    }
}

/// The file, which may be new, and its length.
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

/// `FILE.NUMBER`.
fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn missing_is_fine(result: Result<()>) -> Result<()> {
    match result {
        Err(fault) if fault.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Who asked for what concerns nobody else.
#[cfg(unix)]
const OWNER_AND_GROUP: u32 = 0o640;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::OnFailure;

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
