//! Text files as editors and exporters write them: UTF-8, optionally with a byte order mark.

mod watched;

use std::borrow::Cow;
use std::io;
use std::path::Path;
use std::sync::Arc;

pub use self::watched::WatchedFile;
use crate::error::Error;
use crate::error::Result;

/// Reads a text file and strips its byte order mark.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let bytes = read_bytes(path).map_err(|fault| Error::File {
        path: path.into(),
        action: "reading",
        source: Arc::new(fault),
    })?;
    decode(&path.display().to_string(), bytes.into()).map(Cow::into_owned)
}

/// Reads the bytes of a file. A named pipe or a device is refused, since it may have no end or no
/// writer, unless the path satisfies [`is_descriptor`].
pub fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let found = std::fs::metadata(path)?;
    // The system refuses folders itself, with a better message.
    if !found.is_file() && !found.is_dir() && !is_descriptor(path) {
        return Err(io::Error::other("it is a pipe or a device, not a file"));
    }
    std::fs::read(path)
}

/// Returns whether a path names an open file descriptor of the process, such as a shell creates for
/// `<(command)`. Such a path can be read only once.
pub fn is_descriptor(path: &Path) -> bool {
    path.starts_with("/dev/fd")
        || path.starts_with("/proc/self/fd")
        || path == Path::new("/dev/stdin")
}

/// Checks the encoding of a file's bytes and strips the byte order mark. Errors name `file`.
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

/// Returns the bytes after the UTF-8 byte order mark, or all bytes if there is none.
pub fn without_byte_order_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// Returns whether the bytes begin with a UTF-16 byte order mark. Neither byte of the mark occurs
/// in UTF-8.
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
