//! The secret of a key, and its hash, which is all that is stored.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::Digest;
use sha2::Sha256;
use subtle::ConditionallySelectable;
use subtle::ConstantTimeEq;

/// The secret of a key, which `Debug` does not print.
pub struct Secret(String);

/// SHA-256 of a key.
///
/// A key is 256 random bits, too many for a brute-force search; a slow hash, as needed for
/// passwords, would only add latency to every request.
#[derive(Clone, PartialEq, Eq)]
pub struct Hash([u8; 32]);

impl Secret {
    /// Creates a key from random bytes.
    pub fn from_random(random: [u8; 32]) -> Self {
        Self(format!("{SECRET_PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(random)))
    }

    /// Returns the key in plain text, as the client sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns the hash of the key.
    pub fn hash(&self) -> Hash {
        Hash::from_presented(self.0.as_bytes())
    }
}

impl Hash {
    /// Hashes a key presented by a client.
    pub fn from_presented(presented: &[u8]) -> Self {
        Self(Sha256::digest(presented).into())
    }

    /// Parses `sha256:` and 64 hexadecimal digits.
    pub fn parse(word: &str) -> Option<Self> {
        // The length excludes a `0x` prefix, which the decoder would accept.
        let digits = word.strip_prefix(HASH_PREFIX).filter(|digits| digits.len() == N_DIGITS)?;
        const_hex::decode_to_array(digits).ok().map(Self)
    }
}

/// Returns the index of the hash of the presented key.
///
/// Compares all hashes in constant time, so that the run time reveals nothing about them.
pub fn find<'a>(hashes: impl Iterator<Item = &'a Hash>, presented: &[u8]) -> Option<usize> {
    let presented = Hash::from_presented(presented);
    let mut found = u64::MAX; // not found
    for (index, hash) in (0..).zip(hashes) {
        found.conditional_assign(&index, hash.0.ct_eq(&presented.0));
    }
    usize::try_from(found).ok().filter(|_| found != u64::MAX)
}

impl std::fmt::Display for Hash {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(HASH_PREFIX)?;
        formatter.write_str(&const_hex::encode(self.0))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(..)")
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Hash(..)")
    }
}

/// The number of hexadecimal digits of a SHA-256.
const N_DIGITS: usize = 64;
/// Lets secret scanners recognise a leaked key.
const SECRET_PREFIX: &str = "mod-";
const HASH_PREFIX: &str = "sha256:";
