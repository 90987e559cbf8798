//! TLS: the certificate that clients see, and how it is reloaded.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use moderato::http::ConnectionSettings;
use moderato::http::Drain;
use moderato::http::Listener;
use moderato::http::Tls;
use moderato::http::serve;
use rcgen::CertifiedKey;
use rcgen::generate_simple_self_signed;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::support;

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_may_change_while_the_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let first = write(&certificate, &key);
    let tls = Tls::open(&certificate, &key).unwrap();
    let settings = ConnectionSettings {
        header_timeout: Duration::from_millis(500),
        ..ConnectionSettings::default()
    };
    let app = support::app(support::tiny_model());
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let drain = Drain { delay: Duration::ZERO, grace: Duration::from_mins(1) };
    let listener = Listener::new(tcp, settings, Some(tls.clone()));
    tokio::spawn(serve(listener, app.clone(), drain, std::future::pending()));

    let answer = ask(address, &first).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    // A key that belongs to another certificate is not loaded.
    let old_certificate = std::fs::read(&certificate).unwrap();
    let second = write(&certificate, &key);
    std::fs::write(&certificate, old_certificate).unwrap();
    let fault = tls.reload().unwrap_err();
    assert_eq!(fault.code(), "invalid_config");
    assert!(fault.to_string().contains("key.pem"), "{fault}");
    assert!(ask(address, &first).await.is_ok());
    assert!(ask(address, &second).await.is_err());
    // A matching pair is loaded.
    let second = write(&certificate, &key);
    tls.reload().unwrap();
    assert!(ask(address, &second).await.is_ok());
    assert!(ask(address, &first).await.is_err());
    // The server does not wait for clients that do not speak TLS or send nothing.
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(b"GET /health/live HTTP/1.1\r\n\r\n").await.unwrap();
    let mut unread = Vec::new();
    let _ = plain.read_to_end(&mut unread).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    let _ = silent.read_to_end(&mut unread).await;
    let metrics = app.metrics().render();
    let line = r#"moderato_http_connections_refused_total{reason="tls_failed"}"#;
    assert!(metrics.contains(line), "{metrics}");
}

#[test]
fn a_certificate_and_its_key_may_be_written_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    write(&certificate, &key);
    let tls = Tls::open(&certificate, &key).unwrap();
    assert!(!tls.refresh().unwrap(), "nothing has changed");
    let old_key = std::fs::read(&key).unwrap();
    write(&certificate, &key);
    let new_key = std::fs::read(&key).unwrap();
    std::fs::write(&key, &old_key).unwrap();
    assert!(!tls.refresh().unwrap(), "the key is still the old one");
    std::fs::write(&key, &new_key).unwrap();
    assert!(tls.refresh().unwrap(), "both are new");
    // A lasting mismatch is reported once.
    std::fs::write(&key, &old_key).unwrap();
    assert!(!tls.refresh().unwrap());
    assert!(tls.refresh().is_err());
    assert!(!tls.refresh().unwrap());
}

#[test]
fn pem_may_begin_with_a_byte_order_mark_and_have_lines_that_end_in_crlf() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    write(&certificate, &key);
    let other = generate_simple_self_signed(["elsewhere".to_owned()]).unwrap().cert.pem();
    let mut chain = std::fs::read_to_string(&certificate).unwrap();
    chain.push_str(&other);
    for line_end in ["\n", "\r\n"] {
        for mark in ["", "\u{feff}"] {
            for (path, pem) in
                [(&certificate, &chain), (&key, &std::fs::read_to_string(&key).unwrap())]
            {
                let pem = pem
                    .trim_start_matches('\u{feff}')
                    .replace("\r\n", "\n")
                    .replace('\n', line_end);
                std::fs::write(path, format!("{mark}{pem}")).unwrap();
            }
            // The first certificate belongs to the key; with the mark read as text it would be
            // lost.
            Tls::open(&certificate, &key).unwrap();
        }
    }
}

#[test]
fn files_that_are_no_certificate_or_no_key_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    write(&certificate, &key);
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let missing = folder.path().join("missing.pem");
    for (certificate, key, flag, file) in [
        (&empty, &key, "tls-cert", "empty.pem"),
        (&missing, &key, "tls-cert", "missing.pem"),
        (&certificate, &empty, "tls-key", "empty.pem"),
        (&certificate, &missing, "tls-key", "missing.pem"),
        (&certificate, &certificate, "tls-key", "cert.pem"),
    ] {
        let fault = Tls::open(certificate, key).unwrap_err().to_string();
        assert!(fault.contains(flag) && fault.contains(file), "{fault}");
    }
}

#[test]
fn a_pair_is_read_again_once_its_content_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    write(&certificate, &key);
    let tls = Tls::open(&certificate, &key).unwrap();
    assert!(!tls.refresh().unwrap(), "nothing has changed");
    write(&certificate, &key);
    assert!(tls.refresh().unwrap(), "a new pair");
    let good = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    assert!(!tls.refresh().unwrap(), "another may come");
    assert!(tls.refresh().unwrap_err().to_string().contains("key.pem"));
    assert!(!tls.refresh().unwrap(), "a fault is told once");
    std::fs::write(&key, good).unwrap();
    assert!(tls.refresh().unwrap(), "it is there again");
}

#[test]
fn an_encrypted_key_is_refused_with_the_command_that_decrypts_it() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    write(&certificate, &key);
    for pem in [
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n\
         -----END RSA PRIVATE KEY-----\n",
    ] {
        std::fs::write(&key, pem).unwrap();
        let fault = Tls::open(&certificate, &key).unwrap_err().to_string();
        assert!(fault.contains("the key is encrypted"), "{fault}");
        let command = format!("openssl pkey -in {} -out decrypted.pem", key.display());
        assert!(fault.contains(&command), "{fault}");
    }
}

/// Writes a new pair and returns the certificate.
fn write(certificate: &Path, key: &Path) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(certificate, cert.pem()).unwrap();
    std::fs::write(key, signing_key.serialize_pem()).unwrap();
    cert.der().clone()
}

/// Sends a request over TLS, trusting one certificate.
async fn ask(
    address: std::net::SocketAddr,
    trusted: &CertificateDer<'static>,
) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let request = "GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
