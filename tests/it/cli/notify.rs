//! The supervisor's notification socket, if it has no file or is not read.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use super::serve::Server;
use super::serve::program;

#[test]
fn a_supervisor_without_a_file_is_told_too() {
    let name = format!("moderato-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let hear = || {
        let mut bytes = [0; 100];
        let n_bytes = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..n_bytes]).into_owned()
    };
    let mut command = program(&["--listen", "127.0.0.1:0"]);
    let server = Server::from_command(command.env("NOTIFY_SOCKET", format!("@{name}")));
    assert_eq!(hear(), "READY=1");
    server.stop();
    assert_eq!(hear(), "STOPPING=1");
}

#[test]
fn a_supervisor_that_does_not_read_is_not_waited_for_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let unread = UnixDatagram::bind(&path).unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    sender.set_nonblocking(true).unwrap();
    while sender.send_to(b"STATUS=full", &path).is_ok() {}
    let mut command = program(&["--listen", "127.0.0.1:0"]);
    let mut server = Server::from_command(command.env("NOTIFY_SOCKET", &path));
    server.wait_for("ready");
    let answer = server.post(r#"{"input": "Good morning"}"#);
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    unread.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut bytes = [0; 100];
    let mut n_bytes = 0;
    while &bytes[..n_bytes] != b"READY=1" {
        n_bytes = unread.recv(&mut bytes).unwrap();
    }
    while sender.send_to(b"STATUS=full", &path).is_ok() {}
    server.stop();
}

const PATIENCE: Duration = Duration::from_secs(30);
