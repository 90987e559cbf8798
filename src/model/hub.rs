//! Models of a Hugging Face hub, through its official cache; the only network client.

#[cfg(feature = "hub")]
mod bar;
#[cfg(feature = "hub")]
mod client;
#[cfg(feature = "hub")]
mod integrity;
#[cfg(feature = "hub")]
mod refusal;

use std::path::PathBuf;

#[cfg(feature = "hub")]
pub(super) use self::client::fetch;

/// How to talk to the hub. Endpoint, token and cache folder come from the variables that the hub's
/// own clients read: `HF_ENDPOINT`, `HF_TOKEN`, `HF_HOME`, `HF_HUB_CACHE`.
#[derive(Debug, Clone, Copy)]
pub struct HubSettings {
    /// Uses what is in the cache and nothing else (`HF_HUB_OFFLINE`).
    pub offline: bool,
}

/// A repository at one commit, in the cache.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) folder: PathBuf,
    pub(super) commit: String,
}

/// Says so if the client was left out of the binary.
#[cfg(not(feature = "hub"))]
pub(super) fn fetch(_: &str, _: &str, _: HubSettings) -> crate::error::Result<Snapshot> {
    Err(crate::error::Error::Config {
        name: "model",
        reason: "this binary was built without the feature hub; name a folder".into(),
    })
}
