//! What the kernel tells of the machine and of a process, in files.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

/// A machine, by what its kernel tells of it. Whatever it does not tell is missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Facts {
    /// Files that the process may have open: by itself, and the most it may raise that to.
    pub(super) open_files: Option<(Limit, Limit)>,
    /// Processes and threads that the user may have.
    pub(super) user_tasks: Option<Limit>,
    pub(super) address_space: Option<Limit>,
    /// Files that the whole machine may have open.
    pub(super) machine_files: Option<u64>,
    pub(super) somaxconn: Option<u64>,
    pub(super) syn_backlog: Option<u64>,
    pub(super) netdev_backlog: Option<u64>,
    /// First and last port of those that outgoing connections get.
    pub(super) local_ports: Option<(u64, u64)>,
    /// Seconds.
    pub(super) fin_timeout: Option<u64>,
    pub(super) swappiness: Option<u64>,
    /// Bytes of swap that there are.
    pub(super) swap: Option<u64>,
    pub(super) overcommit: Option<u64>,
    /// `always`, `madvise` or `never`.
    pub(super) huge_pages: Option<String>,
    /// Bytes of memory that the machine has.
    pub(super) memory: Option<u64>,
    /// Bytes of it that are free or can be had at once.
    pub(super) memory_free: Option<u64>,
    /// Limits of the process's control groups; none where there are none.
    pub(super) group_memory: Option<u64>,
    /// From these bytes on the kernel slows the group down.
    pub(super) group_memory_high: Option<u64>,
    /// Cores.
    pub(super) group_cpu: Option<f64>,
    /// How often the group had to stop for want of processor time.
    pub(super) group_throttled: Option<u64>,
    pub(super) group_tasks: Option<u64>,
    pub(super) cores: Option<u64>,
    pub(super) clock_source: Option<String>,
    /// The different governors of the cores' frequencies.
    pub(super) governors: Vec<String>,
}

/// A limit of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Limit {
    At(u64),
    Unlimited,
}

impl Limit {
    pub(super) fn number(self) -> Option<u64> {
        match self {
            Self::At(number) => Some(number),
            Self::Unlimited => None,
        }
    }
}

impl FromStr for Limit {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "unlimited" => Ok(Self::Unlimited),
            number => number.parse().map(Self::At).map_err(drop),
        }
    }
}

/// The files of the kernel, below some root: `/` but in tests.
struct Files<'a> {
    root: &'a Path,
}

impl Files<'_> {
    fn text(&self, path: &str) -> Option<String> {
        let text = fs::read_to_string(self.root.join(path)).ok()?;
        Some(text.trim().to_owned())
    }

    fn number<T: FromStr>(&self, path: &str) -> Option<T> {
        self.text(path)?.parse().ok()
    }

    /// A field in kB of `/proc/meminfo`, in bytes.
    fn memory(&self, field: &str) -> Option<u64> {
        let text = self.text("proc/meminfo")?;
        let line = text.lines().find_map(|line| line.strip_prefix(field))?;
        let kilobytes: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
        Some(kilobytes * 1024)
    }
}

impl Facts {
    /// Reads them below `root` for the process `process`: `self`, or an id.
    ///
    /// # Errors
    /// Where there is no such process.
    pub(super) fn read(root: &Path, process: &str) -> io::Result<Self> {
        let limits = fs::read_to_string(root.join(format!("proc/{process}/limits")))?;
        let groups = fs::read_to_string(root.join(format!("proc/{process}/cgroup")));
        let files = Files { root };
        let groups = Groups {
            root: root.join("sys/fs/cgroup"),
            membership: groups.unwrap_or_default(),
        };
        let ports = files.text("proc/sys/net/ipv4/ip_local_port_range");
        let huge_pages = files.text("sys/kernel/mm/transparent_hugepage/enabled");
        let clock = "sys/devices/system/clocksource/clocksource0/current_clocksource";
        Ok(Self {
            open_files: limit(&limits, "Max open files"),
            user_tasks: limit(&limits, "Max processes").map(|(soft, _)| soft),
            address_space: limit(&limits, "Max address space").map(|(soft, _)| soft),
            machine_files: files.number("proc/sys/fs/file-max"),
            somaxconn: files.number("proc/sys/net/core/somaxconn"),
            syn_backlog: files.number("proc/sys/net/ipv4/tcp_max_syn_backlog"),
            netdev_backlog: files.number("proc/sys/net/core/netdev_max_backlog"),
            local_ports: ports.as_deref().and_then(two),
            fin_timeout: files.number("proc/sys/net/ipv4/tcp_fin_timeout"),
            swappiness: files.number("proc/sys/vm/swappiness"),
            swap: files.memory("SwapTotal:"),
            overcommit: files.number("proc/sys/vm/overcommit_memory"),
            huge_pages: huge_pages.as_deref().and_then(chosen),
            memory: files.memory("MemTotal:"),
            memory_free: files.memory("MemAvailable:"),
            group_memory: groups.lowest("memory", "memory.limit_in_bytes", "memory.max", number),
            group_memory_high: groups.lowest("memory", "", "memory.high", number),
            group_cpu: groups.cpu(),
            group_throttled: groups.throttled(),
            group_tasks: groups.lowest("pids", "pids.max", "pids.max", number),
            cores: cores(root),
            clock_source: files.text(clock),
            governors: governors(root),
        })
    }
}

