//! Connections that wait to be accepted, without the runtime.

use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use crate::http::connections::socket::Listening;
use crate::http::connections::socket::Stream;

/// A socket that the runtime no longer looks after.
#[derive(Debug)]
pub(super) enum Waiting {
    Tcp(std::net::TcpListener),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener),
}

impl Waiting {
    pub(super) fn from_listening(listening: Listening) -> std::io::Result<Self> {
        match listening {
            Listening::Tcp(listener) => Ok(Self::Tcp(listener.into_std()?)),
            #[cfg(unix)]
            Listening::Unix(listener) => Ok(Self::Unix(listener.into_std()?)),
        }
    }

    /// Accepts at once, or fails if nobody waits.
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
