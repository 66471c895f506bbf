//! What the process has in memory beyond what its owners asked for: code, stacks, and what the allocator keeps.
//!
//! The bound on memory is meant for all of it, since the kernel counts pages. So resident memory is looked at now and
//! then, and what it is above the ledger's sum is taken off what may be used.

use std::time::Duration;

use ant_cache_core::ledger::Ledger;
use ant_cache_core::{Millis, Service};

use crate::process::resident;

/// Time in which the allocator has given back what is free, in milliseconds: the server's takes tens of them.
const SETTLED: u64 = 100;

/// For how many milliseconds what was once too much is reckoned with: sizes that have just changed may change again.
const WARY: u64 = 1000;

/// Time between two looks, at least: each is a system call.
pub(crate) const PAUSE: Duration = Duration::from_millis(20);

/// What may be written between two looks that nothing makes haste for.
const IN_A_LONG_PAUSE: u64 = 128 << 20;

/// The part of the bound that overhead takes at least, beyond what there is at rest. Between two looks a server can write
/// more than its bound, so some is taken off before any shows. (With a tenth, the most that was resident in 32 runs of
/// sizes from 8 bytes to 1 MiB was 1.07 of 128 MiB; with a twelfth, and a look each 100 ms, 1.11.)
const LEAST_PART: u64 = 10;

/// Of a small bound it may take so much, but not more than half of what is left above the rest: half-filled pages of each
/// size, and what is on its way back, do not get fewer with the bound. (In the same load, of 64 MiB with a sixth 1.08 to 1.14,
/// with this 1.06 to 1.10; of 32 MiB 1.17 to 1.21 and 1.13 to 1.16. To take some of it off from the start would not lower
/// that, but cost entries of one size an eighth of their room.)
const MOST_OF_SMALL: u64 = 12 << 20;

/// The overhead, measured again and again.
#[derive(Debug, Default)]
pub(crate) struct Overhead {
    /// What it was at the first look.
    rest: Option<u64>,
    /// When the next look may be.
    next: Millis,
    /// What was used.
    used: Peak<SETTLED>,
    /// What was resident above that.
    above: Peak<WARY>,
}

/// The most that a number was in the last `WINDOW` milliseconds, or in up to twice that.
#[derive(Debug, Default)]
struct Peak<const WINDOW: u64> {
    /// The end of the window under way.
    until: Millis,
    /// The most in the window before, and in this one.
    most: [u64; 2],
}

impl<const WINDOW: u64> Peak<WINDOW> {
    /// Adds a number; returns the most.
    fn add(&mut self, now: Millis, number: u64) -> u64 {
        if now >= self.until {
            self.most = [self.most[1], 0];
            self.until = now.plus(WINDOW);
        }
        self.most[1] = self.most[1].max(number);
        self.most[0].max(self.most[1])
    }
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
        Self::bound(service).is_some_and(|bound| {
            service.ledger().used() >= (bound / 2).min(bound.saturating_sub(IN_A_LONG_PAUSE))
        })
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
        let above = resident.saturating_sub(self.used.add(now, used));
        let overhead = self.above.add(now, above);
        let rest = *self.rest.get_or_insert(overhead);
        let small = MOST_OF_SMALL.min(bound.saturating_sub(rest) / 2);
        let least = rest + bound / LEAST_PART;
        let most = rest + small.max(bound / Ledger::MOST_OVERHEAD);
        overhead.clamp(least, most)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use ant_cache_core::ledger::Owner;
    use ant_cache_core::service::Options;

    use super::*;

    #[test]
    fn what_was_freed_a_moment_ago_is_no_overhead() {
        let mut overhead = Overhead::default();
        let mut at = |now, used, resident| {
            let [bound, used, resident] = [960, used, resident].map(|mib: u64| mib << 20);
            overhead.measure(Millis(now), bound, used, resident) >> 20
        };
        assert_eq!(at(0, 10, 15), 101, "five at rest, and a tenth");
        assert_eq!(at(10, 800, 920), 120);
        assert_eq!(at(20, 400, 920), 120);
        assert_eq!(at(100, 400, 920), 120);
        assert_eq!(at(200, 400, 550), 150);
        assert_eq!(at(300, 400, 900), 165, "five at rest, and a sixth");
    }

    #[test]
    fn what_was_too_much_is_reckoned_with_for_a_second() {
        let mut overhead = Overhead::default();
        let mut at = |now, resident| overhead.measure(Millis(now), 960, 0, resident);
        assert_eq!(at(0, 5), 101);
        assert_eq!(at(10, 130), 130);
        assert_eq!(at(1000, 5), 130);
        assert_eq!(at(1999, 5), 130);
        assert_eq!(at(2000, 5), 101);
    }

    #[test]
    fn a_small_bound_has_more_overhead_and_leaves_half_of_what_is_left() {
        for (bound, least, most) in [(240, 31, 47), (60, 13, 19), (27, 9, 17), (7, 7, 8)] {
            let mut overhead = Overhead::default();
            let mut at = |mib: u64| overhead.measure(Millis(0), bound << 20, 0, mib << 20) >> 20;
            assert_eq!((at(7), at(2 * bound)), (least, most), "{bound} MiB");
        }
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
    fn it_is_tight_where_half_of_a_bound_is_used_and_always_under_a_small_one() {
        let service = Service::new(Options::default());
        service.settings.set_least_memory(8);
        let tight = |bound| {
            service.settings.set_max_memory(bound);
            Overhead::is_tight(&service)
        };
        assert!(tight(128 << 20) && !tight(200 << 20));
        service.ledger().charge(Owner::Process, 300 << 20);
        let used = service.ledger().used();
        assert!(tight(2 * used) && !tight(2 * used + 2) && !tight(u64::MAX));
    }
}
