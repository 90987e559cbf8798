//! Text files as editors and exports leave them: UTF-8, perhaps after a byte order mark.

use std::borrow::Cow;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::error::Error;
use crate::error::Result;

/// Reads a text file, without its byte order mark.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let bytes = read_bytes(path).map_err(|fault| Error::File {
        path: path.into(),
        action: "reading",
        source: Arc::new(fault),
    })?;
    decode(&path.display().to_string(), bytes.into()).map(Cow::into_owned)
}

/// Reads the bytes of a file. A named pipe or a device is refused: it may have no end, or nobody who
/// writes to it.
pub fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let found = std::fs::metadata(path)?;
    // Folders are refused by the system, in better words.
    if !found.is_file() && !found.is_dir() && !is_descriptor(path) {
        return Err(io::Error::other("it is a pipe or a device, not a file"));
    }
    std::fs::read(path)
}

/// Whether a path names something that the process has been given open, as a shell makes it of
/// `<(command)`. It can be read only once.
pub fn is_descriptor(path: &Path) -> bool {
    path.starts_with("/dev/fd")
        || path.starts_with("/proc/self/fd")
        || path == Path::new("/dev/stdin")
}

/// The text of a file whose bytes have been read; `file` is named in errors.
///
/// UTF-16 is refused. Other bytes that are not UTF-8 are left to the parser of the format.
pub fn decode<'a>(file: &str, bytes: Cow<'a, [u8]>) -> Result<Cow<'a, [u8]>> {
    if is_utf16(&bytes) {
        return Err(Error::Artifact {
            file: file.into(),
            expected: "text in UTF-8".into(),
            found: "UTF-16".into(),
        });
    }
    Ok(match bytes {
        Cow::Borrowed(bytes) => Cow::Borrowed(without_byte_order_mark(bytes)),
        Cow::Owned(mut bytes) => {
            let n_text = without_byte_order_mark(&bytes).len();
            bytes.drain(..bytes.len() - n_text);
            Cow::Owned(bytes)
        }
    })
}

/// The bytes after the byte order mark of UTF-8; all of them if there is none.
pub fn without_byte_order_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// Whether the bytes begin with the byte order mark of UTF-16, neither byte of which occurs in
/// UTF-8.
pub fn is_utf16(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_order_mark_at_the_start_is_no_part_of_the_text() {
        for (bytes, text) in [
            (&b"\xef\xbb\xbf{}"[..], &b"{}"[..]),
            (b"\xef\xbb\xbf\xef\xbb\xbf{}", b"\xef\xbb\xbf{}"),
            (b"\xef\xbb\xbf", b""),
            (b"\xef\xbb", b"\xef\xbb"),
            (b"{}\xef\xbb\xbf", b"{}\xef\xbb\xbf"),
            (b"", b""),
        ] {
            for bytes in [Cow::Borrowed(bytes), Cow::Owned(bytes.to_vec())] {
                assert_eq!(decode("a.json", bytes).unwrap(), text);
            }
        }
    }

    #[test]
    fn utf_16_is_refused_by_its_name() {
        for bytes in [b"\xff\xfe{\0}\0", b"\xfe\xff\0{\0}"] {
            let fault = decode("a.json", Cow::Borrowed(bytes)).unwrap_err();
            assert_eq!(fault.to_string(), "a.json: expected text in UTF-8, found UTF-16");
        }
    }
    #[cfg(unix)]
    #[test]
    fn what_may_have_no_end_is_not_read() {
        for device in ["/dev/zero", "/dev/null"] {
            let fault = read(Path::new(device)).unwrap_err();
            assert!(fault.chain().ends_with("it is a pipe or a device, not a file"), "{fault}");
        }
    }
}
