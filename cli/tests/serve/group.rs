//! A control group of our own, with a limit on memory: what a container is to the kernel.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Where the kernel shows the groups, and the file that takes the limit: versions 1 and 2 of their hierarchy.
const VERSIONS: [(&str, &str, &str); 2] = [
    ("memory", "/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
    ("", "/sys/fs/cgroup", "memory.max"),
];

/// A group, gone when dropped. Its processes must have ended before.
pub(crate) struct Group(PathBuf);

impl Group {
    /// A group that may have `bytes`; `None` where this process may not make one.
    pub(crate) fn with_limit(bytes: u64) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "ant-cache-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Relaxed)
        );
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        for (controllers, root, file) in VERSIONS {
            let path = own.lines().find_map(|line| {
                let (found, path) = line.split_once(':')?.1.split_once(':')?;
                (found == controllers).then_some(path)
            });
            // Version 2 lets only the root of a delegation have groups beside processes: that is some group above.
            let Some(path) = path else { continue };
            for above in Path::new(path.trim_start_matches('/')).ancestors() {
                let group = Path::new(root).join(above).join(&name);
                if fs::create_dir(&group).is_err() {
                    continue;
                }
                let group = Self(group);
                // Where the controller is absent, so is the file: it must not be made.
                let limit = group.0.join(file);
                if limit.exists() && fs::write(limit, bytes.to_string()).is_ok() {
                    return Some(group);
                }
            }
        }
        None
    }

    /// The same program with the same words, to be started in this group.
    pub(crate) fn around(&self, program: &Command) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", "echo $$ >\"$0\" && exec \"$@\""])
            .arg(self.0.join("cgroup.procs"))
            .arg(program.get_program())
            .args(program.get_args());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The kernel may still be busy with a process that has ended.
        for _ in 0..1000 {
            if fs::remove_dir(&self.0).is_ok() || !self.0.exists() {
                return;
            }
            std::thread::yield_now();
        }
    }
}
