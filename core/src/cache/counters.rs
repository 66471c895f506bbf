//! Hits, misses and loads, counted without threads getting in each other's way.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::sync::{LANES, Lane};

/// Counters of one lane. Two sets share no cache line, nor a pair of lines that the processor fetches together.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Set {
    hits: AtomicU64,
    misses: AtomicU64,
    loads: AtomicU64,
}

/// What a cache counts for itself: a set for each lane, and one for those who have none.
#[derive(Debug, Default)]
pub(super) struct Counters {
    lanes: [Set; LANES],
    others: Set,
}

impl Counters {
    /// Counts one more.
    #[inline]
    fn add(&self, counter: impl Fn(&Set) -> &AtomicU64) {
        let lane = Lane::of_this_thread();
        match lane.and_then(|lane| self.lanes.get(lane)) {
            // Nobody else writes here, so an addition that locks the bus (7 ns) would be wasted.
            Some(own) => {
                let counter = counter(own);
                counter.store(counter.load(Relaxed).wrapping_add(1), Relaxed);
            }
            None => {
                counter(&self.others).fetch_add(1, Relaxed);
            }
        }
    }

    /// Counts a look-up.
    #[inline]
    pub(super) fn count(&self, hit: bool) {
        self.add(|set| if hit { &set.hits } else { &set.misses });
    }

    /// Counts a call of a loader.
    pub(super) fn count_load(&self) {
        self.add(|set| &set.loads);
    }

    /// Hits, misses and loads so far.
    pub(super) fn sums(&self) -> [u64; 3] {
        let sets = || self.lanes.iter().chain([&self.others]);
        let sum = |counter: fn(&Set) -> &AtomicU64| {
            let values = sets().map(|set| counter(set).load(Relaxed));
            values.fold(0, u64::wrapping_add)
        };
        [
            sum(|set| &set.hits),
            sum(|set| &set.misses),
            sum(|set| &set.loads),
        ]
    }
}
