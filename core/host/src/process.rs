//! What the kernel knows of a process and of the machine, and what it lets a process have.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a process has used, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Processor time in its own code, of all threads that ever were. The kernel counts in steps of 10 ms.
    pub user: Duration,
    /// Processor time in the kernel on its behalf, likewise.
    pub system: Duration,
    /// Resident memory in bytes.
    pub resident: u64,
}

impl Usage {
    /// Of this process.
    ///
    /// # Errors
    /// Where `/proc` is not mounted.
    pub fn own() -> io::Result<Self> {
        Self::read("self")
    }

    /// Of the process `pid`.
    ///
    /// # Errors
    /// Where there is no such process.
    pub fn of(pid: u32) -> io::Result<Self> {
        Self::read(&pid.to_string())
    }

    fn read(process: &str) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        let [user, system, pages] = fields(&stat).ok_or(io::ErrorKind::InvalidData)?;
        let ticks_per_second = rustix::param::clock_ticks_per_second();
        let time =
            |ticks: u64| Duration::from_millis(ticks.saturating_mul(1000) / ticks_per_second);
        Ok(Self {
            user: time(user),
            system: time(system),
            resident: pages.saturating_mul(rustix::param::page_size() as u64),
        })
    }
}

/// Resident memory of this process in bytes. Costs a few microseconds.
///
/// # Errors
/// Where `/proc` is not mounted.
pub(crate) fn resident() -> io::Result<u64> {
    let pages = fs::read_to_string("/proc/self/statm")?;
    let pages = pages.split(' ').nth(1).and_then(|text| text.parse().ok());
    let pages: u64 = pages.ok_or(io::ErrorKind::InvalidData)?;
    Ok(pages.saturating_mul(rustix::param::page_size() as u64))
}

/// The fields `utime`, `stime` and `rss` of a process's `stat`.
fn fields(stat: &str) -> Option<[u64; 3]> {
    // The second field, the program's name, may contain anything, also blanks and parentheses. The third is the first
    // after it.
    let (_, rest) = stat.rsplit_once(')')?;
    let rest: Vec<&str> = rest.split_ascii_whitespace().collect();
    let field = |number: usize| rest.get(number - 3)?.parse().ok();
    Some([field(14)?, field(15)?, field(24)?])
}

/// Allows this process as many open files as the system lets it have. Returns how many; none for any number.
pub fn raise_file_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // A sandbox may forbid it; then the limit stays what it is.
    if setrlimit(Resource::Nofile, raised).is_ok() {
        raised.current
    } else {
        limit.current
    }
}

/// Bits that nobody outside can predict: the standard library's hash, keyed by random bits of the system.
#[must_use]
pub fn random_bits() -> u64 {
    RandomState::new().hash_one("ant-cache")
}

/// The cores that this process may use, as far as the system tells.
#[must_use]
pub fn cores() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// The memory of the machine in bytes.
#[must_use]
pub fn physical_memory() -> u64 {
    let info = rustix::system::sysinfo();
    u64::from(info.mem_unit).saturating_mul(info.totalram)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "12 (a) S 1 (b) S 4 5 6 7 8 9 10 11 12 13 700 42 16 17 18 19 20 21 22 23 5 25";
        assert_eq!(fields(stat), Some([700, 42, 5]));
        assert_eq!(fields("12 (a"), None);
        assert_eq!(fields("12 (a) S 4"), None);
    }

    #[test]
    fn this_process_and_this_machine_have_memory() {
        let own = Usage::own().unwrap();
        assert!(0 < own.resident && own.resident < physical_memory());
        assert!(Usage::of(std::process::id()).unwrap().user >= own.user);
        assert!(Usage::of(u32::MAX).is_err());
        let now = resident().unwrap();
        assert!(own.resident / 2 < now && now < own.resident * 2);
    }

    #[test]
    fn random_bits_differ() {
        assert_ne!(random_bits(), random_bits());
    }
}
