//! Who may ask: keys with a name, a role and a quota, as a file lists them.

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

/// A key as the file knows it: everything but the key itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// Stands for it in logs.
    pub name: Name,
    /// What it opens.
    pub role: Role,
    /// What it is known by.
    pub hash: Hash,
    /// How much it may ask for.
    pub quota: Quota,
}

/// The name of a key: too short to be one, or a hash, put there by mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

/// What a key opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Whatever scores and describes.
    Client,
    /// That, and what an operator looks at.
    Admin,
}

impl Key {
    /// Reads a file of keys, `name role hash [requests_per_second=N] [tokens_per_second=N]` a line.
    ///
    /// Errors name the line and never quote it: what stands in the wrong place may be a key.
    pub fn read_all(file: &str, text: &str) -> Result<Vec<Self>> {
        let mut keys: Vec<Self> = Vec::new();
        let mut numbers = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            // Neither names nor hashes have the sign in them.
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let place = || format!("{file}, line {number}");
            let key: Self = line.parse().map_err(|fault: Fault| fault.at(place()))?;
            if let Some((index, what)) = twin(&keys, &key) {
                let expected = format!("another {what} than that of every other key");
                let found = format!("that of line {}", numbers[index]);
                return Err(Error::Artifact { file: place(), expected, found });
            }
            keys.push(key);
            numbers.push(number);
        }
        if keys.is_empty() {
            // Also what is left of a file while somebody writes it anew.
            let (expected, found) = ("at least one key".into(), "none".into());
            return Err(Error::Artifact { file: file.to_owned(), expected, found });
        }
        Ok(keys)
    }
}

/// The first key that has the name or the hash of another, and which of them.
fn twin(keys: &[Key], other: &Key) -> Option<(usize, &'static str)> {
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
                return Err(TWICE);
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

/// What is wrong with a line, without a word of it.
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
const TWICE: Fault = Fault { expected: "each quota once", found: "one of them twice" };

/// A key has 47, a hash 64.
const MAX_NAME_BYTES: usize = 40;

#[cfg(test)]
mod tests;
