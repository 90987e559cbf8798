//! Whether there is memory for one more model.

use crate::error::Error;
use crate::error::Result;
use crate::model::Artifact;

/// Refuses a model that would not fit beside the one that serves.
///
/// What a model needs is its numbers in four bytes each, which is the most that packed weights
/// take, and half as much again while they are packed and for what it computes. What there is, is
/// what the system says is available, less where a control group allows less; where neither says
/// anything, all is well.
pub(super) fn check(artifact: &Artifact) -> Result<()> {
    let needed = artifact.n_parameters() as u64 * BYTES_PER_PARAMETER;
    let available = [system(), group()].into_iter().flatten().min();
    match available {
        Some(available) if needed > available => Err(Error::Memory {
            file: artifact.to_string(),
            needed_mb: needed / MEGABYTE,
            available_mb: available / MEGABYTE,
        }),
        _ => Ok(()),
    }
}

/// What Linux can give without swapping; proc(5), `MemAvailable`.
fn system() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// What the control group has left, of the second version; `max` says that it has no limit.
fn group() -> Option<u64> {
    let read = |name| std::fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok();
    let limit: u64 = read("memory.max")?.trim().parse().ok()?;
    let used: u64 = read("memory.current")?.trim().parse().ok()?;
    Some(limit.saturating_sub(used))
}

const BYTES_PER_PARAMETER: u64 = 6;
const MEGABYTE: u64 = 1_000_000;
