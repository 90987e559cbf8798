//! Checks cached files against the length and the SHA-256 given by the hub.

use std::fs::File;
use std::io;
use std::io::ErrorKind;
use std::path::Path;

use crate::model::sha256;

/// Returns what is wrong with the length or the SHA-256 of a file that has just been downloaded;
/// `None` if the file is intact.
pub(super) fn fault(path: &Path, announced: Option<u64>) -> io::Result<Option<String>> {
    let came = path.metadata()?.len();
    if let Some(n_bytes) = announced.filter(|&n_bytes| n_bytes > 0 && n_bytes != came) {
        return Ok(Some(format!("received {came} of {n_bytes} bytes")));
    }
    Ok(mismatch(path)?.map(|Mismatch { found, expected }| {
        format!(
            "the SHA-256 of the download is {found}, but the hub says {expected}; the file was \
             removed from the cache, so that another start fetches it again"
        )
    }))
}

/// Returns what is wrong with the SHA-256 of a file that was already in the cache; `None` if the
/// file is intact.
///
/// An earlier process may have been killed after its client had stored the file and before the
/// check; and disks fail.
pub(super) fn damage(path: &Path) -> io::Result<Option<String>> {
    let Some(Mismatch { found, expected }) = mismatch(path)? else { return Ok(None) };
    let blob = path.canonicalize()?;
    let blob = blob.display();
    Ok(Some(format!("{blob} is damaged: its SHA-256 is {found}, but the hub says {expected}")))
}

/// Removes a file from the cache. Another process may do so at the same time.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    for file in [path.canonicalize()?.as_path(), path] {
        match std::fs::remove_file(file) {
            Err(fault) if fault.kind() != ErrorKind::NotFound => return Err(fault),
            _ => {}
        }
    }
    Ok(())
}

/// Two SHA-256 values that should be equal.
struct Mismatch {
    found: String,
    expected: String,
}

/// Compares a file with the SHA-256 in the name of its blob. The cache names a blob by its `ETag`,
/// which is the SHA-256 for every file in Git LFS; small files in Git itself have another kind of
/// name, and only their length is known.
fn mismatch(path: &Path) -> io::Result<Option<Mismatch>> {
    let blob = path.canonicalize()?;
    let expected = blob.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !sha256::is_sha256(&expected) {
        return Ok(None);
    }
    let found = sha256::of_reader(File::open(&blob)?)?;
    Ok((!expected.eq_ignore_ascii_case(&found)).then_some(Mismatch { found, expected }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_named_by_a_sha256_must_have_it() {
        let folder = tempfile::tempdir().unwrap();
        // printf tea | sha256sum
        let sha256 = "a9f74d1ec36ebdeb2da3f6e5868090cd2a2d20b3dcca7b62f60304b1d3d9ef42";
        let git = "0123456789abcdef0123456789abcdef01234567";
        for (name, content, announced, fault_starts) in [
            (sha256, "tea", Some(3), None),
            (sha256, "tea", None, None),
            (&*sha256.to_uppercase(), "tea", None, None),
            (sha256, "eat", Some(3), Some("the SHA-256 of the download is ")),
            (sha256, "tea", Some(4), Some("received 3 of 4 bytes")),
            (git, "eat", Some(3), None),
            (git, "eat", Some(4), Some("received 3 of 4 bytes")),
            ("config.json", "eat", Some(0), None),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            let found = fault(&path, announced).unwrap();
            match fault_starts {
                None => assert_eq!(found, None, "{name}: {content}"),
                Some(start) => assert!(found.unwrap().starts_with(start), "{name}: {content}"),
            }
        }
    }
}
