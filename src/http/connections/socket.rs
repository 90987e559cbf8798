//! What connections come from: a port, a file, or a socket that a supervisor has opened.

#[cfg(unix)]
mod file;
mod waiting;

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
use self::waiting::Waiting;

/// A socket that listens.
#[derive(Debug)]
pub struct Socket {
    listening: Listening,
    owner: Owner,
}

#[derive(Debug)]
enum Listening {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

/// Who decides how long the socket lives.
#[derive(Debug)]
enum Owner {
    /// This process.
    Process,
    /// This process; clients find the socket by a file.
    #[cfg(unix)]
    File(SocketFile),
    /// The supervisor that has opened it: it goes on listening for the next process.
    #[cfg(unix)]
    Supervisor,
}

/// A connection.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Socket {
    /// Listens on a port. `[::]` takes clients of IPv4 too, whatever the system's default is.
    pub async fn bind_tcp(address: SocketAddr) -> std::io::Result<Self> {
        #[cfg(unix)]
        if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
            return Ok(dual_stack(address)?.into());
        }
        Ok(TcpListener::bind(address).await?.into())
    }

    /// Listens on a file, with the permissions that the umask leaves unless there is a mode. A
    /// socket that nobody listens on any more is replaced.
    #[cfg(unix)]
    pub async fn bind_unix(path: &Path, mode: Option<u32>) -> std::io::Result<Self> {
        let (listener, file) = file::bind(path, mode).await?;
        Ok(Self { listening: Listening::Unix(listener), owner: Owner::File(file) })
    }

    /// Takes over a port that a supervisor listens on.
    #[cfg(unix)]
    pub fn inherit_tcp(listener: std::net::TcpListener) -> std::io::Result<Self> {
        check_listens(socket2::SockRef::from(&listener))?;
        listener.set_nonblocking(true)?;
        let listening = Listening::Tcp(TcpListener::from_std(listener)?);
        Ok(Self { listening, owner: Owner::Supervisor })
    }

    /// The same for a file.
    #[cfg(unix)]
    pub fn inherit_unix(listener: std::os::unix::net::UnixListener) -> std::io::Result<Self> {
        check_listens(socket2::SockRef::from(&listener))?;
        listener.set_nonblocking(true)?;
        let listening = Listening::Unix(UnixListener::from_std(listener)?);
        Ok(Self { listening, owner: Owner::Supervisor })
    }

    /// The address as it is typed, with the port that it has got.
    pub fn address(&self) -> std::io::Result<String> {
        match &self.listening {
            Listening::Tcp(listener) => Ok(listener.local_addr()?.to_string()),
            #[cfg(unix)]
            Listening::Unix(listener) => {
                let address = listener.local_addr()?;
                let path = address.as_pathname().unwrap_or(Path::new("(without a file)"));
                Ok(format!("unix:{}", path.display()))
            }
        }
    }

    /// Whether only processes of this machine can connect.
    pub fn is_local(&self) -> bool {
        match &self.listening {
            Listening::Tcp(listener) => {
                listener.local_addr().is_ok_and(|address| address.ip().is_loopback())
            }
            #[cfg(unix)]
            Listening::Unix(_) => true,
        }
    }

    pub(super) async fn accept(&self) -> std::io::Result<Stream> {
        match &self.listening {
            Listening::Tcp(listener) => Ok(Stream::Tcp(listener.accept().await?.0)),
            #[cfg(unix)]
            Listening::Unix(listener) => Ok(Stream::Unix(listener.accept().await?.0)),
        }
    }

    /// Whether it goes on listening when this process has ended. Then connections that wait are
    /// left to the next process, and the socket must stay as it is.
    pub(super) fn outlives_us(&self) -> bool {
        match self.owner {
            #[cfg(unix)]
            Owner::Supervisor => true,
            _ => false,
        }
    }

    /// Lets no new client begin to connect; those that have begun get through.
    pub(super) fn shut(&self) {
        match (&self.owner, &self.listening) {
            (Owner::Process, Listening::Tcp(listener)) => drop_new_connections(listener),
            #[cfg(unix)]
            (Owner::File(file), _) => file.remove(),
            #[cfg(unix)]
            _ => {}
        }
    }

    /// Connections that wait to be accepted; the socket ends with them. The system is asked itself:
    /// what the runtime knows of a socket is a moment old.
    pub(super) fn backlog(self) -> impl Iterator<Item = std::io::Result<Stream>> + Send {
        let waiting = Waiting::from_listening(self.listening)
            .inspect_err(|fault| warn!("connections that wait are not answered: {fault}"))
            .ok();
        std::iter::from_fn(move || match waiting.as_ref()?.accept() {
            Err(fault) if !is_of_the_client(&fault) => None,
            accepted => Some(accepted),
        })
    }
}

impl From<TcpListener> for Socket {
    fn from(listener: TcpListener) -> Self {
        Self { listening: Listening::Tcp(listener), owner: Owner::Process }
    }
}

/// Whether a connection ended before it was accepted.
pub(super) fn is_of_the_client(fault: &std::io::Error) -> bool {
    use std::io::ErrorKind::ConnectionAborted;
    use std::io::ErrorKind::ConnectionRefused;
    use std::io::ErrorKind::ConnectionReset;

    matches!(fault.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// A port on all interfaces, for both versions of IP.
#[cfg(unix)]
fn dual_stack(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None)?;
    socket.set_only_v6(false)?;
    // As the runtime does: connections of the last process that still close are no obstacle.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

/// A supervisor that accepts itself hands over connections, on which nothing can be accepted.
#[cfg(unix)]
fn check_listens(socket: socket2::SockRef<'_>) -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    if !socket.is_listener()? {
        return Err(std::io::Error::other("it does not listen; expected Accept=no in its unit"));
    }
    // Elsewhere there is no such question; accepting from it will fail.
    let _ = socket;
    Ok(())
}

/// Has the system begin no new connection, so that nobody comes between the last look at who waits
/// and the end of the socket, who would take us for one that answers. They hear nothing at first,
/// and are refused when they knock again, a second later. Those that have begun get through.
#[cfg(target_os = "linux")]
fn drop_new_connections(tcp: &TcpListener) {
    use socket2::SockFilter;

    // In the words of bpf(4), of a TCP header.
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_IF_SET: u16 = 0x45;
    const RETURN: u16 = 0x06;
    let drop_what_begins = [
        SockFilter::new(LOAD_BYTE, 0, 0, FLAGS),
        SockFilter::new(JUMP_IF_SET, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ];
    if let Err(fault) = socket2::SockRef::from(tcp).attach_filter(&drop_what_begins) {
        warn!("whoever connects at this moment may find no answer: {fault}");
    }
}

#[cfg(not(target_os = "linux"))]
fn drop_new_connections(_: &TcpListener) {}

/// What the runtime takes too.
#[cfg(unix)]
const BACKLOG: i32 = 1024;

#[cfg(all(test, unix))]
mod tests;
