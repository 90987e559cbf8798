//! TLS: a certificate chain and its private key, reloaded on demand.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::RwLock;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::server::TlsStream;

use crate::error::Error;
use crate::error::Result;
use crate::text_file::WatchedFile;

/// The TLS configuration of a server. Clones share the configuration.
#[derive(Debug, Clone)]
pub struct Tls(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    files: Mutex<Files>,
    config: RwLock<Arc<ServerConfig>>,
}

#[derive(Debug)]
struct Files {
    certificates: WatchedFile,
    key: WatchedFile,
    has_pending_error: bool, // the last read was not a valid configuration
}

impl Tls {
    /// Reads both PEM files: the certificate chain, starting with the server's own certificate, and
    /// its private key.
    pub fn open(certificates: &Path, key: &Path) -> Result<Self> {
        let (certificates, key) = (WatchedFile::read(certificates), WatchedFile::read(key));
        let files = Files { certificates, key, has_pending_error: false };
        let config = RwLock::new(files.config()?);
        Ok(Self(Arc::new(Shared { files: Mutex::new(files), config })))
    }

    /// Reloads both files for new connections. If they are invalid, the old configuration stays in
    /// use.
    pub fn reload(&self) -> Result<()> {
        let mut files = self.0.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.refresh();
        files.has_pending_error = false;
        self.0.replace(files.config()?);
        Ok(())
    }

    /// Reloads both files if either has changed; returns whether the new configuration is in use.
    ///
    /// Invalid files are an error only if they are unchanged at the next call: the two files are
    /// often written one after the other.
    pub fn refresh(&self) -> Result<bool> {
        let mut files = self.0.files.lock().unwrap_or_else(PoisonError::into_inner);
        let has_changed = files.refresh();
        if !has_changed && !files.has_pending_error {
            return Ok(false);
        }
        let config = files.config();
        files.has_pending_error = has_changed && config.is_err();
        match config {
            Err(_) if files.has_pending_error => Ok(false),
            config => {
                self.0.replace(config?);
                Ok(true)
            }
        }
    }

    /// Performs the TLS handshake.
    pub(super) async fn accept<S>(&self, stream: S) -> std::io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = Arc::clone(&self.0.config.read().unwrap_or_else(PoisonError::into_inner));
        TlsAcceptor::from(config).accept(stream).await
    }
}

impl Shared {
    fn replace(&self, config: Arc<ServerConfig>) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
    }
}

impl Files {
    fn refresh(&mut self) -> bool {
        let (certificates, key) = (self.certificates.refresh(), self.key.refresh());
        certificates || key
    }

    fn config(&self) -> Result<Arc<ServerConfig>> {
        let (chain, key) = (chain(&self.certificates)?, private_key(&self.key)?);
        let builder = ServerConfig::builder().with_no_client_auth();
        let config = builder.with_single_cert(chain, key);
        let mut config =
            config.map_err(|fault| refuse("tls-key", &self.key, &fault.to_string()))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn chain(file: &WatchedFile) -> Result<Vec<CertificateDer<'static>>> {
    let pem = content("tls-cert", file)?;
    let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, pem::Error>>();
    let chain = chain.map_err(|fault| refuse("tls-cert", file, &fault.to_string()))?;
    if chain.is_empty() {
        return Err(refuse("tls-cert", file, "no certificate in PEM"));
    }
    Ok(chain)
}

fn private_key(file: &WatchedFile) -> Result<PrivateKeyDer<'static>> {
    let pem = content("tls-key", file)?;
    if is_encrypted(&pem) {
        let path = file.path().display();
        let reason = format!(
            "the key is encrypted, and nobody is there to type its passphrase; decrypt it with: \
             openssl pkey -in {path} -out decrypted.pem"
        );
        return Err(refuse("tls-key", file, &reason));
    }
    PrivateKeyDer::from_pem_slice(&pem).map_err(|fault| refuse("tls-key", file, &fault.to_string()))
}

/// Returns whether a PEM key is encrypted. PKCS #8 has its own label for encrypted keys (RFC 7468),
/// the older formats have a header (RFC 1421).
fn is_encrypted(pem: &[u8]) -> bool {
    let text = String::from_utf8_lossy(pem);
    text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----")
        || text.contains("Proc-Type: 4,ENCRYPTED")
}

fn content<'a>(name: &'static str, file: &'a WatchedFile) -> Result<Cow<'a, [u8]>> {
    file.content().map_err(|fault| Error::Config { name, reason: fault.chain() })
}

fn refuse(name: &'static str, file: &WatchedFile, reason: &str) -> Error {
    Error::Config { name, reason: format!("{}: {reason}", file.path().display()) }
}
