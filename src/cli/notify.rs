//! Messages to the supervisor's socket; see `sd_notify(3)`.

use std::io::Error;
use std::io::Result;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;

use sd_notify::NotifyState;
use tokio::sync::oneshot;
use tracing::warn;

use crate::cli::environment::Environment;

/// Sends messages in order from a dedicated thread; clones share the thread.
///
/// Callers never block on a supervisor that does not read, and no message is lost if the supervisor
/// reads late. The library would take the `@` of an abstract socket for a file name, and block.
#[derive(Debug, Clone)]
pub(super) struct Notifier(SyncSender<Message>);

#[derive(Debug)]
struct Message {
    words: String,
    sent: oneshot::Sender<()>, // dropped once the message is sent or has failed
}

impl Notifier {
    /// Starts the thread; returns `None` if there is no supervisor.
    pub(super) fn start(environment: &Environment) -> Result<Option<Self>> {
        let Some(name) = environment.text("NOTIFY_SOCKET") else {
            return Ok(None);
        };
        let address = match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        let (sender, messages) = mpsc::sync_channel(QUEUE_CAPACITY);
        let send_all = move || send_all(&socket, &address, &messages);
        std::thread::Builder::new().name("notify".into()).spawn(send_all)?;
        Ok(Some(Self(sender)))
    }

    /// Queues a message; the future completes once the message is sent or has failed.
    pub(super) fn send(&self, state: &[NotifyState<'_>]) -> impl Future<Output = ()> + use<> {
        let words: Vec<_> = state.iter().map(ToString::to_string).collect();
        let (sent, waiting) = oneshot::channel();
        let message = Message { words: words.join("\n"), sent };
        if self.0.try_send(message).is_err() {
            warn!("the supervisor does not read its messages: one of them is lost");
        }
        async { waiting.await.unwrap_or(()) }
    }
}

fn send_all(socket: &UnixDatagram, address: &SocketAddr, messages: &Receiver<Message>) {
    while let Ok(Message { words, sent }) = messages.recv() {
        let result = match socket.send_to_addr(words.as_bytes(), address) {
            Ok(n_bytes) if n_bytes < words.len() => Err(Error::other("only a part was taken")),
            result => result.map(drop),
        };
        if let Err(fault) = result {
            warn!("a message to the supervisor could not be sent: {fault}");
        }
        drop(sent);
    }
}

/// Queue capacity: a reload takes two messages, and the watchdog gets one every few seconds.
const QUEUE_CAPACITY: usize = 16;
