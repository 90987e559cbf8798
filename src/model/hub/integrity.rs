//! Whether a file in the cache is what the hub said it would be.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::model::sha256;

/// What is wrong with a file that has just been downloaded: its length or its SHA-256.
///
/// The cache names a blob by its `ETag`, and the hub makes that of the SHA-256 for every file in Git
/// LFS; small files in Git itself have another kind of name, and only their length is known.
pub(super) fn fault(path: &Path, announced: Option<u64>) -> io::Result<Option<String>> {
    let came = path.metadata()?.len();
    if let Some(n_bytes) = announced.filter(|&n_bytes| n_bytes > 0 && n_bytes != came) {
        return Ok(Some(format!("{came} bytes came of {n_bytes}")));
    }
    let blob = path.canonicalize()?;
    let etag = blob.file_name().unwrap_or_default().to_string_lossy();
    if !sha256::is_sha256(&etag) {
        return Ok(None);
    }
    let found = sha256::of_reader(File::open(&blob)?)?;
    Ok((!etag.eq_ignore_ascii_case(&found)).then(|| {
        format!(
            "the SHA-256 of what came is {found}, and the hub says {etag}; the file was removed \
             from the cache, so that another start fetches it again"
        )
    }))
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
            (sha256, "eat", Some(3), Some("the SHA-256 of what came is ")),
            (sha256, "tea", Some(4), Some("3 bytes came of 4")),
            (git, "eat", Some(3), None),
            (git, "eat", Some(4), Some("3 bytes came of 4")),
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
