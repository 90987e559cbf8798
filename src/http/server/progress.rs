//! The state of a connection: what it is waiting for, and since when.

use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use axum::body::Bytes;
use hyper::body::Body as HttpBody;
use hyper::body::Frame;
use hyper::body::Incoming;
use hyper::body::SizeHint;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::time::Instant;

use crate::http::server::ConnectionSettings;

/// The state of a connection. Clones share the same state.
#[derive(Debug, Clone)]
pub(super) struct Progress(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    phase: Phase,
    n_requests: usize,
    write_blocked_since: Option<Instant>, // when a write first blocked, until all is flushed
    body_read_at: Option<Instant>,        // of the current request
    is_half_closed: bool,                 // the client has closed its sending side and waits
    n_deferred: usize,                    // reports of the end of input
    is_too_large: bool,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// No byte of the next request has arrived.
    Idle { since: Instant },
    /// The headers of a request are arriving.
    Headers { since: Instant, n_bytes: usize },
    /// A request is being answered.
    Busy,
}

/// The reason that a connection timed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    /// No request arrived.
    Idle,
    /// The headers arrived too slowly.
    Headers,
    /// The client did not read a response.
    Answer,
}

/// What to do about the end of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EndOfInput {
    /// Report it: no request is complete.
    Report,
    /// Hide it until the response to the complete request is sent.
    Hide,
    /// Look again after the service was polled, which may have the rest of the body to read.
    Defer,
}

/// Marks the connection as busy until the guard is dropped.
#[derive(Debug)]
pub(super) struct BusyGuard(Progress);

/// A stream that records its reads and writes in `progress`.
#[derive(Debug)]
pub(super) struct TrackedStream<S> {
    pub(super) stream: S,
    pub(super) progress: Progress,
    pub(super) max_header_bytes: usize,
}

/// The body of a request, which records in `progress` when it has been read to its end.
#[derive(Debug)]
pub(super) struct TrackedBody {
    pub(super) body: Incoming,
    pub(super) progress: Progress,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            phase: Phase::Idle { since: Instant::now() },
            n_requests: 0,
            write_blocked_since: None,
            body_read_at: None,
            is_half_closed: false,
            n_deferred: 0,
            is_too_large: false,
        })))
    }

    /// Records that the headers of a request have arrived.
    pub(super) fn begin(&self) -> BusyGuard {
        let mut state = self.lock();
        state.phase = Phase::Busy;
        state.body_read_at = None;
        state.n_deferred = 0;
        state.n_requests += 1;
        drop(state);
        BusyGuard(self.clone())
    }

    /// Returns whether the headers of a request exceeded the limit.
    pub(super) fn is_too_large(&self) -> bool {
        self.lock().is_too_large
    }

    /// Returns when the current state times out and why, or `None` if it has no timeout.
    pub(super) fn deadline(&self, settings: &ConnectionSettings) -> Option<(Instant, Overdue)> {
        let state = self.lock();
        if let Some(since) = state.write_blocked_since {
            return Some((since + settings.write_timeout, Overdue::Answer));
        }
        match state.phase {
            // Hyper does not learn of the end that was hidden from it.
            Phase::Idle { since } if state.is_half_closed => Some((since, Overdue::Idle)),
            // A client that has just connected is about to send a request.
            Phase::Idle { since } if state.n_requests == 0 => {
                Some((since + settings.header_timeout, Overdue::Idle))
            }
            Phase::Idle { since } => Some((since + settings.idle_timeout, Overdue::Idle)),
            Phase::Headers { since, .. } => {
                Some((since + settings.header_timeout, Overdue::Headers))
            }
            Phase::Busy => None,
        }
    }

    /// Records that the body of the current request has been read to its end.
    fn body_read(&self) {
        self.lock().body_read_at.get_or_insert_with(Instant::now);
    }

    /// Records that the client has closed its sending side.
    ///
    /// Returns what to report of it to hyper, which drops the current request at the end of input.
    fn end_of_input(&self) -> EndOfInput {
        let mut state = self.lock();
        match state.phase {
            Phase::Busy if state.is_half_closed => EndOfInput::Hide,
            Phase::Busy => match state.body_read_at {
                Some(read_at) if read_at.elapsed() < HALF_CLOSE_DELAY => {
                    state.is_half_closed = true;
                    EndOfInput::Hide
                }
                None if state.n_deferred < MAX_DEFERRED => {
                    state.n_deferred += 1;
                    EndOfInput::Defer
                }
                _ => EndOfInput::Report,
            },
            Phase::Idle { .. } | Phase::Headers { .. } => EndOfInput::Report,
        }
    }

    /// Returns whether more bytes may be read; false if the headers have reached the limit.
    fn may_read(&self, max_header_bytes: usize) -> bool {
        let mut state = self.lock();
        match state.phase {
            Phase::Headers { n_bytes, .. } if n_bytes >= max_header_bytes => {
                state.is_too_large = true;
                false
            }
            _ => true,
        }
    }

    fn received(&self, n_new: usize) {
        if n_new == 0 {
            return;
        }
        let mut state = self.lock();
        match &mut state.phase {
            Phase::Idle { .. } => {
                state.phase = Phase::Headers { since: Instant::now(), n_bytes: n_new };
            }
            Phase::Headers { n_bytes, .. } => *n_bytes += n_new,
            Phase::Busy => {}
        }
    }

    fn write_blocked(&self) {
        self.lock().write_blocked_since.get_or_insert_with(Instant::now);
    }

    fn flushed(&self) {
        self.lock().write_blocked_since = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.0.lock().phase = Phase::Idle { since: Instant::now() };
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TrackedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if !self.progress.may_read(self.max_header_bytes) {
            // `drive` checks `is_too_large` next.
            return Poll::Pending;
        }
        let n_before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let n_new = buffer.filled().len() - n_before;
        let is_end = n_new == 0 && matches!(polled, Poll::Ready(Ok(())));
        if is_end {
            match self.progress.end_of_input() {
                EndOfInput::Report => {}
                EndOfInput::Hide => return Poll::Pending,
                EndOfInput::Defer => {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
        self.progress.received(n_new);
        polled
    }
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.progress.body_read();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<S: AsyncWrite + Unpin> TrackedStream<S> {
    fn note<T>(&self, polled: Poll<T>) -> Poll<T> {
        if polled.is_pending() {
            self.progress.write_blocked();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TrackedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called when everything has been written.
    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        if polled.is_ready() {
            self.progress.flushed();
        }
        self.note(polled)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Hyper reads on before the service has read what arrived; once is enough for it.
const MAX_DEFERRED: usize = 2;
/// The longest time between the end of a request and the end of the input of a client that waits for
/// the response: it closes its sending side at once. A client that has gone away closes it later, and
/// its request need not be computed.
const HALF_CLOSE_DELAY: Duration = Duration::from_millis(20);
