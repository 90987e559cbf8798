use std::os::unix::net::UnixListener as StdUnixListener;
use std::os::unix::net::UnixStream as StdUnixStream;

use super::*;

#[tokio::test]
async fn a_unix_socket_that_closes_gives_up_those_who_wait_and_lets_nobody_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let socket = Socket::bind_unix(&path, None).await.unwrap();
    let clients = [(); 3].map(|()| StdUnixStream::connect(&path).unwrap());
    assert_eq!(socket.close().map(Result::unwrap).count(), clients.len());
    assert!(StdUnixStream::connect(&path).is_err(), "somebody new");
}

#[tokio::test]
async fn a_port_that_closes_gives_up_those_who_wait() {
    let socket = Socket::bind_tcp(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = socket.address().unwrap();
    let clients = [(); 3].map(|()| std::net::TcpStream::connect(&address).unwrap());
    assert_eq!(socket.close().map(Result::unwrap).count(), clients.len());
    assert!(std::net::TcpStream::connect(&address).is_err(), "somebody new");
}

#[tokio::test]
async fn a_socket_of_a_supervisor_outlives_ours() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = StdUnixListener::bind(&path).unwrap();
    let socket = Socket::inherit_unix(listener.try_clone().unwrap()).unwrap();
    assert!(socket.outlives_process() && socket.is_local());
    drop(socket);
    let _client = StdUnixStream::connect(&path).unwrap();
    assert!(listener.accept().is_ok());
}

#[tokio::test]
async fn a_file_goes_with_its_socket_unless_another_process_has_put_its_own_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    drop(Socket::bind_unix(&path, None).await.unwrap());
    assert!(!path.exists());
    let first = Socket::bind_unix(&path, None).await.unwrap();
    std::fs::rename(&path, folder.path().join("moved")).unwrap();
    let second = Socket::bind_unix(&path, Some(0o600)).await.unwrap();
    drop(first);
    assert!(StdUnixStream::connect(&path).is_ok());
    assert_eq!(second.address().unwrap(), format!("unix:{}", path.display()));
}
