//! Addresses: host names, ports alone, socket files, and sockets passed by a supervisor.

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use super::run;
use super::serve::Server;
use super::serve::ask;
use super::serve::program;
use super::stderr;

#[test]
fn a_name_or_a_port_alone_is_an_address() {
    for (typed, begin, is_everywhere) in
        [("localhost:0", "127.0.0.1:", false), (":0", "", true), ("*:0", "", true)]
    {
        let mut server = serve(&["--listen", typed]);
        assert!(server.address().starts_with(begin), "{typed}: {}", server.address());
        let (_, port) = server.address().rsplit_once(':').unwrap();
        let mut addresses = vec![format!("127.0.0.1:{port}")];
        let has_ipv6 = TcpListener::bind("[::1]:0").is_ok();
        addresses.extend((is_everywhere && has_ipv6).then(|| format!("[::1]:{port}")));
        server.wait_for("ready");
        for address in addresses {
            let answer = ask(&address, LIVE);
            assert!(answer.starts_with("HTTP/1.1 200 OK"), "{typed} at {address}: {answer}");
        }
        server.stop();
    }
}

#[test]
fn an_address_that_cannot_be_had_ends_with_69_and_is_named_as_it_was_typed() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for address in [
        format!("localhost:{port}"),
        format!(":{port}"),
        // Too long for a host name, so that no DNS lookup is made.
        format!("{}:80", "a".repeat(64)),
        "unix:/no/such/folder/moderato.sock".to_owned(),
    ] {
        let output = run(&["serve", "--listen", &address]);
        assert_eq!(output.status.code(), Some(69), "{address}: {}", stderr(&output));
        let message = format!("error: listening on {address} failed: ");
        assert!(stderr(&output).contains(&message), "{address}: {}", stderr(&output));
    }
}

#[test]
fn a_name_that_is_not_of_the_loopback_is_no_address_for_administrators() {
    for address in [":0", "*:0", "[::]:0"] {
        let output = run(&["serve", "--admin-listen", address]);
        assert_eq!(output.status.code(), Some(64), "{address}: {}", stderr(&output));
        assert!(stderr(&output).contains("can be reached from outside"), "{}", stderr(&output));
    }
    let server = serve(&["--listen", "127.0.0.1:0", "--admin-listen", "localhost:0"]);
    server.stop();
}

#[test]
fn a_unix_socket_has_its_mode_and_its_file_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("moderato.sock");
    let mut server = serve(&["--listen", &format!("unix:{}?mode=0620", path.display())]);
    assert_eq!(server.address(), format!("unix:{}", path.display()));
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o620, "{mode:o}");
    server.wait_for("ready");
    let answer = ask_file(&path, &score());
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    server.stop();
    assert!(!path.exists());
}

#[test]
fn a_socket_that_was_left_behind_is_replaced_and_one_in_use_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("moderato.sock");
    let address = format!("unix:{}", path.display());
    drop(UnixListener::bind(&path).unwrap());
    let mut server = serve(&["--listen", &address]);
    server.wait_for("ready");
    let second = run(&["serve", "--listen", &address]);
    assert_eq!(second.status.code(), Some(69), "{}", stderr(&second));
    assert!(stderr(&second).contains("another process listens"), "{}", stderr(&second));
    let answer = ask_file(&path, LIVE);
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    server.stop();
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "mine").unwrap();
    let output = run(&["serve", "--listen", &format!("unix:{}", path.display())]);
    assert_eq!(output.status.code(), Some(69), "{}", stderr(&output));
    assert!(stderr(&output).contains("it is no socket"), "{}", stderr(&output));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}

#[test]
fn administrators_need_no_key_on_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    let admin = format!("unix:{}", path.display());
    let mut server = serve(&["--listen", "127.0.0.1:0", "--admin-listen", &admin]);
    server.wait_for("ready");
    let answer = ask_file(&path, ADMIN);
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    server.stop();
    assert!(!path.exists());
}

#[test]
fn draining_answers_everybody_who_has_connected_to_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("moderato.sock");
    let mut server = serve(&["--listen", &format!("unix:{}", path.display())]);
    server.wait_for("ready");
    let (begun, beginnings) = mpsc::channel();
    let clients = [(); 4].map(|()| {
        let (path, begun) = (path.clone(), begun.clone());
        std::thread::spawn(move || {
            let mut answers = burst(&path).unwrap();
            begun.send(()).unwrap();
            answers.extend(std::iter::from_fn(|| burst(&path)).flatten());
            answers
        })
    });
    for _ in &clients {
        beginnings.recv().unwrap();
    }
    server.stop();
    for client in clients {
        for answer in client.join().unwrap() {
            assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer:?}");
        }
    }
}

