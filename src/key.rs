//! API keys with a name, a role and a quota, as listed in a file.

mod quota;
mod secret;

use std::str::FromStr;

pub use self::quota::Account;
pub use self::quota::Quota;
pub use self::quota::Rate;
pub use self::secret::Hash;
pub use self::secret::Secret;
pub use self::secret::find;
use crate::error::Error;
use crate::error::Result;

/// A key as listed in the file: everything but the secret itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// Identifies the key in logs.
    pub name: Name,
    /// The endpoints that the key gives access to.
    pub role: Role,
    /// The hash of the secret.
    pub hash: Hash,
    /// The rate limits of the key.
    pub quota: Quota,
}

/// The name of a key; too short for a key or a hash to be written there by mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

/// The access level of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// May use the endpoints that score texts and describe the service.
    Client,
    /// May also use the endpoints for operators.
    Admin,
}

impl Key {
    /// Parses a key file, with `name role hash [requests_per_second=N] [tokens_per_second=N]` on
    /// each line.
    ///
    /// Errors name the line but never quote it: a misplaced word may be a key.
    pub fn read_all(file: &str, text: &str) -> Result<Vec<Self>> {
        let mut keys: Vec<Self> = Vec::new();
        let mut numbers = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            // Neither names nor hashes contain a `#`.
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let place = || format!("{file}, line {number}");
            let key: Self = line.parse().map_err(|fault: Fault| fault.at(place()))?;
            if let Some((index, what)) = find_duplicate(&keys, &key) {
                let expected = format!("another {what} than that of every other key");
                let found = format!("that of line {}", numbers[index]);
                return Err(Error::Artifact { file: place(), expected, found });
            }
            keys.push(key);
            numbers.push(number);
        }
        if keys.is_empty() {
            // A file may also be empty while it is being rewritten.
            let (expected, found) = ("at least one key".into(), "none".into());
            return Err(Error::Artifact { file: file.to_owned(), expected, found });
        }
        Ok(keys)
    }
}

/// Returns the index of the first key with the same name or hash as `other`, and which of the two
/// it is.
fn find_duplicate(keys: &[Key], other: &Key) -> Option<(usize, &'static str)> {
    keys.iter().enumerate().find_map(|(index, key)| match key {
        key if key.name == other.name => Some((index, "name")),
        key if key.hash == other.hash => Some((index, "hash")),
        _ => None,
    })
}

impl FromStr for Key {
    type Err = Fault;

    fn from_str(line: &str) -> Result<Self, Fault> {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default().parse()?;
        let role = words.next().unwrap_or_default().parse()?;
        let hash = Hash::parse(words.next().unwrap_or_default()).ok_or(BAD_HASH)?;
        let mut quota = Quota::UNLIMITED;
        for word in words {
            let (setting, value) = word.split_once('=').ok_or(BAD_SETTING)?;
            let rate = match setting {
                "requests_per_second" => &mut quota.requests_per_second,
                "tokens_per_second" => &mut quota.tokens_per_second,
                _ => return Err(BAD_SETTING),
            };
            if rate.replace(Rate::parse(value).ok_or(BAD_RATE)?).is_some() {
                return Err(DUPLICATE_QUOTA);
            }
        }
        Ok(Self { name, role, hash, quota })
    }
}

impl FromStr for Name {
    type Err = Fault;

    fn from_str(word: &str) -> Result<Self, Fault> {
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let fits = (1..=MAX_NAME_BYTES).contains(&word.len()) && word.bytes().all(is_good);
        if fits { Ok(Self(word.to_owned())) } else { Err(BAD_NAME) }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Role {
    type Err = Fault;

    fn from_str(word: &str) -> Result<Self, Fault> {
        match word {
            "client" => Ok(Self::Client),
            "admin" => Ok(Self::Admin),
            _ => Err(BAD_ROLE),
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Client => "client",
            Self::Admin => "admin",
        })
    }
}

/// A fault in a line, without quoting the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found}")]
pub struct Fault {
    expected: &'static str,
    found: &'static str,
}

impl Fault {
    fn at(self, file: String) -> Error {
        Error::Artifact { file, expected: self.expected.into(), found: self.found.into() }
    }
}

const BAD_NAME: Fault = Fault {
    expected: "a name of at most 40 letters, digits, dots, dashes and underscores first",
    found: "something else",
};
const BAD_ROLE: Fault =
    Fault { expected: "client or admin as the second word", found: "something else" };
const BAD_HASH: Fault = Fault {
    expected: "sha256: and 64 hexadecimal digits as the third word",
    found: "something else",
};
const BAD_SETTING: Fault = Fault {
    expected: "requests_per_second=N or tokens_per_second=N after the hash",
    found: "something else",
};
const BAD_RATE: Fault =
    Fault { expected: "a number from 0.001 to 1000000000 after =", found: "something else" };
const DUPLICATE_QUOTA: Fault = Fault { expected: "each quota once", found: "one of them twice" };

/// Shorter than a key (47 bytes) and the digits of a hash (64).
const MAX_NAME_BYTES: usize = 40;

#[cfg(test)]
mod tests;
