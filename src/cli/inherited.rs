//! Sockets inherited from a supervisor: systemd's socket activation, see `sd_listen_fds(3)`.

use std::collections::BTreeSet;

use listenfd::ListenFd;

use crate::cli::environment::Environment;
use crate::error::Error;
use crate::error::Result;
use crate::http::Socket;

/// The inherited sockets; each can be taken once.
pub(super) struct Inherited {
    sockets: ListenFd,
    names: Vec<String>, // by socket index
    free: BTreeSet<usize>,
}

impl Inherited {
    /// Finds the sockets and removes their variables from the environment. Must be called while the
    /// process has a single thread, since other threads could read the environment at the same
    /// time.
    pub(super) fn find(environment: &Environment) -> Self {
        let names = environment.text("LISTEN_FDNAMES").map(|names| names.split(':'));
        let sockets = ListenFd::from_env();
        Self {
            names: names.into_iter().flatten().map(str::to_owned).collect(),
            free: (0..sockets.len()).collect(),
            sockets,
        }
    }

    /// Returns an error if any socket was not taken, since its clients would wait forever.
    pub(super) fn check_all_taken(&self) -> Result<()> {
        let name = |&index: &usize| match self.names.get(index).map(String::as_str) {
            None | Some("") => index.to_string(),
            Some(name) => format!("{index} ({name})"),
        };
        let left: Vec<_> = self.free.iter().map(name).collect();
        if left.is_empty() {
            return Ok(());
        }
        let reason = format!(
            "nothing listens on socket {} of the supervisor; expected --listen or --admin-listen \
             systemd:NAME for each socket that it passes",
            left.join(", ")
        );
        Err(Error::Config { name: "listen", reason })
    }

    /// Takes the socket with the given name, or the first free one if no name is given.
    pub(super) fn take(&mut self, flag: &'static str, name: Option<&str>) -> Result<Socket> {
        let refuse = |reason| Error::Config { name: flag, reason };
        for index in self.free.clone() {
            let found = self.names.get(index).map(String::as_str);
            if name.is_none() || found == name {
                let taken = self.take_at(index);
                let taken = taken.map_err(|fault| {
                    refuse(format!("socket {index} of the supervisor cannot be used: {fault}"))
                });
                if let Some(socket) = taken? {
                    self.free.remove(&index);
                    return Ok(socket);
                }
            }
        }
        Err(refuse(self.missing(name)))
    }

    #[cfg(unix)]
    fn take_at(&mut self, index: usize) -> std::io::Result<Option<Socket>> {
        // A socket that is not TCP stays available and is tried as a Unix socket.
        match self.sockets.take_tcp_listener(index) {
            Ok(listener) => listener.map(Socket::inherit_tcp).transpose(),
            Err(_) => self.sockets.take_unix_listener(index)?.map(Socket::inherit_unix).transpose(),
        }
    }

    #[cfg(not(unix))]
    fn take_at(&mut self, _: usize) -> std::io::Result<Option<Socket>> {
        Ok(None)
    }

    fn missing(&self, name: Option<&str>) -> String {
        match (name, self.sockets.len()) {
            (_, 0) => "the supervisor has passed no socket; expected LISTEN_FDS, as a socket unit \
                       of systemd sets it"
                .into(),
            (None, _) => "every socket that the supervisor has passed is in use".into(),
            (Some(name), _) => {
                let names = self.names.join(", ");
                format!(
                    "the supervisor has passed no socket {name} that is free; it has passed: {names}"
                )
            }
        }
    }
}