#[test]
fn sockets_of_a_supervisor_are_found_by_name_or_by_order_and_outlive_the_server() {
    for (listen, admin) in
        [("systemd:http", "systemd:admin"), ("systemd:", "systemd:"), ("systemd", "systemd:admin")]
    {
        let supervisor = Supervisor::new();
        let flags = ["--listen", listen, "--admin-listen", admin];
        let mut server = Server::from_command(&mut supervisor.command(&flags));
        assert_eq!(server.address(), supervisor.address.to_string(), "{listen}");
        server.wait_for("ready");
        let answer = server.send(&score());
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{listen}: {answer}");
        let answer = ask_file(&supervisor.path(), ADMIN);
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{admin}: {answer}");
        server.stop();
        supervisor.still_listens();
    }
}

#[test]
fn a_socket_without_a_name_keeps_its_place() {
    let supervisor = Supervisor::new();
    let flags = ["--listen", "systemd:admin", "--admin-listen", "systemd:"];
    let server = Server::from_command(&mut supervisor.hand_over(":admin", &flags));
    assert_eq!(server.address(), format!("unix:{}", supervisor.path().display()));
    server.stop();
}

#[test]
fn a_socket_that_no_supervisor_has_passed_is_named() {
    let output = run(&["serve", "--listen", "systemd:"]);
    assert_eq!(output.status.code(), Some(64), "{}", stderr(&output));
    assert!(stderr(&output).contains("listen: the supervisor has passed no socket"));
    let supervisor = Supervisor::new();
    for (flags, message) in [
        (["--listen", "systemd:other"], "no socket other that is free; it has passed: http, admin"),
        (["--admin-listen", "systemd:other"], "admin-listen: the supervisor has passed no socket"),
        // Clients of the unused socket would wait forever.
        (["--listen", "systemd:http"], "listen: nothing listens on socket 1 (admin) of the"),
    ] {
        let output = supervisor.command(&flags).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{flags:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(message), "{flags:?}: {}", stderr(&output));
    }
    supervisor.still_listens();
    let (connection, _other) = UnixStream::pair().unwrap();
    let mut command = supervisor.command(&["--listen", "systemd:"]);
    let output = command.stdin(Stdio::from(OwnedFd::from(connection))).output().unwrap();
    assert_eq!(output.status.code(), Some(64), "{}", stderr(&output));
    assert!(stderr(&output).contains("expected Accept=no"), "{}", stderr(&output));
}

/// Two sockets that are passed to the server as by systemd.
struct Supervisor {
    folder: tempfile::TempDir,
    tcp: TcpListener,
    unix: UnixListener,
    address: SocketAddr,
}

impl Supervisor {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        let unix = UnixListener::bind(folder.path().join("admin.sock")).unwrap();
        Self { folder, tcp, unix, address }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("admin.sock")
    }

    fn command(&self, flags: &[&str]) -> Command {
        self.hand_over("http:admin", flags)
    }

    /// Returns a server command that receives the sockets as descriptors 3 and 4, under these
    /// names.
    fn hand_over(&self, names: &str, flags: &[&str]) -> Command {
        const HAND_OVER: &str = "exec 3<&0 4>&1 0</dev/null 1>/dev/null
            export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=$NAMES
            exec \"$@\"";
        let server = program(flags);
        let mut command = Command::new("sh");
        command.args(["-c", HAND_OVER, "sh"]).arg(server.get_program()).args(server.get_args());
        command.env("NAMES", names);
        command.stdin(Stdio::from(OwnedFd::from(self.tcp.try_clone().unwrap())));
        command.stdout(Stdio::from(OwnedFd::from(self.unix.try_clone().unwrap())));
        command
    }

    /// Checks that both sockets still accept connections, so that the next process could take over.
    fn still_listens(&self) {
        let _client = TcpStream::connect_timeout(&self.address, PATIENCE).unwrap();
        // The non-blocking flag belongs to the socket, not to the process.
        self.tcp.set_nonblocking(false).unwrap();
        self.tcp.accept().unwrap();
        let _client = UnixStream::connect(self.path()).unwrap();
        self.unix.set_nonblocking(false).unwrap();
        self.unix.accept().unwrap();
    }
}

fn serve(flags: &[&str]) -> Server {
    Server::from_command(&mut program(flags))
}

fn ask_file(path: &Path, request: &str) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Sends a request on many connections at once, some still waiting to be accepted, and returns the
/// responses; `None` if nothing listens any more.
fn burst(path: &Path) -> Option<Vec<String>> {
    let connect = |_| UnixStream::connect(path).ok();
    let mut streams: Vec<_> = (0..32).map_while(connect).collect();
    // A server that has exited is detected by its missing response.
    let send = |stream: &mut UnixStream| drop(stream.write_all(score().as_bytes()));
    streams.iter_mut().for_each(send);
    let answers = streams.iter_mut().map(|stream| {
        let mut answer = String::new();
        match stream.read_to_string(&mut answer) {
            Ok(_) => answer,
            Err(fault) => fault.to_string(),
        }
    });
    let answers: Vec<_> = answers.collect();
    (!answers.is_empty()).then_some(answers)
}

fn score() -> String {
    let body = r#"{"input": "Good morning"}"#;
    let length = body.len();
    format!(
        "POST /v1/score HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

const LIVE: &str = "GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
const ADMIN: &str = "GET /admin/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
const PATIENCE: Duration = Duration::from_secs(30);
