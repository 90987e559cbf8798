//! Fetches models from a Hugging Face hub through its official cache; the only network client.

#[cfg(feature = "hub")]
mod bar;
#[cfg(feature = "hub")]
mod client;
#[cfg(feature = "hub")]
mod integrity;
#[cfg(feature = "hub")]
mod refusal;

use std::fmt;
use std::path::PathBuf;

#[cfg(feature = "hub")]
pub(super) use self::client::fetch;

/// Settings for access to the hub.
#[derive(Debug, Clone)]
pub struct HubSettings {
    /// Whether to use the cache only, without network access.
    pub offline: bool,
    /// Base URL of a hub other than huggingface.co, as given in `HF_ENDPOINT`.
    pub endpoint: Option<String>,
    /// Access token for repositories that are not public.
    pub token: Option<Token>,
    /// Cache folder; that of the hub's own clients if not given.
    pub cache: Option<PathBuf>,
}

impl HubSettings {
    /// Creates settings for offline use, with the cache of the hub's own clients.
    pub const fn offline() -> Self {
        Self { offline: true, endpoint: None, token: None, cache: None }
    }
}

/// An access token for the hub; its `Debug` output is redacted.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Creates a token, without surrounding white space.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// Returns the token as it is sent to the hub.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(..)")
    }
}

/// A repository at one commit, in the cache.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) folder: PathBuf,
    pub(super) commit: String,
}

/// Returns an error, because the client was left out of the binary.
#[cfg(not(feature = "hub"))]
pub(super) fn fetch(_: &str, _: &str, _: HubSettings) -> crate::error::Result<Snapshot> {
    Err(crate::error::Error::Config {
        name: "model",
        reason: "this binary was built without the feature hub; name a folder".into(),
    })
}
