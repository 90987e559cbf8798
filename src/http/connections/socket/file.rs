//! A socket in the file system, and its file.

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

use crate::http::connections::socket::BACKLOG;

/// The file by which clients find a socket; removed with it.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    id: (u64, u64), // another process may have put its own there meanwhile
}

impl SocketFile {
    /// Takes the file away, if it is still the one of this socket.
    pub(super) fn remove(&self) {
        if id(&self.path).is_ok_and(|found| found == self.id) {
            // Whoever finds it later finds that nobody listens, and replaces it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Device and inode of a file.
fn id(path: &Path) -> std::io::Result<(u64, u64)> {
    let found = path.symlink_metadata()?;
    Ok((found.dev(), found.ino()))
}

/// Listens on a file that is not there, or that a process has left behind.
pub(super) async fn bind(
    path: &Path,
    mode: Option<u32>,
) -> std::io::Result<(UnixListener, SocketFile)> {
    match create(path, mode) {
        Err(fault) if fault.kind() == ErrorKind::AddrInUse => {
            let found = id(path)?;
            check_abandoned(path).await?;
            // Whoever has just created it may not listen yet.
            tokio::time::sleep(SETTLING).await;
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
    // Before it listens, so that nobody connects with permissions that are not meant.
    if let Some(mode) = mode {
        std::fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok((UnixListener::from_std(socket.into())?, file))
}

/// Fails unless the file is a socket that nobody listens on.
async fn check_abandoned(path: &Path) -> std::io::Result<()> {
    if !path.symlink_metadata()?.file_type().is_socket() {
        return Err(Error::other("there is a file of that name, and it is no socket"));
    }
    match UnixStream::connect(path).await {
        Err(fault) if fault.kind() == ErrorKind::ConnectionRefused => Ok(()),
        // Also one whose queue is full, or that may not be asked.
        _ => Err(in_use()),
    }
}

fn in_use() -> Error {
    Error::new(ErrorKind::AddrInUse, "another process listens on that file")
}

/// More than any process takes from creating the file to listening on it.
const SETTLING: Duration = Duration::from_millis(100);

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
            tokio::time::sleep(SETTLING / 4).await;
            other.listen(1).unwrap();
        };
        let (bound, ()) = tokio::join!(bind(&path, None), listen_later);
        assert_eq!(bound.unwrap_err().kind(), ErrorKind::AddrInUse);
        assert!(UnixStream::connect(&path).await.is_ok());
    }
}
