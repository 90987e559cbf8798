//! SHA-256 in hexadecimal digits.

use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;

use sha2::Digest;
use sha2::Sha256;

/// Of all bytes of the pieces, one after the other.
pub(super) fn of_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut sha256 = Sha256::new();
    pieces.into_iter().for_each(|piece| sha256.update(piece));
    hex(&sha256.finalize())
}

/// Of all bytes that can be read.
pub(super) fn of_reader(reader: impl Read) -> io::Result<String> {
    let mut reader = BufReader::with_capacity(1 << 20, reader);
    let mut sha256 = Sha256::new();
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(hex(&sha256.finalize()));
        }
        sha256.update(bytes);
        let n_bytes = bytes.len();
        reader.consume(n_bytes);
    }
}

/// Whether the text has the form of a SHA-256, in small or large letters.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == N_DIGITS && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
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
