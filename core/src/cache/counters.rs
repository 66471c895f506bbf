//! Hits, misses and loads, counted without threads getting in each other's way.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::sync::lane;

/// Sets of counters. A power of two; with as many threads at work or fewer, each has a set of its own.
const LANES: usize = 32;

/// Counters of the threads that share a lane. Two sets share no cache line, nor a pair of lines that the processor
/// fetches together.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Set {
    hits: AtomicU64,
    misses: AtomicU64,
    loads: AtomicU64,
}

/// What a cache counts for itself.
#[derive(Debug, Default)]
pub(super) struct Counters([Set; LANES]);

impl Counters {
    #[inline]
    fn set(&self, hash: u64) -> &Set {
        &self.0[lane(hash) & (LANES - 1)]
    }

    /// Counts a look-up of a key with this hash.
    #[inline]
    pub(super) fn count(&self, hash: u64, hit: bool) {
        let set = self.set(hash);
        let counter = if hit { &set.hits } else { &set.misses };
        counter.fetch_add(1, Relaxed);
    }

    /// Counts a call of a loader.
    pub(super) fn count_load(&self, hash: u64) {
        self.set(hash).loads.fetch_add(1, Relaxed);
    }

    /// Hits, misses and loads so far.
    pub(super) fn sums(&self) -> [u64; 3] {
        let sum = |counter: fn(&Set) -> &AtomicU64| {
            let values = self.0.iter().map(|set| counter(set).load(Relaxed));
            values.fold(0, u64::wrapping_add)
        };
        [
            sum(|set| &set.hits),
            sum(|set| &set.misses),
            sum(|set| &set.loads),
        ]
    }
}
