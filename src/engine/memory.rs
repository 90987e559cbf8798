//! Checks whether there is enough memory for another model.

mod cgroup;

use std::fmt::Display;
use std::path::Path;
use std::path::PathBuf;

use crate::error::Error;
use crate::error::Result;
use crate::model::Artifact;

/// Reads how much memory is available to the process.
#[derive(Debug, Clone)]
pub struct Memory {
    root: PathBuf,
}

impl Memory {
    /// Creates a reader of the `proc` and `sys` files below `root`, which is `/` for the real ones.
    pub fn below(root: PathBuf) -> Self {
        Self { root }
    }

    /// Refuses a model that does not fit into memory beside the serving model.
    ///
    /// The memory needed is estimated at four bytes per parameter, the most that packed weights
    /// take, plus half as much again for packing and activations. The available memory is what the
    /// system reports, or less where a control group allows less; if neither is known, the check
    /// passes.
    pub(super) fn check(&self, artifact: &Artifact) -> Result<()> {
        let needed = artifact.n_parameters() as u64 * BYTES_PER_PARAMETER;
        compare(artifact, needed, available(&self.root))
    }
}

fn compare(file: impl Display, needed: u64, available: Option<u64>) -> Result<()> {
    match available {
        Some(available) if needed > available => Err(Error::Memory {
            file: file.to_string(),
            needed_mb: needed / MEGABYTE,
            available_mb: available / MEGABYTE,
        }),
        _ => Ok(()),
    }
}

/// Returns the bytes that the process may still allocate; `/proc` and `/sys` are read below `root`.
fn available(root: &Path) -> Option<u64> {
    [system(root), cgroup::available(root)].into_iter().flatten().min()
}

/// Returns the bytes that Linux can provide without swapping: `MemAvailable`, see proc(5).
fn system(root: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

const BYTES_PER_PARAMETER: u64 = 6;
const MEGABYTE: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_does_not_fit_is_refused_with_figures() {
        for (needed, available, fits) in [
            (200 * MEGABYTE, Some(200 * MEGABYTE), true),
            (201 * MEGABYTE, Some(200 * MEGABYTE), false),
            (u64::MAX, None, true),
        ] {
            let result = compare("folder", needed, available);
            assert_eq!(result.is_ok(), fits, "{needed} of {available:?}");
        }
        let refusal = compare("folder", 201 * MEGABYTE, Some(200 * MEGABYTE)).unwrap_err();
        assert!(matches!(refusal, Error::Memory { needed_mb: 201, available_mb: 200, .. }));
    }

    #[test]
    fn the_tighter_of_system_and_control_group_counts() {
        for (limit, expected) in [("4096000", 2_048_000), ("1024000", 1_000_000)] {
            let root = tempfile::tempdir().unwrap();
            for (path, text) in [
                ("proc/meminfo", "MemTotal: 9000 kB\nMemAvailable:    2000 kB\n"),
                ("proc/self/cgroup", "0::/\n"),
                ("proc/self/mountinfo", "1 0 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
                ("sys/fs/cgroup/memory.max", limit),
                ("sys/fs/cgroup/memory.current", "24000"),
            ] {
                let path = root.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            assert_eq!(available(root.path()), Some(expected), "{limit}");
        }
    }
}
