//! Accepts the pending connections of a socket without the runtime.

use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use crate::http::server::socket::ListeningSocket;
use crate::http::server::socket::Stream;

/// A listening socket that is no longer registered with the runtime.
#[derive(Debug)]
pub(super) enum PendingConnections {
    Tcp(std::net::TcpListener),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener),
}

impl PendingConnections {
    pub(super) fn from_listening(listening: ListeningSocket) -> std::io::Result<Self> {
        match listening {
            ListeningSocket::Tcp(listener) => Ok(Self::Tcp(listener.into_std()?)),
            #[cfg(unix)]
            ListeningSocket::Unix(listener) => Ok(Self::Unix(listener.into_std()?)),
        }
    }

    /// Accepts a pending connection without blocking, or fails if there is none.
    pub(super) fn accept(&self) -> std::io::Result<Stream> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                Ok(Stream::Tcp(TcpStream::from_std(stream)?))
            }
            #[cfg(unix)]
            Self::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                Ok(Stream::Unix(UnixStream::from_std(stream)?))
            }
        }
    }
}
