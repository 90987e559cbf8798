//! A Unix socket in the file system, and its file.

use std::fs::Permissions;
use std::io::Error;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::net::UnixStream;

use crate::http::server::socket::BACKLOG;

/// The file by which clients find a Unix socket; removed on drop.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    id: (u64, u64), // another process may have replaced the file
}

impl SocketFile {
    /// Removes the file if it still belongs to this socket.
    pub(super) fn remove(&self) {
        if id(&self.path).is_ok_and(|found| found == self.id) {
            // A leftover file is harmless: the next process finds no listener and replaces it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Returns the device and inode of a file.
fn id(path: &Path) -> std::io::Result<(u64, u64)> {
    let found = path.symlink_metadata()?;
    Ok((found.dev(), found.ino()))
}

/// Binds to a path that does not exist, or whose socket file was left behind by a process.
pub(super) async fn bind(
    path: &Path,
    mode: Option<u32>,
) -> std::io::Result<(UnixListener, SocketFile)> {
    match create(path, mode) {
        Err(fault) if fault.kind() == ErrorKind::AddrInUse => {
            let found = id(path)?;
            check_abandoned(path).await?;
            // A process that has just created the file may not listen on it yet.
            tokio::time::sleep(BIND_TO_LISTEN_DELAY).await;
            check_abandoned(path).await?;
            if id(path)? != found {
                return Err(in_use());
            }
            std::fs::remove_file(path)?;
            create(path, mode)
        }
        created => created,
    }
}

fn create(path: &Path, mode: Option<u32>) -> std::io::Result<(UnixListener, SocketFile)> {
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
    socket.bind(&socket2::SockAddr::unix(path)?)?;
    let file = SocketFile { path: path.to_owned(), id: id(path)? };
    // Set before listening, so that no client connects under the wrong permissions.
    if let Some(mode) = mode {
        std::fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok((UnixListener::from_std(socket.into())?, file))
}

/// Fails unless the file is a socket that no process listens on.
async fn check_abandoned(path: &Path) -> std::io::Result<()> {
    if !path.symlink_metadata()?.file_type().is_socket() {
        return Err(Error::other("there is a file of that name, and it is no socket"));
    }
    match UnixStream::connect(path).await {
        Err(fault) if fault.kind() == ErrorKind::ConnectionRefused => Ok(()),
        // This includes a socket whose backlog is full, or that this process may not connect to.
        _ => Err(in_use()),
    }
}

fn in_use() -> Error {
    Error::new(ErrorKind::AddrInUse, "another process listens on that file")
}

/// Longer than any process takes between creating the file and listening on it.
const BIND_TO_LISTEN_DELAY: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_of_a_process_that_does_not_listen_yet_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let other = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None);
        let other = other.unwrap();
        other.bind(&socket2::SockAddr::unix(&path).unwrap()).unwrap();
        let listen_later = async {
            tokio::time::sleep(BIND_TO_LISTEN_DELAY / 4).await;
            other.listen(1).unwrap();
        };
        let (bound, ()) = tokio::join!(bind(&path, None), listen_later);
        assert_eq!(bound.unwrap_err().kind(), ErrorKind::AddrInUse);
        assert!(UnixStream::connect(&path).await.is_ok());
    }
}
