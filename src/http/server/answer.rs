//! Error responses to connections without a valid request, and the lingering close.

use std::time::Duration;

use axum::response::IntoResponse;
use http_body_util::BodyExt;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;

use crate::http::problem::Problem;
use crate::http::problem::ReportedError;
use crate::http::server::ConnectionContext;

impl ConnectionContext {
    /// Writes an error response and closes the connection.
    pub(super) async fn refuse<S>(&self, mut stream: S, problem: Problem)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (parts, body) = problem.into_response().into_parts();
        if let Some(ReportedError { code, .. }) = parts.extensions.get() {
            self.metrics.count_error(code);
        }
        let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
            return;
        };
        let mut bytes = format!("HTTP/1.1 {}\r\n", parts.status).into_bytes();
        for (name, value) in &parts.headers {
            bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        let length = body.len();
        bytes.extend(format!("content-length: {length}\r\nconnection: close\r\n\r\n").into_bytes());
        bytes.extend(body);
        let writing = tokio::time::timeout(LINGER, stream.write_all(&bytes));
        if let Ok(Ok(())) = writing.await {
            self.close(stream).await;
        }
    }

    /// Shuts down the sending side and discards incoming bytes for a moment: closing a socket with
    /// unread bytes resets the connection, and the client may lose the response.
    pub(super) async fn close<S>(&self, mut stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let closing = async {
            stream.shutdown().await?;
            let mut unread = [0; 4096];
            while stream.read(&mut unread).await? > 0 {}
            std::io::Result::Ok(())
        };
        // The result does not matter: the stream is dropped next.
        let _ = tokio::time::timeout(LINGER, closing).await;
    }
}

/// Enough time for a client to read a small response.
const LINGER: Duration = Duration::from_millis(250);
