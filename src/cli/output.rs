//! The output of results, to stdout or a file.

use std::fs::File;
use std::io::BufWriter;
use std::io::IsTerminal;
use std::io::Write;
#[cfg(unix)]
use std::os::fd::AsFd;
use std::path::Path;
use std::path::PathBuf;

use comfy_table::CellAlignment;
use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;
use serde::Serialize;

use crate::cli::file_error;
use crate::error::Error;
use crate::error::Result;

/// A buffered writer to a file or to stdout.
pub(super) struct Output {
    path: PathBuf,
    writer: Box<dyn Write>,
    pub(super) is_terminal: bool,
    /// Whether to flush after every line, for input that may arrive slowly.
    pub(super) flush_each_line: bool,
}

impl Output {
    /// Creates an output to stdout.
    pub(super) fn stdout() -> Self {
        let stdout = std::io::stdout();
        let is_terminal = stdout.is_terminal();
        Self {
            path: "stdout".into(),
            writer: Box::new(BufWriter::new(strict(stdout))),
            is_terminal,
            flush_each_line: false,
        }
    }

    /// Creates or truncates a file; uses stdout for `-` or `None`.
    pub(super) fn open(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            return Ok(Self::stdout());
        };
        let file = File::create(path).map_err(|fault| file_error(path, "writing", fault))?;
        let writer = Box::new(BufWriter::new(file));
        Ok(Self { path: path.into(), writer, is_terminal: false, flush_each_line: false })
    }

    /// Writes a value as one line of JSON.
    pub(super) fn json(&mut self, value: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.writer, value)
            .map_err(std::io::Error::from)
            .and_then(|()| self.writer.write_all(b"\n"))
            .map_err(|fault| file_error(&self.path, "writing", fault))?;
        if self.flush_each_line { self.flush() } else { Ok(()) }
    }

    /// Writes a line of plain text.
    pub(super) fn line(&mut self, line: impl std::fmt::Display) -> Result<()> {
        writeln!(self.writer, "{line}").map_err(|fault| file_error(&self.path, "writing", fault))
    }

    /// Flushes the buffer; must be called at the end, even after an error.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.writer.flush().map_err(|fault| file_error(&self.path, "writing", fault))
    }
}

/// Creates a table with the first column aligned left and the others aligned right.
pub(super) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(header).add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Refuses an output that is the same file as the input, since writing would destroy the input.
pub(super) fn refuse_same_file(input: &Path, output: &Path) -> Result<()> {
    let input = if input == Path::new("-") { Path::new("/dev/stdin") } else { input };
    if output.is_file() && is_same_file(input, output) {
        return Err(Error::Config { name: "output", reason: "the same file as the input".into() });
    }
    Ok(())
}

/// Returns whether two paths name the same file, including through links.
#[cfg(unix)]
fn is_same_file(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;

    let id = |path: &Path| path.metadata().map(|found| (found.dev(), found.ino()));
    matches!((id(one), id(other)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(not(unix))]
fn is_same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// Returns an unbuffered writer to stderr.
pub(super) fn stderr() -> Box<dyn Write + Send> {
    strict(std::io::stderr())
}

/// Returns a writer to the same stream that reports every error: the standard library ignores
/// EBADF, so that writes to a descriptor that is not open for writing appear to succeed.
#[cfg(unix)]
fn strict(stream: impl Write + Send + AsFd + 'static) -> Box<dyn Write + Send> {
    match stream.as_fd().try_clone_to_owned() {
        Ok(descriptor) => Box::new(File::from(descriptor)),
        Err(_) => Box::new(stream),
    }
}

#[cfg(not(unix))]
fn strict(stream: impl Write + Send + 'static) -> Box<dyn Write + Send> {
    Box::new(stream)
}