/// Soft and hard limit in the kernel's table of a process.
fn limit(table: &str, name: &str) -> Option<(Limit, Limit)> {
    let line = table.lines().find_map(|line| line.strip_prefix(name))?;
    let mut words = line.split_ascii_whitespace();
    let mut next = || words.next()?.parse().ok();
    Some((next()?, next()?))
}

fn two(text: &str) -> Option<(u64, u64)> {
    let mut words = text.split_ascii_whitespace();
    let mut next = || words.next()?.parse().ok();
    Some((next()?, next()?))
}

/// The word in brackets.
fn chosen(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('[')?;
    Some(rest.split_once(']')?.0.to_owned())
}

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

fn folders(root: &Path, cores: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root.join(cores)) else {
        return Vec::new();
    };
    let is_core = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|name| name.strip_prefix("cpu"));
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(is_core)
        .collect()
}

const CORES: &str = "sys/devices/system/cpu";

fn cores(root: &Path) -> Option<u64> {
    let count = folders(root, CORES).len() as u64;
    (count > 0).then_some(count)
}

fn governors(root: &Path) -> Vec<String> {
    let mut all: Vec<String> = folders(root, CORES)
        .iter()
        .filter_map(|core| fs::read_to_string(core.join("cpufreq/scaling_governor")).ok())
        .map(|text| text.trim().to_owned())
        .collect();
    all.sort();
    all.dedup();
    all
}

/// The control groups that a process is in.
struct Groups {
    root: PathBuf,
    /// A line `number:controllers:path` for each hierarchy, the one of version 2 without controllers.
    membership: String,
}

impl Groups {
    /// What is in the file of this name in each group that the process is in, from its own up. A container often sees
    /// its own group as the root, whatever its path says: what is not there is passed over.
    fn texts(&self, controller: &str, version_1: &str, version_2: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for line in self.membership.lines() {
            let Some((controllers, path)) = line
                .split_once(':')
                .and_then(|(_, rest)| rest.split_once(':'))
            else {
                continue;
            };
            let (roots, name) = if controllers.is_empty() {
                // Beside version 1, version 2 is mounted one level below.
                (
                    vec![self.root.clone(), self.root.join("unified")],
                    version_2,
                )
            } else if controllers.split(',').any(|name| name == controller) {
                (vec![self.root.join(controller)], version_1)
            } else {
                continue;
            };
            let inside: PathBuf = Path::new(path)
                .components()
                .filter(|component| matches!(component, Component::Normal(_)))
                .collect();
            for root in roots {
                let files = inside
                    .ancestors()
                    .map(|group| root.join(group).join(name))
                    .filter_map(|file| fs::read_to_string(file).ok());
                texts.extend(files);
            }
        }
        texts
    }

    fn lowest(
        &self,
        controller: &str,
        version_1: &str,
        version_2: &str,
        parse: fn(&str) -> Option<u64>,
    ) -> Option<u64> {
        let texts = self.texts(controller, version_1, version_2);
        // "max" means none; version 1 writes that as a number beyond any memory.
        let numbers = texts.iter().filter_map(|text| parse(text));
        numbers.filter(|&number| number < 1 << 60).min()
    }

