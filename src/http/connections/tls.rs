//! TLS: a certificate chain and its key, read again on demand.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::server::TlsStream;

use crate::error::Error;
use crate::error::Result;

/// What a server shows of itself; a clone is the same one.
#[derive(Debug, Clone)]
pub struct Tls(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    certificates: PathBuf,
    key: PathBuf,
    config: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads both files, in PEM: the chain with the server's own certificate first, and its key.
    pub fn open(certificates: &Path, key: &Path) -> Result<Self> {
        let config = RwLock::new(read(certificates, key)?);
        let (certificates, key) = (certificates.to_owned(), key.to_owned());
        Ok(Self(Arc::new(Shared { certificates, key, config })))
    }

    /// Reads both again, for the connections to come; if they do not fit, the old ones stay.
    pub fn reload(&self) -> Result<()> {
        let config = read(&self.0.certificates, &self.0.key)?;
        *self.0.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// Shakes hands.
    pub(super) async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let config = Arc::clone(&self.0.config.read().unwrap_or_else(PoisonError::into_inner));
        TlsAcceptor::from(config).accept(stream).await
    }
}

fn read(certificates: &Path, key: &Path) -> Result<Arc<ServerConfig>> {
    let refuse = |name, path: &Path, reason: String| Error::Config {
        name,
        reason: format!("{}: {reason}", path.display()),
    };
    let read = CertificateDer::pem_file_iter(certificates).and_then(Iterator::collect);
    let chain: Vec<_> =
        read.map_err(|fault: pem::Error| refuse("tls-cert", certificates, fault.to_string()))?;
    if chain.is_empty() {
        return Err(refuse("tls-cert", certificates, "no certificate in PEM".into()));
    }
    let secret = PrivateKeyDer::from_pem_file(key);
    let secret = secret.map_err(|fault| refuse("tls-key", key, fault.to_string()))?;
    let builder = ServerConfig::builder().with_no_client_auth();
    let mut config = builder
        .with_single_cert(chain, secret)
        .map_err(|fault| refuse("tls-key", key, fault.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
