//! SHA-256 in hexadecimal digits.

use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;

use sha2::Digest;
use sha2::Sha256;

/// Returns the SHA-256 of the concatenated pieces.
pub(super) fn of_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut sha256 = Sha256::new();
    pieces.into_iter().for_each(|piece| sha256.update(piece));
    const_hex::encode(sha256.finalize())
}

/// Returns the SHA-256 of all bytes of the reader.
pub(super) fn of_reader(reader: impl Read) -> io::Result<String> {
    let mut reader = BufReader::with_capacity(1 << 20, reader);
    let mut sha256 = Sha256::new();
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(const_hex::encode(sha256.finalize()));
        }
        sha256.update(bytes);
        let n_bytes = bytes.len();
        reader.consume(n_bytes);
    }
}

/// Returns whether the text has the form of a SHA-256, in lower or upper case.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == N_DIGITS && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

const N_DIGITS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_and_readers_are_hashed_alike() {
        // printf tea | sha256sum
        let expected = "a9f74d1ec36ebdeb2da3f6e5868090cd2a2d20b3dcca7b62f60304b1d3d9ef42";
        assert_eq!(of_pieces([&b"te"[..], b"", b"a"]), expected);
        assert_eq!(of_reader(&b"tea"[..]).unwrap(), expected);
        assert!(is_sha256(expected) && !is_sha256(&expected[1..]) && !is_sha256(&"g".repeat(64)));
    }
}
