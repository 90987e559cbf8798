//! A message to the supervisor's socket; see `sd_notify(3)`.

use std::io::Error;
use std::io::Result;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::os::unix::net::UnixDatagram;

use sd_notify::NotifyState;

use crate::cli::environment::Environment;

/// Sends it, if there is a supervisor. Never waits: a supervisor that does not read loses it.
///
/// The library would take the `@` of an abstract socket for a file, and wait.
pub(super) fn notify(state: &[NotifyState<'_>]) -> Result<()> {
    let environment = Environment::of_process();
    let Some(name) = environment.text("NOTIFY_SOCKET") else {
        return Ok(());
    };
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let words: Vec<_> = state.iter().map(ToString::to_string).collect();
    let message = words.join("\n");
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    let n_bytes = socket.send_to_addr(message.as_bytes(), &address)?;
    if n_bytes == message.len() {
        Ok(())
    } else {
        Err(Error::other("only a part of the message was taken"))
    }
}
