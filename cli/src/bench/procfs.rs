//! What the kernel knows of the server's process.

use core::time::Duration;
use std::fs;
use std::io;

/// A process, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProcessSample {
    /// Processor time, its own and the system's on its behalf, of all threads that ever were. Counted in steps of
    /// 10 ms.
    pub(super) cpu: Duration,
    /// Resident memory in bytes.
    pub(super) rss: u64,
}

impl ProcessSample {
    /// # Errors
    /// Where there is no such process.
    pub(super) fn read(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let ticks = cpu_ticks(&stat).ok_or(io::ErrorKind::InvalidData)?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let rss = rss_bytes(&status).ok_or(io::ErrorKind::InvalidData)?;
        let per_second = rustix::param::clock_ticks_per_second();
        Ok(Self {
            cpu: Duration::from_millis(ticks * 1000 / per_second),
            rss,
        })
    }
}

/// The sum of `utime` and `stime`.
fn cpu_ticks(stat: &str) -> Option<u64> {
    // The second field, the program's name, may contain anything, also blanks and parentheses.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11);
    let (user, system): (u64, u64) = (times.next()?.parse().ok()?, times.next()?.parse().ok()?);
    Some(user + system)
}

fn rss_bytes(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "12 (a) S 1 (b) S 1 2 3 4 5 6 7 8 9 10 700 42 0 0 20";
        assert_eq!(cpu_ticks(stat), Some(742));
        assert_eq!(cpu_ticks("12 (a"), None);
    }

    #[test]
    fn resident_memory_in_bytes() {
        assert_eq!(
            rss_bytes("VmPeak:\t 9 kB\nVmRSS:\t    1234 kB\n"),
            Some(1234 << 10)
        );
        assert_eq!(rss_bytes("Name:\tkthread\n"), None);
    }

    #[test]
    fn this_process_has_both() {
        assert!(ProcessSample::read(std::process::id()).unwrap().rss > 0);
        assert!(ProcessSample::read(u32::MAX).is_err());
    }
}