    /// Processor time a second, in cores.
    fn cpu(&self) -> Option<f64> {
        let share = |quota: &str, period: &str| {
            let (quota, period): (f64, f64) =
                (quota.trim().parse().ok()?, period.trim().parse().ok()?);
            (quota > 0.0 && period > 0.0).then(|| quota / period)
        };
        let version_2 = self.texts("", "", "cpu.max");
        let quotas = self.texts("cpu", "cpu.cfs_quota_us", "");
        let periods = self.texts("cpu", "cpu.cfs_period_us", "");
        let version_2 = version_2
            .iter()
            .filter_map(|text| share(text.split(' ').next()?, text.split(' ').nth(1)?));
        let version_1 = quotas
            .iter()
            .zip(&periods)
            .filter_map(|(quota, period)| share(quota, period));
        version_2.chain(version_1).min_by(f64::total_cmp)
    }

    fn throttled(&self) -> Option<u64> {
        self.lowest("cpu", "cpu.stat", "cpu.stat", |text| {
            let mut lines = text.lines();
            lines.find_map(|line| number(line.strip_prefix("nr_throttled ")?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine made of files.
    fn machine(name: &str, files: &[(&str, &str)]) -> PathBuf {
        let root =
            std::env::temp_dir().join(format!("ant-cache-doctor-{name}-{}", std::process::id()));
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    const LIMITS: &str = "\
Limit                     Soft Limit           Hard Limit           Units
Max processes             96365                96365                processes
Max open files            1024                 524288               files
Max address space         unlimited            unlimited            bytes
";

    #[test]
    fn the_kernel_s_files_are_read() {
        let root = machine(
            "v2",
            &[
                ("proc/7/limits", LIMITS),
                ("proc/7/cgroup", "0::/system.slice/ant.service\n"),
                (
                    "proc/meminfo",
                    "MemTotal:  1000 kB\nMemAvailable: 600 kB\nSwapTotal: 0 kB\n",
                ),
                ("proc/sys/net/core/somaxconn", "128\n"),
                ("proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n"),
                (
                    "sys/kernel/mm/transparent_hugepage/enabled",
                    "always [madvise] never\n",
                ),
                ("sys/fs/cgroup/system.slice/memory.max", "4096\n"),
                ("sys/fs/cgroup/system.slice/ant.service/memory.max", "max\n"),
                (
                    "sys/fs/cgroup/system.slice/ant.service/cpu.max",
                    "150000 100000\n",
                ),
                ("sys/fs/cgroup/system.slice/cpu.max", "max 100000\n"),
                (
                    "sys/fs/cgroup/system.slice/ant.service/cpu.stat",
                    "usage_usec 1\nnr_throttled 9\n",
                ),
                (
                    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
                    "powersave\n",
                ),
                (
                    "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor",
                    "powersave\n",
                ),
                ("sys/devices/system/cpu/cpufreq/none", ""),
            ],
        );
        let facts = Facts::read(&root, "7").unwrap();
        let expected = Facts {
            open_files: Some((Limit::At(1024), Limit::At(524_288))),
            user_tasks: Some(Limit::At(96_365)),
            address_space: Some(Limit::Unlimited),
            somaxconn: Some(128),
            local_ports: Some((32_768, 60_999)),
            swap: Some(0),
            huge_pages: Some("madvise".into()),
            memory: Some(1_024_000),
            memory_free: Some(614_400),
            group_memory: Some(4096),
            group_cpu: Some(1.5),
            group_throttled: Some(9),
            cores: Some(2),
            governors: vec!["powersave".into()],
            ..Facts::default()
        };
        assert_eq!(facts, expected);
        assert!(Facts::read(&root, "8").is_err());
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn control_groups_of_version_1() {
        let groups = "4:memory:/a\n3:cpu,cpuacct:/a/b\n8:pids:/a\n0::/\n";
        let root = machine(
            "v1",
            &[
                ("proc/self/limits", ""),
                ("proc/self/cgroup", groups),
                (
                    "sys/fs/cgroup/memory/memory.limit_in_bytes",
                    "9223372036854771712\n",
                ),
                ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "5000\n"),
                ("sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us", "50000\n"),
                ("sys/fs/cgroup/cpu/a/b/cpu.cfs_period_us", "100000\n"),
                ("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "-1\n"),
                ("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n"),
                ("sys/fs/cgroup/pids/pids.max", "max\n"),
            ],
        );
        let facts = Facts::read(&root, "self").unwrap();
        let expected = Facts {
            group_memory: Some(5000),
            group_cpu: Some(0.5),
            ..Facts::default()
        };
        assert_eq!(facts, expected);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn this_machine_has_a_limit_of_open_files_and_memory() {
        let facts = Facts::read(Path::new("/"), "self").unwrap();
        assert!(facts.open_files.is_some() && facts.memory > Some(1 << 20));
    }
}
