//! Processing of files of any size, with a bounded number of lines in flight and results in order.

use std::collections::VecDeque;
use std::fs::File;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::cli::file_error;
use crate::cli::record::Record;
use crate::engine::Engine;
use crate::engine::ScoredInput;
use crate::error::Error;
use crate::error::Result;
use crate::progress_bar::ProgressBar;
use crate::text::Limits;
use crate::text::Text;
use crate::text_file;

/// A file to read, or stdin.
pub(super) struct InputFile {
    path: PathBuf,
    reader: Box<dyn Read + Send>,
    n_bytes: Option<u64>, // of a regular file
}

impl InputFile {
    /// Opens a file, or stdin for `-`.
    pub(super) fn open(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            let reader = Box::new(std::io::stdin());
            return Ok(Self { path: "stdin".into(), reader, n_bytes: None });
        }
        let file = File::open(path).map_err(|fault| file_error(path, "reading", fault))?;
        let metadata = file.metadata().map_err(|fault| file_error(path, "reading", fault))?;
        let n_bytes = metadata.is_file().then_some(metadata.len());
        Ok(Self { path: path.into(), reader: Box::new(file), n_bytes })
    }
}

/// The result of a line, or its error.
#[derive(Debug)]
pub(super) struct Line<T> {
    /// Line number, from 1.
    pub(super) number: usize,
    pub(super) result: Result<T>,
}

/// The record of a line and its scores.
pub(super) type ScoredLine = Line<(Record, ScoredInput)>;

/// Scores a file line by line and passes the results to `sink` in order, until `sink` fails.
pub(super) async fn score_lines(
    engine: Arc<Engine>,
    input: InputFile,
    limits: Limits,
    sink: impl FnMut(ScoredLine) -> Result<()>,
) -> Result<()> {
    let score = move |line: String| {
        let engine = Arc::clone(&engine);
        async move { score_line(&line, &engine, &limits).await }
    };
    process_lines(input, score, sink).await
}

/// Runs `work` on each line of a file and passes the results to `sink` in order, until `sink`
/// fails.
pub(super) async fn process_lines<
    T: Send + 'static,
    W: Future<Output = Result<T>> + Send + 'static,
>(
    input: InputFile,
    work: impl Fn(String) -> W,
    mut sink: impl FnMut(Line<T>) -> Result<()>,
) -> Result<()> {
    let mut progress = Progress::new(input.n_bytes);
    let (sender, mut raw_lines) = mpsc::channel(MAX_LINES_IN_FLIGHT);
    std::thread::spawn(move || read_lines(input.reader, &input.path, &sender));
    let mut in_flight = VecDeque::new();
    let mut end = None; // of reading: success, or the error
    loop {
        let may_read = end.is_none() && in_flight.len() < MAX_LINES_IN_FLIGHT;
        tokio::select! {
            biased;
            line = next_finished(&mut in_flight), if !in_flight.is_empty() => {
                let n_bytes = in_flight.pop_front().map_or(0, |flying| flying.n_bytes);
                sink(line)?;
                progress.advance(n_bytes);
            }
            raw = raw_lines.recv(), if may_read => match raw {
                Some(Ok(RawLine { number, text, n_bytes })) => {
                    in_flight.push_back(PendingLine { number, n_bytes, work: tokio::spawn(work(text)) });
                }
                // Lines read before the error are still processed.
                Some(Err(fault)) => end = Some(Err(fault)),
                None => end = Some(Ok(())),
            },
            else => return end.unwrap_or(Ok(())),
        }
    }
}

/// Waits for the oldest line in flight; cancel safe.
async fn next_finished<T>(in_flight: &mut VecDeque<PendingLine<T>>) -> Line<T> {
    match in_flight.front_mut() {
        Some(flying) => {
            let result = (&mut flying.work).await.unwrap_or(Err(Error::Stopped));
            Line { number: flying.number, result }
        }
        None => std::future::pending().await,
    }
}

/// A line as read from the file.
struct RawLine {
    number: usize,
    text: String,
    n_bytes: u64,
}

