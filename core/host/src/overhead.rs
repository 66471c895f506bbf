//! What the process has in memory beyond what its owners asked for: code, stacks, and what the allocator keeps.
//!
//! The bound on memory is meant for all of it, since the kernel counts pages. So resident memory is looked at now and
//! then, and what it is above the ledger's sum is taken off what may be used.

use std::time::Duration;

use ant_cache_core::{Millis, Service};

use crate::process::resident;

/// Time in which the allocator has given back what is free: twice what the server's is set to.
const SETTLED: Duration = Duration::from_secs(1);

/// Time between two looks, at least: each is a system call.
const PAUSE: u64 = 20;

/// The parts of the bound that overhead takes at least, and at most, beyond what there is at rest. Between two looks a
/// server can write more than its bound, so some is taken off before any shows. And where an allocator never gives
/// back what is freed, evicting ever more would not help.
const PARTS: [u64; 2] = [12, 6];

/// The overhead, measured again and again.
#[derive(Debug, Default)]
pub(crate) struct Overhead {
    /// What it was at the first look.
    rest: Option<u64>,
    /// When the next look may be.
    next: Millis,
    /// The end of the window under way.
    until: Millis,
    /// The most that was used in the window before, and in this one.
    most: [u64; 2],
}

impl Overhead {
    /// Looks at this process, and tells the service. Nothing where memory has no bound.
    pub(crate) fn look(&mut self, service: &Service, now: Millis) {
        let bound = service.settings.max_memory();
        // Who has not told what is needed at rest shares this process with others.
        if bound == u64::MAX || service.settings.least_memory() == 0 || now < self.next {
            return;
        }
        self.next = now.plus(PAUSE);
        if let Ok(resident) = resident() {
            let ledger = service.ledger();
            ledger.set_overhead(self.measure(now, bound, ledger.used(), resident));
        }
    }

    /// What is resident above what was used lately: pages of what was freed a moment ago are on their way back.
    fn measure(&mut self, now: Millis, bound: u64, used: u64, resident: u64) -> u64 {
        if now >= self.until {
            self.most = [self.most[1], used];
            self.until = now.plus(SETTLED.as_millis() as u64);
        }
        self.most[1] = self.most[1].max(used);
        let overhead = resident.saturating_sub(self.most[0].max(self.most[1]));
        let rest = *self.rest.get_or_insert(overhead);
        let [least, most] = PARTS.map(|part| rest + bound / part);
        overhead.clamp(least, most)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use ant_cache_core::service::Options;

    use super::*;

    #[test]
    fn what_was_freed_a_moment_ago_is_no_overhead() {
        let mut overhead = Overhead::default();
        let mut at = |now, used, resident| overhead.measure(Millis(now), 960, used, resident);
        assert_eq!(at(0, 10, 15), 85, "five at rest, and a twelfth");
        assert_eq!(at(10, 800, 900), 100);
        assert_eq!(at(20, 400, 900), 100);
        assert_eq!(at(1000, 400, 900), 100);
        assert_eq!(at(1999, 400, 500), 85);
        assert_eq!(at(2000, 400, 500), 100);
        assert_eq!(at(2001, 410, 500), 90);
        assert_eq!(at(2002, 410, 900), 165, "five at rest, and a sixth");
    }

    #[test]
    fn it_is_told_where_memory_is_bounded_and_this_process_is_the_servers() {
        let service = Service::new(Options::default());
        let told = |bound, least| {
            service.settings.set_max_memory(bound);
            service.settings.set_least_memory(least);
            Overhead::default().look(&service, Millis(0));
            service.ledger().overhead()
        };
        assert_eq!((told(u64::MAX, 8), told(800, 0)), (0, 0));
        assert!(told(1 << 40, 8) > 1 << 36);
    }
}
