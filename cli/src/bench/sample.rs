//! What the kernel knows of the server's process.

use core::time::Duration;
use std::io;

use ant_cache_host::process::Usage;
use nix::time::ClockId;
use nix::unistd::Pid;

/// A process, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// Processor time, its own and the system's on its behalf, of all threads that ever were. It is read from the
    /// process's own clock, to the nanosecond: `/proc/PID/stat` has the same sum in steps of 10 ms, too coarse for a
    /// test of a second.
    pub(super) cpu: Duration,
    /// Resident memory in bytes.
    pub(super) rss: u64,
}

impl Sample {
    /// # Errors
    /// Where there is no such process on this machine.
    pub(super) fn of(pid: u32) -> io::Result<Self> {
        let rss = Usage::of(pid)?.resident;
        let pid = i32::try_from(pid).map_err(|_| io::ErrorKind::InvalidInput)?;
        let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(pid))?;
        Ok(Self {
            cpu: clock.now()?.into(),
            rss,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_uses_time() {
        let before = Sample::of(std::process::id()).unwrap();
        assert!(before.rss > 0 && before.cpu > Duration::ZERO);
        let after = Sample::of(std::process::id()).unwrap();
        assert!(after.cpu > before.cpu);
        assert!(Sample::of(u32::MAX).is_err());
    }
}
