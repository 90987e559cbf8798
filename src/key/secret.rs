//! The key itself, and the hash that is all we keep of it.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::Digest;
use sha2::Sha256;
use subtle::ConditionallySelectable;
use subtle::ConstantTimeEq;

/// A key, which nobody prints by accident.
pub struct Secret(String);

/// SHA-256 of a key.
///
/// A key is 256 random bits, so that nobody can try all of them; a slow hash, as words that people
/// think of need one, would only cost time on every request.
#[derive(Clone, PartialEq, Eq)]
pub struct Hash([u8; 32]);

impl Secret {
    /// The key of so many random bytes.
    pub fn of(random: [u8; 32]) -> Self {
        Self(format!("{SECRET_PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(random)))
    }

    /// The key as its holder sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What it is known by.
    pub fn hash(&self) -> Hash {
        Hash::of(self.0.as_bytes())
    }
}

impl Hash {
    /// Of what somebody sent.
    pub fn of(presented: &[u8]) -> Self {
        Self(Sha256::digest(presented).into())
    }

    /// Reads `sha256:` and 64 hexadecimal digits.
    pub fn parse(word: &str) -> Option<Self> {
        let digits = word.strip_prefix(HASH_PREFIX)?.as_bytes();
        let mut bytes = [0; 32];
        if digits.len() != 2 * bytes.len() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = 16 * digit(pair[0])? + digit(pair[1])?;
        }
        Some(Self(bytes))
    }
}

fn digit(character: u8) -> Option<u8> {
    char::from(character).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The place of the hash that is of what somebody sent.
///
/// Looks at all of them and at all of each, so that the time it takes tells nothing about them.
pub fn find<'a>(hashes: impl Iterator<Item = &'a Hash>, presented: &[u8]) -> Option<usize> {
    let presented = Hash::of(presented);
    let mut found = u64::MAX; // no place
    for (place, hash) in (0..).zip(hashes) {
        found.conditional_assign(&place, hash.0.ct_eq(&presented.0));
    }
    usize::try_from(found).ok().filter(|_| found != u64::MAX)
}

impl std::fmt::Display for Hash {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(HASH_PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
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

/// By it, scanners for leaked secrets know one.
const SECRET_PREFIX: &str = "mod-";
const HASH_PREFIX: &str = "sha256:";
