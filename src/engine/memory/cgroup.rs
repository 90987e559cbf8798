//! What the control groups of the process leave it, in version 1, version 2 and a mixture of both.

use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

/// Bytes that the process may still take in the tightest of its groups; `None` without any limit.
///
/// A limit of any group above the process holds for it too, so every group is asked, from that of
/// the process up to the root of its hierarchy. `/proc` and `/sys` are read below `root`.
pub(super) fn available(root: &Path) -> Option<u64> {
    // A path may be any bytes; one that is not UTF-8 must not hide the others.
    let read = |path| {
        let bytes = std::fs::read(root.join(path)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let (groups, mounts) = (read("proc/self/cgroup"), read("proc/self/mountinfo"));
    let groups: Vec<_> = groups.lines().filter_map(Group::parse).collect();
    let mounts = mounts.lines().filter_map(Mount::parse);
    let rooms = mounts.filter_map(|mount| {
        let group = groups.iter().find(|group| group.version == mount.version)?;
        mount.tightest(root, group)
    });
    rooms.min()
}

/// Which hierarchy has the memory controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// A line of `/proc/self/cgroup`, of a hierarchy that may limit memory; see cgroups(7).
#[derive(Debug)]
struct Group<'a> {
    version: Version,
    path: &'a Path, // from the root of the hierarchy, or of the process's namespace
}

/// A line of `/proc/self/mountinfo`, of such a hierarchy; see proc(5).
#[derive(Debug)]
struct Mount<'a> {
    version: Version,
    path: &'a Path, // of the group that is mounted: in a container seldom the topmost
    point: &'a Path,
}

impl<'a> Group<'a> {
    /// Reads `ID:CONTROLLERS:PATH`; version 2 names no controllers.
    fn parse(line: &'a str) -> Option<Self> {
        let (_, line) = line.split_once(':')?;
        let (controllers, path) = line.split_once(':')?;
        let version = match controllers {
            "" => Version::Two,
            _ if controllers.split(',').any(|name| name == MEMORY) => Version::One,
            _ => return None,
        };
        Some(Self { version, path: Path::new(path) })
    }
}

impl<'a> Mount<'a> {
    /// Reads `ID PARENT DEVICE ROOT POINT OPTIONS [FIELDS...] - TYPE SOURCE OPTIONS`.
    fn parse(line: &'a str) -> Option<Self> {
        let (mount, system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (path, point) = (mount.next()?, mount.next()?);
        let mut system = system.split(' ');
        let version = match (system.next()?, system.nth(1)) {
            ("cgroup2", _) => Version::Two,
            ("cgroup", Some(options)) if options.split(',').any(|name| name == MEMORY) => {
                Version::One
            }
            _ => return None,
        };
        Some(Self { version, path: Path::new(path), point: Path::new(point) })
    }

    /// The least that a group from that of the process up to the mounted one leaves.
    fn tightest(&self, root: &Path, group: &Group<'_>) -> Option<u64> {
        let top = below(root, self.point);
        let folder = below(&top, self.relative(group));
        // A folder that is not there belongs to a group that cannot be seen from here, as in a
        // container that sees its own groups only: those above it still count.
        let folders = folder.ancestors().take_while(|folder| folder.starts_with(&top));
        folders.filter_map(|folder| self.version.room(folder)).min()
    }

    /// The path of a group from the mounted one.
    fn relative<'p>(&self, group: &Group<'p>) -> &'p Path {
        let path = group.path.strip_prefix(self.path).unwrap_or(group.path);
        // A process outside its namespace: what is above the root of that is not to be seen.
        let climbs = path.components().any(|part| part == Component::ParentDir);
        if climbs { Path::new("") } else { path }
    }
}

impl Version {
    /// What one group leaves; `None` if it has no limit or no memory controller.
    fn room(self, folder: &Path) -> Option<u64> {
        let text = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
        // A limit of "max" is none.
        let number = |name: &str| text(name)?.trim().parse::<u64>().ok();
        let limit = self.limits().iter().filter_map(|name| number(name)).min()?;
        let used = number(match self {
            Self::One => "memory.usage_in_bytes",
            Self::Two => "memory.current",
        })?;
        let cached = self.cached(&text("memory.stat").unwrap_or_default());
        Some(limit.saturating_sub(used.saturating_sub(cached)))
    }

    /// Names of the limits. From `memory.high` on the kernel slows a group down to reclaim memory:
    /// a model that goes beyond it is loaded, but nothing is answered in time any more.
    fn limits(self) -> &'static [&'static str] {
        match self {
            Self::One => &["memory.limit_in_bytes"],
            Self::Two => &["memory.max", "memory.high"],
        }
    }

    /// Cached pages of files, which count as used but are given up before anybody is refused: what
    /// is left without them is the working set, as the kubelet computes it.
    fn cached(self, statistics: &str) -> u64 {
        let name = match self {
            Self::One => "total_inactive_file",
            Self::Two => "inactive_file",
        };
        let mut statistics = statistics.lines().filter_map(|line| line.split_once(' '));
        let bytes = statistics.find(|(found, _)| *found == name).map(|(_, bytes)| bytes.trim());
        bytes.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
    }
}

/// An absolute path, taken to be below a folder.
fn below(folder: &Path, path: &Path) -> PathBuf {
    let path = path.strip_prefix("/").unwrap_or(path);
    if path.as_os_str().is_empty() { folder.to_owned() } else { folder.join(path) }
}

const MEMORY: &str = "memory";

#[cfg(test)]
mod tests;
