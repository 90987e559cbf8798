//! The trees are synthetic, modelled on those of the systems that the tests name.

use tempfile::TempDir;

use super::*;

#[test]
fn a_systemd_unit_is_bound_by_its_own_limit_and_those_of_its_slices() {
    let unit = "sys/fs/cgroup/system.slice/moderato.service";
    for (slice, own, expected) in [
        (("max", "700"), ("1000", "600"), Some(400)),
        (("900", "700"), ("1000", "600"), Some(200)),
        (("900", "700"), ("max", "600"), Some(200)),
        (("max", "700"), ("max", "600"), None),
        (("max", "700"), ("1000", "1001"), Some(0)),
    ] {
        let tree = Tree::new("0::/system.slice/moderato.service\n", V2);
        tree.v2("sys/fs/cgroup/system.slice", slice).v2(unit, own);
        assert_eq!(tree.available(), expected, "{slice:?} {own:?}");
    }
}

#[test]
fn a_container_under_version_2_sees_its_own_group_as_the_root() {
    let tree = Tree::new("0::/\n", V2);
    tree.v2("sys/fs/cgroup", ("5000", "2000"));
    assert_eq!(tree.available(), Some(3000));
}

#[test]
fn the_throttling_limit_counts_like_the_hard_limit() {
    for (high, expected) in [("4000", 2000), ("max", 3000), ("9000", 3000)] {
        let tree = Tree::new("0::/\n", V2);
        tree.v2("sys/fs/cgroup", ("5000", "2000")).file("sys/fs/cgroup/memory.high", high);
        assert_eq!(tree.available(), Some(expected), "{high}");
    }
}

#[test]
fn cached_file_pages_count_as_available() {
    for (stat, expected) in [
        ("anon 400\nfile 1700\ninactive_file 1500\nactive_file 200\n", 4500),
        ("anon 400\n", 3000),
        ("inactive_file many\n", 3000),
        ("inactive_file 9999\n", 5000),
    ] {
        let tree = Tree::new("0::/\n", V2);
        tree.v2("sys/fs/cgroup", ("5000", "2000")).file("sys/fs/cgroup/memory.stat", stat);
        assert_eq!(tree.available(), Some(expected), "{stat}");
    }
    let tree = Tree::new("4:memory:/\n", V1);
    tree.v1("sys/fs/cgroup/memory", ("5000", "2000"));
    tree.file("sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 500\n");
    assert_eq!(tree.available(), Some(3500), "the total includes the groups below it");
}

#[test]
fn version_1_limits_memory_in_the_hierarchy_of_the_memory_controller() {
    let groups = "9:cpu,cpuacct:/elsewhere\n4:memory:/user.slice/one\n1:name=systemd:/elsewhere\n";
    for (above, own, expected) in [
        ((UNLIMITED, "700"), ("1000", "600"), 400),
        (("900", "700"), ("1000", "600"), 200),
        ((UNLIMITED, "700"), (UNLIMITED, "600"), 9_223_372_036_854_771_012),
    ] {
        let tree = Tree::new(groups, V1);
        tree.v1("sys/fs/cgroup/memory/user.slice", above);
        tree.v1("sys/fs/cgroup/memory/user.slice/one", own);
        tree.v1("sys/fs/cgroup/memory/elsewhere", ("10", "10"));
        assert_eq!(tree.available(), Some(expected), "{above:?} {own:?}");
    }
}

#[test]
fn a_container_under_version_1_knows_its_path_on_the_host_but_sees_only_its_own_group() {
    let mounts = "1 0 0:1 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
    for (groups, expected) in [
        ("4:memory:/docker/abc\n", 3000),
        ("4:memory:/docker/abc/worker\n", 1000),
        ("4:memory:/docker/another\n", 3000), // moved since it was mounted
    ] {
        let tree = Tree::new(groups, mounts);
        tree.v1("sys/fs/cgroup/memory", ("5000", "2000"));
        tree.v1("sys/fs/cgroup/memory/worker", ("1500", "500"));
        assert_eq!(tree.available(), Some(expected), "{groups}");
    }
}

#[test]
fn a_group_that_is_not_visible_is_bound_by_its_visible_ancestors() {
    for groups in [
        "0::/kubepods.slice/pod/container\n",
        "0::/kubepods.slice/pod/container (deleted)\n",
        "0::/../another/container\n",
        "0::/..\n",
    ] {
        let tree = Tree::new(groups, V2);
        tree.v2("sys/fs/cgroup", ("5000", "2000")).v2("sys/fs/another/container", ("10", "10"));
        assert_eq!(tree.available(), Some(3000), "{groups}");
    }
}

#[test]
fn in_a_hybrid_setup_the_hierarchy_with_the_memory_controller_counts() {
    let groups = "4:memory:/one\n0::/one\n";
    let mounts =
        format!("{V1}3 0 0:3 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n");
    let tree = Tree::new(groups, &mounts);
    tree.v1("sys/fs/cgroup/memory/one", ("5000", "2000"));
    tree.file("sys/fs/cgroup/unified/one/cgroup.procs", "1\n");
    assert_eq!(tree.available(), Some(3000));
}

#[test]
fn a_mount_point_that_is_not_utf_8_does_not_hide_the_others() {
    let tree = Tree::new("0::/\n", "");
    let mounts = [&b"20 1 8:1 / /mnt/caf\xe9 rw - ext4 /dev/sda1 rw\n"[..], V2.as_bytes()].concat();
    std::fs::write(tree.0.path().join("proc/self/mountinfo"), mounts).unwrap();
    tree.v2("sys/fs/cgroup", ("5000", "2000"));
    assert_eq!(tree.available(), Some(3000));
}

#[test]
fn a_system_without_control_groups_has_no_limit() {
    for (groups, mounts) in [
        ("", ""),
        ("0::/\n", ""),
        ("", V2),
        ("0::/\n", "1 0 0:1 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"),
        ("broken\n0\n", "broken\n1 2 - cgroup2\n - cgroup\n"),
    ] {
        assert_eq!(Tree::new(groups, mounts).available(), None, "{groups} {mounts}");
    }
    assert_eq!(available(Path::new("/nowhere")), None);
}

/// A `proc` and `sys` tree for a process and its control groups.
struct Tree(TempDir);

impl Tree {
    fn new(groups: &str, mounts: &str) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        tree.file("proc/self/cgroup", groups).file("proc/self/mountinfo", mounts);
        tree
    }

    fn file(&self, path: &str, text: &str) -> &Self {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn v2(&self, folder: &str, (limit, used): (&str, &str)) -> &Self {
        self.file(&format!("{folder}/memory.max"), &format!("{limit}\n"));
        self.file(&format!("{folder}/memory.current"), &format!("{used}\n"))
    }

    fn v1(&self, folder: &str, (limit, used): (&str, &str)) -> &Self {
        self.file(&format!("{folder}/memory.limit_in_bytes"), &format!("{limit}\n"));
        self.file(&format!("{folder}/memory.usage_in_bytes"), &format!("{used}\n"))
    }

    fn available(&self) -> Option<u64> {
        available(self.0.path())
    }
}

const V2: &str = "25 30 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
const V1: &str = "\
    25 30 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n\
    26 25 0:27 / /sys/fs/cgroup/cpu rw shared:5 - cgroup cgroup rw,cpu,cpuacct\n\
    27 25 0:28 / /sys/fs/cgroup/memory rw shared:6 - cgroup cgroup rw,memory\n";
/// The value with which version 1 reports no limit.
const UNLIMITED: &str = "9223372036854771712";