/// A line that is being processed.
struct PendingLine<T> {
    number: usize,
    n_bytes: u64,
    work: JoinHandle<Result<T>>,
}

async fn score_line(line: &str, engine: &Engine, limits: &Limits) -> Result<(Record, ScoredInput)> {
    let record = Record::parse(line)?;
    let text = Text::unless_blank(0, record.text()?, limits)?;
    Ok((record, score_text(text, engine).await?))
}

/// Scores a text; a blank text, given as `None`, scores 0.
pub(super) async fn score_text(text: Option<Text>, engine: &Engine) -> Result<ScoredInput> {
    let Some(text) = text else { return Ok(ScoredInput::blank(engine.card().labels.len())) };
    let mut scored = engine.score(vec![text], None).await?;
    scored.pop().ok_or(Error::Stopped)
}

/// Sends every line that is not blank, until the end of the file, an error, or a dropped receiver.
fn read_lines(reader: impl Read, path: &Path, lines: &mpsc::Sender<Result<RawLine>>) {
    let mut reader = BufReader::new(reader);
    let mut pending_bytes = 0;
    for number in 1.. {
        let mut bytes = Vec::new();
        let line = (&mut reader).take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes);
        let sent = match line {
            Ok(0) => return,
            Ok(n_bytes) if n_bytes as u64 == MAX_LINE_BYTES && bytes.last() != Some(&b'\n') => {
                // The rest of this line follows, so reading cannot continue.
                let too_long = Error::LineTooLong { max_bytes: MAX_LINE_BYTES };
                let _ = lines.blocking_send(Err(too_long.at_line(number)));
                return;
            }
            Ok(n_bytes) => {
                pending_bytes += n_bytes as u64;
                if number == 1 && text_file::is_utf16(&bytes) {
                    let _ = lines.blocking_send(Err(utf16().at_line(number)));
                    return;
                }
                let text = decode(&bytes);
                if text.is_empty() {
                    continue;
                }
                let n_bytes = std::mem::take(&mut pending_bytes);
                lines.blocking_send(Ok(RawLine { number, text, n_bytes }))
            }
            Err(fault) => {
                let _ = lines.blocking_send(Err(file_error(path, "reading", fault)));
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Returns the text of a line without trailing white space; invalid UTF-8 is replaced by U+FFFD.
fn decode(line: &[u8]) -> String {
    // In concatenated files, any line may start with a byte order mark.
    let line = text_file::without_byte_order_mark(line).trim_ascii_end();
    String::from_utf8_lossy(line).into_owned()
}

fn utf16() -> Error {
    let expected = "text in UTF-8, not in UTF-16".into();
    Error::InvalidValue { param: "the line".into(), expected }
}

/// Progress through a file, shown on the terminal.
struct Progress {
    bar: ProgressBar,
    began: Instant,
    n_texts: u64,
    n_bytes: u64,
}

impl Progress {
    /// `n_bytes` is the size of the file, if it has one.
    fn new(n_bytes: Option<u64>) -> Self {
        let bar = match n_bytes {
            Some(_) => ProgressBar::start("{wide_bar} {percent}% {msg} eta {eta}"),
            None => ProgressBar::start("{spinner} {msg}"),
        };
        if let Some(n_bytes) = n_bytes {
            bar.set_length(n_bytes);
        }
        Self { bar, began: Instant::now(), n_texts: 0, n_bytes: 0 }
    }

    /// Counts one more finished line of `n_bytes`.
    fn advance(&mut self, n_bytes: u64) {
        self.n_texts += 1;
        self.n_bytes += n_bytes;
        self.bar.set_position(self.n_bytes);
        let per_second = self.n_texts as f64 / self.began.elapsed().as_secs_f64();
        self.bar.set_message(|| format!("{} texts {per_second:.0} texts/s", self.n_texts));
    }
}

/// Maximum lines in flight: enough short texts for several batches, and a bound on memory.
pub(super) const MAX_LINES_IN_FLIGHT: usize = 512;
/// Far above the longest text that the default limits accept, escapes included.
const MAX_LINE_BYTES: u64 = 16 << 20;
