//! The arguments for connections.

use std::num::NonZeroUsize;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Connections")]
pub(in crate::cli) struct ConnectionArgs {
    /// Certificate chain in PEM, the server's own certificate first [default: no TLS]
    #[arg(long, env = "MODERATO_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub(in crate::cli) tls_cert: Option<PathBuf>,
    /// Private key of that certificate, in PEM
    #[arg(long, env = "MODERATO_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub(in crate::cli) tls_key: Option<PathBuf>,
    /// Maximum open connections; beyond it, 503
    #[arg(long, env = "MODERATO_MAX_CONNECTIONS", value_name = "N", default_value = "4096")]
    pub(in crate::cli) max_connections: NonZeroUsize,
    /// Maximum bytes of a request's headers; beyond it, 431
    #[arg(long, env = "MODERATO_MAX_HEADER_BYTES", value_name = "N", default_value = "16384")]
    pub(in crate::cli) max_header_bytes: NonZeroUsize,
    /// Maximum time for the headers of a request, in milliseconds; beyond it, 408
    #[arg(long, env = "MODERATO_HEADER_TIMEOUT_MS", value_name = "MS", default_value_t = 10_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400_000))]
    pub(in crate::cli) header_timeout_ms: u64,
    /// Maximum time between an answer and the next request, in milliseconds
    #[arg(long, env = "MODERATO_IDLE_TIMEOUT_MS", value_name = "MS", default_value_t = 75_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400_000))]
    pub(in crate::cli) idle_timeout_ms: u64,
    /// Maximum time that a client may leave an answer unread, in milliseconds
    #[arg(long, env = "MODERATO_WRITE_TIMEOUT_MS", value_name = "MS", default_value_t = 30_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400_000))]
    pub(in crate::cli) write_timeout_ms: u64,
}
