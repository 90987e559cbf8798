//! The last words on a connection: answers to what never became a request, and closing.

use std::time::Duration;

use axum::response::IntoResponse;
use http_body_util::BodyExt;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;

use crate::http::connections::House;
use crate::http::problem::Failure;
use crate::http::problem::Problem;

impl House {
    /// Says why, and closes.
    pub(super) async fn refuse<S>(&self, mut stream: S, problem: Problem)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (parts, body) = problem.into_response().into_parts();
        if let Some(Failure { code, .. }) = parts.extensions.get() {
            self.metrics.failed(code);
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

    /// Closes, and reads for a moment what is still on its way: a socket that is closed on unread
    /// bytes takes back the answer that the client has not read yet.
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
        // Whether in time or not, it ends here.
        let _ = tokio::time::timeout(LINGER, closing).await;
    }
}

/// A client reads its answer in that time.
const LINGER: Duration = Duration::from_millis(250);
