//! How much memory there is for this process: of the machine, or of the container that it runs in.
//!
//! A container is a control group. In version 2 of their hierarchy the limit is `memory.max`, in version 1
//! `memory.limit_in_bytes`; every group above sets one too, so the lowest on the way up counts.

use std::fmt;
use std::fs;
use std::path::{Component, Path};

use ant_cache_core::size;

use crate::process::physical_memory;

/// Where the kernel shows control groups.
const GROUPS: &str = "/sys/fs/cgroup";

/// Memory that this process can have at most, before the kernel kills it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Available {
    /// Bytes.
    pub bytes: u64,
    /// Whether a control group sets the limit, and not the machine.
    pub container: bool,
}

impl Available {
    /// What there is now.
    #[must_use]
    pub fn find() -> Self {
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self::of(physical_memory(), limit(Path::new(GROUPS), &groups))
    }

    /// A limit above what the machine has is none: version 1 writes "no limit" as a huge number.
    fn of(physical: u64, limit: Option<u64>) -> Self {
        let limit = limit.filter(|&limit| limit < physical);
        Self {
            bytes: limit.unwrap_or(physical),
            container: limit.is_some(),
        }
    }
}

impl fmt::Display for Available {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = if self.container {
            "of the container"
        } else {
            "of the machine"
        };
        write!(f, "{} {whose}", size::human(self.bytes))
    }
}

/// The lowest limit of the control groups that a process is in, with `root` for [`GROUPS`]; `None` where none is set.
/// `groups` is what the kernel tells in `/proc/self/cgroup`: a line `number:controllers:path` for each hierarchy, the
/// one of version 2 without controllers.
fn limit(root: &Path, groups: &str) -> Option<u64> {
    let limits = groups.lines().filter_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        if controllers.is_empty() {
            // Beside version 1, version 2 is mounted one level below.
            let places = [root.to_owned(), root.join("unified")];
            places
                .iter()
                .filter_map(|place| lowest(place, path, "memory.max"))
                .min()
        } else if controllers.split(',').any(|name| name == "memory") {
            lowest(&root.join("memory"), path, "memory.limit_in_bytes")
        } else {
            None
        }
    });
    limits.min()
}

/// The lowest number in the files `name` of the group `path` and of all above it. A container often sees its own group
/// as the root, whatever its path says: a group that is not there is passed over.
fn lowest(root: &Path, path: &str, name: &str) -> Option<u64> {
    let inside: std::path::PathBuf = Path::new(path)
        .components()
        .filter(|component| matches!(component, Component::Normal(_)))
        .collect();
    inside
        .ancestors()
        .filter_map(|group| {
            let text = fs::read_to_string(root.join(group).join(name)).ok()?;
            // "max" means none.
            text.trim().parse::<u64>().ok()
        })
        .min()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// A tree of control groups, made of files.
    fn tree(name: &str, files: &[(&str, &str)]) -> std::path::PathBuf {
        let root = std::env::temp_dir().join(format!("ant-cache-{name}-{}", std::process::id()));
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn the_lowest_limit_on_the_way_up_counts() {
        let root = tree(
            "groups-2",
            &[
                ("memory.max", "max\n"),
                ("a/memory.max", "3000\n"),
                ("a/b/memory.max", "max\n"),
                ("a/b/c/memory.max", "5000\n"),
                ("other/memory.max", "10\n"),
            ],
        );
        assert_eq!(limit(&root, "0::/a/b/c\n"), Some(3000));
        assert_eq!(limit(&root, "0::/a/not/here\n"), Some(3000));
        assert_eq!(limit(&root, "0::/\n"), None);
        assert_eq!(limit(&root, "0::/../../a\n"), Some(3000));
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn both_versions_are_known_alone_and_together() {
        let root = tree(
            "groups-1",
            &[
                ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
                ("memory/a/memory.limit_in_bytes", "7000\n"),
                ("unified/a/memory.max", "6000\n"),
                ("cpu/a/memory.limit_in_bytes", "1\n"),
            ],
        );
        let both = "9:cpu,cpuacct:/a\n4:memory:/a\n0::/a\n";
        assert_eq!(limit(&root, both), Some(6000));
        assert_eq!(limit(&root, "4:hugetlb,memory:/a\n"), Some(7000));
        let none = limit(&root, "4:memory:/\n0::/\n");
        assert_eq!(
            Available::of(1 << 30, none),
            Available {
                bytes: 1 << 30,
                container: false
            }
        );
        for nonsense in ["", "4:memory", "memory:/a", "x\n\n::\n0::"] {
            assert_eq!(limit(&root, nonsense), None, "{nonsense:?}");
        }
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn this_process_has_memory_and_says_whose() {
        let available = Available::find();
        assert!(0 < available.bytes && available.bytes <= physical_memory());
        let text = Available::of(3 << 30, Some(1 << 29)).to_string();
        assert_eq!(text, "512.00M of the container");
    }
}
