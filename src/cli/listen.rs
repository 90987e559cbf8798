//! Resolution of listen addresses, and binding of sockets to them.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tracing::info;

use crate::cli::args::ListenAddress;
use crate::cli::args::ServeArgs;
use crate::cli::inherited::Inherited;
use crate::error::Error;
use crate::error::Result;
use crate::http::Socket;

/// The addresses to listen on: for clients and, if enabled, for administrators.
pub(super) struct ListenAddresses {
    clients: Endpoint,
    admin: Option<Endpoint>,
}

impl ListenAddresses {
    /// Resolves the addresses in the arguments; fails if an inherited socket is left over.
    pub(super) async fn resolve(args: &ServeArgs, inherited: &mut Inherited) -> Result<Self> {
        let clients = Endpoint::resolve("listen", &args.listen, inherited).await?;
        let admin = match &args.admin_listen {
            Some(address) => Some(Endpoint::resolve("admin-listen", address, inherited).await?),
            None => None,
        };
        inherited.check_all_taken()?;
        Ok(Self { clients, admin })
    }

    /// Refuses an admin address that other hosts can reach, unless it is guarded by API keys and
    /// TLS: the admin routes swap the model.
    pub(super) fn check_admin(&self, is_guarded: bool) -> Result<()> {
        match &self.admin {
            Some(admin) if !admin.is_local() && !is_guarded => {
                let reason = format!(
                    "{} can be reached from outside; expected a loopback address or a Unix \
                     socket, or --api-keys-file and --tls-cert beside it",
                    admin.typed
                );
                Err(Error::Config { name: "admin-listen", reason })
            }
            _ => Ok(()),
        }
    }

    /// Binds the sockets and logs their addresses; returns the client socket, then the admin
    /// socket.
    pub(super) async fn bind(self) -> Result<(Socket, Option<Socket>)> {
        let clients = self.clients.bind("listening").await?;
        let admin = match self.admin {
            Some(endpoint) => Some(endpoint.bind("listening for administrators").await?),
            None => None,
        };
        Ok((clients, admin))
    }
}

/// An address as typed and as resolved; not bound yet.
struct Endpoint {
    typed: ListenAddress,
    found: Resolved,
}

enum Resolved {
    /// Candidate addresses; the first one that the host has is bound.
    Tcp(Vec<SocketAddr>),
    Unix(PathBuf, Option<u32>),
    /// A socket that the supervisor has already opened.
    Inherited(Socket),
}

impl Endpoint {
    /// Resolves host names and the names of inherited sockets.
    async fn resolve(
        flag: &'static str,
        typed: &ListenAddress,
        inherited: &mut Inherited,
    ) -> Result<Self> {
        let found = match typed {
            ListenAddress::Tcp { host: None, port } => Resolved::Tcp(vec![
                (Ipv6Addr::UNSPECIFIED, *port).into(),
                (Ipv4Addr::UNSPECIFIED, *port).into(),
            ]),
            ListenAddress::Tcp { host: Some(host), port } => {
                let looked_up = tokio::net::lookup_host((host.as_str(), *port)).await;
                let mut addresses: Vec<_> =
                    looked_up.map_err(|fault| listen_error(typed, fault))?.collect();
                // IPv4 first: clients that support only one version of IP support this one.
                addresses.sort_by_key(SocketAddr::is_ipv6);
                Resolved::Tcp(addresses)
            }
            ListenAddress::Unix { path, mode } => Resolved::Unix(path.clone(), *mode),
            ListenAddress::Systemd { name } => {
                Resolved::Inherited(inherited.take(flag, name.as_deref())?)
            }
        };
        Ok(Self { typed: typed.clone(), found })
    }

    /// Returns whether only processes on the same host can connect.
    fn is_local(&self) -> bool {
        match &self.found {
            Resolved::Tcp(addresses) => addresses.iter().all(|address| address.ip().is_loopback()),
            Resolved::Unix(..) => true,
            Resolved::Inherited(socket) => socket.is_local(),
        }
    }

    /// Binds the socket and logs its address.
    async fn bind(self, message: &str) -> Result<Socket> {
        let Self { typed, found } = self;
        let bound = match found {
            Resolved::Tcp(addresses) => bind_first(&addresses).await,
            Resolved::Unix(path, mode) => bind_unix(path, mode).await,
            Resolved::Inherited(socket) => Ok(socket),
        };
        let socket = bound.map_err(|fault| listen_error(&typed, fault))?;
        let address = socket.address().map_err(|fault| listen_error(&typed, fault))?;
        info!(address, "{message}");
        Ok(socket)
    }
}

/// Binds the first address that the host has. An address in use is an error and not skipped, since
/// clients would reach the process that uses it.
async fn bind_first(addresses: &[SocketAddr]) -> std::io::Result<Socket> {
    let mut last = ErrorKind::AddrNotAvailable.into();
    for &address in addresses {
        match Socket::bind_tcp(address).await {
            Err(fault) if is_absent(&fault) => last = fault,
            bound => return bound,
        }
    }
    Err(last)
}

/// Returns whether the host lacks the address or its version of IP.
fn is_absent(fault: &std::io::Error) -> bool {
    // EAFNOSUPPORT on Linux and on the BSDs, which has no stable `ErrorKind`.
    let is_unsupported = matches!(fault.raw_os_error(), Some(97 | 47));
    fault.kind() == ErrorKind::AddrNotAvailable || is_unsupported
}

#[cfg(unix)]
async fn bind_unix(path: PathBuf, mode: Option<u32>) -> std::io::Result<Socket> {
    Socket::bind_unix(&path, mode).await
}

#[cfg(not(unix))]
async fn bind_unix(_: PathBuf, _: Option<u32>) -> std::io::Result<Socket> {
    Err(ErrorKind::Unsupported.into())
}

/// Creates the error for an address that cannot be listened on.
pub(super) fn listen_error(address: &ListenAddress, fault: std::io::Error) -> Error {
    Error::Listen { address: address.to_string(), source: Arc::new(fault) }
}
