//! From an address as it is typed to a socket.

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

/// Where the server will listen: for its clients, and for administrators if they are let in.
pub(super) struct Places {
    clients: Place,
    admin: Option<Place>,
}

impl Places {
    /// Looks up the names in the arguments.
    pub(super) async fn find(args: &ServeArgs, inherited: &mut Inherited) -> Result<Self> {
        let clients = Place::find("listen", &args.listen, inherited).await?;
        let admin = match &args.admin_listen {
            Some(address) => Some(Place::find("admin-listen", address, inherited).await?),
            None => None,
        };
        inherited.check_all_taken()?;
        Ok(Self { clients, admin })
    }

    /// Whoever reaches the administrators' routes decides what serves: from outside only with a key,
    /// and unheard.
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

    /// Listens, and logs the addresses that it has got; the socket of the clients comes first.
    pub(super) async fn bind(self) -> Result<(Socket, Option<Socket>)> {
        let clients = self.clients.bind("listening").await?;
        let admin = match self.admin {
            Some(place) => Some(place.bind("listening for administrators").await?),
            None => None,
        };
        Ok((clients, admin))
    }
}

/// An address and what it stands for on this machine; nothing listens there yet.
struct Place {
    typed: ListenAddress,
    found: Found,
}

enum Found {
    /// Addresses of which the first that this machine has is meant.
    Tcp(Vec<SocketAddr>),
    Unix(PathBuf, Option<u32>),
    /// Somebody listens already, and hands it over.
    Inherited(Socket),
}

impl Place {
    /// Looks up names, of hosts and of sockets.
    async fn find(
        flag: &'static str,
        typed: &ListenAddress,
        inherited: &mut Inherited,
    ) -> Result<Self> {
        let found = match typed {
            ListenAddress::Tcp { host: None, port } => Found::Tcp(vec![
                (Ipv6Addr::UNSPECIFIED, *port).into(),
                (Ipv4Addr::UNSPECIFIED, *port).into(),
            ]),
            ListenAddress::Tcp { host: Some(host), port } => {
                let looked_up = tokio::net::lookup_host((host.as_str(), *port)).await;
                let mut addresses: Vec<_> =
                    looked_up.map_err(|fault| listen_error(typed, fault))?.collect();
                // Clients that know only one version of IP know this one.
                addresses.sort_by_key(SocketAddr::is_ipv6);
                Found::Tcp(addresses)
            }
            ListenAddress::Unix { path, mode } => Found::Unix(path.clone(), *mode),
            ListenAddress::Systemd { name } => {
                Found::Inherited(inherited.take(flag, name.as_deref())?)
            }
        };
        Ok(Self { typed: typed.clone(), found })
    }

    /// Whether only processes of this machine can connect.
    fn is_local(&self) -> bool {
        match &self.found {
            Found::Tcp(addresses) => addresses.iter().all(|address| address.ip().is_loopback()),
            Found::Unix(..) => true,
            Found::Inherited(socket) => socket.is_local(),
        }
    }

    /// Listens, and logs the address that it has got.
    async fn bind(self, message: &str) -> Result<Socket> {
        let Self { typed, found } = self;
        let bound = match found {
            Found::Tcp(addresses) => bind_first(&addresses).await,
            Found::Unix(path, mode) => bind_unix(path, mode).await,
            Found::Inherited(socket) => Ok(socket),
        };
        let socket = bound.map_err(|fault| listen_error(&typed, fault))?;
        let address = socket.address().map_err(|fault| listen_error(&typed, fault))?;
        info!(address, "{message}");
        Ok(socket)
    }
}

/// The first address that this machine has. One that is in use is not passed over: clients would
/// reach whoever uses it.
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

/// Whether the machine has no such address, or none of that version of IP.
fn is_absent(fault: &std::io::Error) -> bool {
    // EAFNOSUPPORT, for which there is no stable kind, in Linux and in the BSDs.
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

/// The fault of listening on an address.
pub(super) fn listen_error(address: &ListenAddress, fault: std::io::Error) -> Error {
    Error::Listen { address: address.to_string(), source: Arc::new(fault) }
}
