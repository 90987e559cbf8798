//! Listening sockets: a TCP port, a Unix socket, or a socket that a supervisor has opened.

#[cfg(unix)]
mod file;
mod pending;

use std::io::ErrorKind;
use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;

use tokio::net::TcpListener;
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixListener;
#[cfg(unix)]
use tokio::net::UnixStream;
use tracing::warn;

#[cfg(unix)]
use self::file::SocketFile;
use self::pending::PendingConnections;

/// A listening socket.
#[derive(Debug)]
pub struct Socket {
    listening: ListeningSocket,
    owner: Owner,
}

#[derive(Debug)]
enum ListeningSocket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

/// Who owns the socket and closes it.
#[derive(Debug)]
enum Owner {
    /// This process.
    Process,
    /// This process, which also owns the socket's file.
    #[cfg(unix)]
    File(SocketFile),
    /// The supervisor that opened the socket and keeps it listening for the next process.
    #[cfg(unix)]
    Supervisor,
}

/// An accepted connection.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Socket {
    /// Listens on a TCP port. `[::]` also accepts IPv4 clients, whatever the system's default is.
    pub async fn bind_tcp(address: SocketAddr) -> std::io::Result<Self> {
        #[cfg(unix)]
        if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
            return Ok(dual_stack(address)?.into());
        }
        Ok(TcpListener::bind(address).await?.into())
    }

    /// Listens on a Unix socket whose file has the permissions `mode`, or those that the umask
    /// leaves if `mode` is `None`.
    ///
    /// Replaces an existing socket file that no process listens on.
    #[cfg(unix)]
    pub async fn bind_unix(path: &Path, mode: Option<u32>) -> std::io::Result<Self> {
        let (listener, file) = file::bind(path, mode).await?;
        Ok(Self { listening: ListeningSocket::Unix(listener), owner: Owner::File(file) })
    }

    /// Takes over a TCP socket that a supervisor has opened.
    #[cfg(unix)]
    pub fn inherit_tcp(listener: std::net::TcpListener) -> std::io::Result<Self> {
        check_listens(socket2::SockRef::from(&listener))?;
        listener.set_nonblocking(true)?;
        let listening = ListeningSocket::Tcp(TcpListener::from_std(listener)?);
        Ok(Self { listening, owner: Owner::Supervisor })
    }

    /// Takes over a Unix socket that a supervisor has opened.
    #[cfg(unix)]
    pub fn inherit_unix(listener: std::os::unix::net::UnixListener) -> std::io::Result<Self> {
        check_listens(socket2::SockRef::from(&listener))?;
        listener.set_nonblocking(true)?;
        let listening = ListeningSocket::Unix(UnixListener::from_std(listener)?);
        Ok(Self { listening, owner: Owner::Supervisor })
    }

    /// Returns the address in the form that the command-line flags take, with the actual port.
    pub fn address(&self) -> std::io::Result<String> {
        match &self.listening {
            ListeningSocket::Tcp(listener) => Ok(listener.local_addr()?.to_string()),
            #[cfg(unix)]
            ListeningSocket::Unix(listener) => {
                let address = listener.local_addr()?;
                let path = address.as_pathname().unwrap_or(Path::new("(without a file)"));
                Ok(format!("unix:{}", path.display()))
            }
        }
    }

    /// Returns whether only local processes can connect.
    pub fn is_local(&self) -> bool {
        match &self.listening {
            ListeningSocket::Tcp(listener) => {
                listener.local_addr().is_ok_and(|address| address.ip().is_loopback())
            }
            #[cfg(unix)]
            ListeningSocket::Unix(_) => true,
        }
    }

    pub(super) async fn accept(&self) -> std::io::Result<Stream> {
        match &self.listening {
            ListeningSocket::Tcp(listener) => Ok(Stream::Tcp(listener.accept().await?.0)),
            #[cfg(unix)]
            ListeningSocket::Unix(listener) => Ok(Stream::Unix(listener.accept().await?.0)),
        }
    }

    /// Returns whether the socket keeps listening after this process ends. If so, pending
    /// connections are left to the next process, and the socket must not be modified.
    pub(super) fn outlives_process(&self) -> bool {
        match self.owner {
            #[cfg(unix)]
            Owner::Supervisor => true,
            _ => false,
        }
    }

    /// Removes the socket file and returns an iterator over the pending connections. The socket is
    /// closed when the iterator is dropped.
    ///
    /// Accepts by direct system calls, since the runtime's view of the socket may be stale.
    pub(super) fn close(self) -> impl Iterator<Item = std::io::Result<Stream>> + Send {
        #[cfg(unix)]
        if let Owner::File(file) = &self.owner {
            file.remove();
        }
        let waiting = PendingConnections::from_listening(self.listening)
            .inspect_err(|fault| warn!("connections that wait are not answered: {fault}"))
            .ok();
        let mut n_failures = 0;
        std::iter::from_fn(move || {
            let accepted = waiting.as_ref()?.accept();
            if let Err(fault) = &accepted
                && !is_client_abort(fault)
            {
                // Other failures, such as a lack of file descriptors, may pass.
                n_failures += 1;
                let is_last = fault.kind() == ErrorKind::WouldBlock || n_failures > MAX_FAILURES;
                return (!is_last).then_some(accepted);
            }
            Some(accepted)
        })
    }
}

impl From<TcpListener> for Socket {
    fn from(listener: TcpListener) -> Self {
        Self { listening: ListeningSocket::Tcp(listener), owner: Owner::Process }
    }
}

/// Failed attempts to accept a pending connection before the socket is closed.
const MAX_FAILURES: usize = 20;

/// Returns whether an accept failed because the client ended the connection first.
pub(super) fn is_client_abort(fault: &std::io::Error) -> bool {
    use std::io::ErrorKind::ConnectionAborted;
    use std::io::ErrorKind::ConnectionRefused;
    use std::io::ErrorKind::ConnectionReset;

    matches!(fault.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Listens on a port of all interfaces, for IPv4 and IPv6.
#[cfg(unix)]
fn dual_stack(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None)?;
    socket.set_only_v6(false)?;
    // As tokio does: closing connections of the previous process must not block the address.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

/// Rejects a connected socket, which a supervisor passes if it accepts connections itself.
#[cfg(unix)]
fn check_listens(socket: socket2::SockRef<'_>) -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    if !socket.is_listener()? {
        return Err(std::io::Error::other("it does not listen; expected Accept=no in its unit"));
    }
    // Other systems offer no such check; there, accepting will fail.
    let _ = socket;
    Ok(())
}

/// The same backlog as tokio's.
#[cfg(unix)]
const BACKLOG: i32 = 1024;

#[cfg(all(test, unix))]
mod tests;
