//! What the process has in memory beyond what its owners asked for: code, stacks, and what the allocator keeps.
//!
//! The bound on memory is meant for all of it, since the kernel counts pages. So resident memory is looked at now and
//! then, and what it is above the ledger's sum is taken off what may be used.

use std::time::Duration;

use ant_cache_core::{Millis, Service};

use crate::process::resident;

/// Time in which the allocator has given back what is free: the server's within tens of milliseconds, others later.
const SETTLED: Duration = Duration::from_secs(1);

/// Time between two looks, at least: each is a system call.
pub(crate) const PAUSE: Duration = Duration::from_millis(20);

/// The parts of the bound that overhead takes at least, and at most, beyond what there is at rest. Between two looks a
/// server can write more than its bound, so some is taken off before any shows. (With a tenth, the most that was resident
/// in 32 runs of sizes from 8 bytes to 1 MiB was 1.07 of 128 MiB; with a twelfth, and a look each 100 ms, 1.11.) And where an allocator never gives
/// back what is freed, evicting ever more would not help.
const PARTS: [u64; 2] = [10, 6];

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
    /// The bound that is watched; `None` where memory has none.
    fn bound(service: &Service) -> Option<u64> {
        let bound = service.settings.max_memory();
        // Who has not told what is needed at rest shares this process with others.
        (bound < u64::MAX && service.settings.least_memory() > 0).then_some(bound)
    }

    /// Whether so much is used that what requests add until a later look may pass the bound.
    pub(crate) fn is_tight(service: &Service) -> bool {
        Self::bound(service).is_some_and(|bound| service.ledger().used() >= bound / 2)
    }

    /// Looks at this process, and tells the service. Nothing where memory has no bound.
    pub(crate) fn look(&mut self, service: &Service, now: Millis) {
        let Some(bound) = Self::bound(service).filter(|_| now >= self.next) else {
            return;
        };
        self.next = now.plus(PAUSE.as_millis() as u64);
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
        assert_eq!(at(0, 10, 15), 101, "five at rest, and a tenth");
        assert_eq!(at(10, 800, 920), 120);
        assert_eq!(at(20, 400, 920), 120);
        assert_eq!(at(1000, 400, 920), 120);
        assert_eq!(at(1999, 400, 520), 101);
        assert_eq!(at(2000, 400, 520), 120);
        assert_eq!(at(2001, 410, 520), 110);
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

    #[test]
    fn it_is_tight_where_half_of_a_bound_is_used() {
        let service = Service::new(Options::default());
        let used = service.ledger().used();
        service.settings.set_least_memory(8);
        let tight = |bound| {
            service.settings.set_max_memory(bound);
            Overhead::is_tight(&service)
        };
        assert!(tight(2 * used) && !tight(2 * used + 2) && !tight(u64::MAX));
    }
}
