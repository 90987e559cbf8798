//! The memory that the control groups of the process leave available, for version 1, version 2 and
//! hybrid setups.

use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

/// Returns the bytes that the process may still allocate in the tightest of its groups; `None`
/// without any limit.
///
/// The limits of all ancestor groups apply to the process too, so every group is checked, from that
/// of the process up to the root of its hierarchy. `/proc` and `/sys` are read below `root`.
pub(super) fn available(root: &Path) -> Option<u64> {
    // A path may contain any bytes; one that is not UTF-8 must not hide the others.
    let read = |path| {
        let bytes = std::fs::read(root.join(path)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let (groups, mounts) = (read("proc/self/cgroup"), read("proc/self/mountinfo"));
    let groups: Vec<_> = groups.lines().filter_map(Group::parse).collect();
    let mounts = mounts.lines().filter_map(Mount::parse);
    let available = mounts.filter_map(|mount| {
        let group = groups.iter().find(|group| group.version == mount.version)?;
        mount.tightest(root, group)
    });
    available.min()
}

/// The version of the hierarchy that has the memory controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// A line of `/proc/self/cgroup` for a hierarchy that may limit memory; see cgroups(7).
#[derive(Debug)]
struct Group<'a> {
    version: Version,
    path: &'a Path, // relative to the root of the hierarchy or of the process's namespace
}

/// A line of `/proc/self/mountinfo` for such a hierarchy; see proc(5).
#[derive(Debug)]
struct Mount<'a> {
    version: Version,
    path: &'a Path, // of the mounted group, rarely the root group in a container
    point: &'a Path,
}

impl<'a> Group<'a> {
    /// Parses `ID:CONTROLLERS:PATH`; version 2 names no controllers.
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
    /// Parses `ID PARENT DEVICE ROOT POINT OPTIONS [FIELDS...] - TYPE SOURCE OPTIONS`.
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

    /// Returns the fewest bytes available in any group from that of the process up to the mounted
    /// one.
    fn tightest(&self, root: &Path, group: &Group<'_>) -> Option<u64> {
        let top = below(root, self.point);
        let folder = below(&top, self.relative(group));
        // A missing folder belongs to a group that is not visible, as in a container that sees only
        // its own groups; its ancestors still count.
        let folders = folder.ancestors().take_while(|folder| folder.starts_with(&top));
        folders.filter_map(|folder| self.version.room(folder)).min()
    }

    /// Returns the path of a group relative to the mounted one.
    fn relative<'p>(&self, group: &Group<'p>) -> &'p Path {
        let path = group.path.strip_prefix(self.path).unwrap_or(group.path);
        // The group is outside the namespace of the process: groups above the namespace root are
        // not visible.
        let climbs = path.components().any(|part| part == Component::ParentDir);
        if climbs { Path::new("") } else { path }
    }
}

impl Version {
    /// Returns the bytes available in one group; `None` if it has no limit or no memory controller.
    fn room(self, folder: &Path) -> Option<u64> {
        let text = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
        // "max" means no limit.
        let number = |name: &str| text(name)?.trim().parse::<u64>().ok();
        let limit = self.limits().iter().filter_map(|name| number(name)).min()?;
        let used = number(match self {
            Self::One => "memory.usage_in_bytes",
            Self::Two => "memory.current",
        })?;
        let cached = self.cached(&text("memory.stat").unwrap_or_default());
        Some(limit.saturating_sub(used.saturating_sub(cached)))
    }

    /// Returns the names of the limit files. Above `memory.high` the kernel throttles a group to
    /// reclaim memory: a model that exceeds it loads, but requests are no longer answered in time.
    fn limits(self) -> &'static [&'static str] {
        match self {
            Self::One => &["memory.limit_in_bytes"],
            Self::Two => &["memory.max", "memory.high"],
        }
    }

    /// Returns the bytes of cached file pages, which count as used but are reclaimed before an
    /// allocation fails; usage without them is the working set, as the kubelet computes it.
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

/// Returns an absolute path re-rooted below a folder.
fn below(folder: &Path, path: &Path) -> PathBuf {
    let path = path.strip_prefix("/").unwrap_or(path);
    if path.as_os_str().is_empty() { folder.to_owned() } else { folder.join(path) }
}

const MEMORY: &str = "memory";

#[cfg(test)]
mod tests;
