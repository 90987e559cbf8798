//! Serving on a Unix socket, in the process; the rest is the same as on a TCP port.

use std::sync::Arc;
use std::time::Duration;

use moderato::http::ConnectionSettings;
use moderato::http::Drain;
use moderato::http::Listener;
use moderato::http::Socket;
use moderato::http::Tls;
use moderato::http::serve;
use rcgen::CertifiedKey;
use rcgen::generate_simple_self_signed;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::support;

#[tokio::test(flavor = "multi_thread")]
async fn tls_works_on_a_unix_socket_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let names = ["localhost".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    std::fs::write(file("cert.pem"), cert.pem()).unwrap();
    std::fs::write(file("key.pem"), signing_key.serialize_pem()).unwrap();
    let tls = Tls::open(&file("cert.pem"), &file("key.pem")).unwrap();
    let socket = Socket::bind_unix(&file("moderato.sock"), None).await.unwrap();
    assert!(socket.is_local());
    let listener = Listener::new(socket, ConnectionSettings::default(), Some(tls));
    let drain = Drain { delay: Duration::ZERO, grace: Duration::from_mins(1) };
    let app = support::app(support::tiny_model());
    let serving = tokio::spawn(serve(listener, app, drain, std::future::pending()));

    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let stream = UnixStream::connect(file("moderato.sock")).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let request = "GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    // The socket file is removed however the server ends.
    serving.abort();
    assert!(serving.await.is_err());
    assert!(!file("moderato.sock").exists());
}
