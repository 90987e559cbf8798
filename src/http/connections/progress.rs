//! How far a connection is: what it waits for, and since when.

use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::task::Context;
use std::task::Poll;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::time::Instant;

use crate::http::connections::ConnectionSettings;

/// Where a connection stands; a clone is of the same one.
#[derive(Debug, Clone)]
pub(super) struct Progress(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    phase: Phase,
    n_requests: usize,
    stuck_since: Option<Instant>, // when an answer no longer fitted, until all of it is gone
    is_too_large: bool,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Nothing has come of the next request.
    Idle { since: Instant },
    /// Its headers are on their way.
    Headers { since: Instant, n_bytes: usize },
    /// It is being answered.
    Busy,
}

/// Why a connection cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    /// Nothing came.
    Idle,
    /// Headers came too slowly.
    Headers,
    /// An answer was not taken.
    Answer,
}

/// While it is there, the connection answers.
#[derive(Debug)]
pub(super) struct Busy(Progress);

/// A stream that keeps an eye on what passes.
#[derive(Debug)]
pub(super) struct Watched<S> {
    pub(super) stream: S,
    pub(super) progress: Progress,
    pub(super) max_header_bytes: usize,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            phase: Phase::Idle { since: Instant::now() },
            n_requests: 0,
            stuck_since: None,
            is_too_large: false,
        })))
    }

    /// The headers of a request are there.
    pub(super) fn begin(&self) -> Busy {
        let mut state = self.lock();
        state.phase = Phase::Busy;
        state.n_requests += 1;
        drop(state);
        Busy(self.clone())
    }

    /// Whether headers were longer than they may be.
    pub(super) fn is_too_large(&self) -> bool {
        self.lock().is_too_large
    }

    /// Whether nothing has come of a next request.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.lock().phase, Phase::Idle { .. })
    }

    /// Until when it may stay as it is, and what it is then.
    pub(super) fn deadline(&self, settings: &ConnectionSettings) -> Option<(Instant, Overdue)> {
        let state = self.lock();
        if let Some(since) = state.stuck_since {
            return Some((since + settings.write_timeout, Overdue::Answer));
        }
        match state.phase {
            // Who connects has something to say.
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

    /// Whether more may come; no if these would be headers without end.
    fn expect(&self, max_header_bytes: usize) -> bool {
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

    fn stuck(&self) {
        self.lock().stuck_since.get_or_insert_with(Instant::now);
    }

    fn flushed(&self) {
        self.lock().stuck_since = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.lock().phase = Phase::Idle { since: Instant::now() };
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if !self.progress.expect(self.max_header_bytes) {
            // Whoever drives the connection sees it next.
            return Poll::Pending;
        }
        let n_before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.progress.received(buffer.filled().len() - n_before);
        polled
    }
}

impl<S: AsyncWrite + Unpin> Watched<S> {
    fn note<T>(&self, polled: Poll<T>) -> Poll<T> {
        if polled.is_pending() {
            self.progress.stuck();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
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

    /// Called when nothing is left to be written.
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
