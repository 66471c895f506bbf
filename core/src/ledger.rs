//! Who holds how much memory.
//!
//! The bound on memory concerns all of it: entries and their tables, and also the buffers of ten thousand connections.
//! Each owner tells the [`Ledger`] when what it has taken from the allocator changes, which is seldom: a buffer that is
//! refilled a thousand times is charged once. Reading the sum is a handful of loads, so that every write can afford it.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Whose memory it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// What the process needs at rest, whatever it serves: told once by the host.
    Process,
    /// Entries, large values, tables.
    Store,
    /// Sessions and buffers.
    Connections,
    /// Changes that are recorded and not surely on the disk yet. A large value among them is the store's as well.
    Journal,
}

impl Owner {
    /// All owners.
    pub const ALL: [Self; 4] = [Self::Process, Self::Store, Self::Connections, Self::Journal];
}

/// Bytes held, by owner. Counted without order between threads: a sum is right up to what is being charged that moment.
#[derive(Debug, Default)]
pub struct Ledger {
    held: [Line; Owner::ALL.len()],
    overhead: AtomicU64,
}

/// Owners do not wait for each other's cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line(AtomicU64);

impl Ledger {
    /// The part of a bound that overhead takes at most, a sixth: where an allocator never gives back what is freed, evicting
    /// ever more would not help.
    pub const MOST_OVERHEAD: u64 = 6;

    /// Nothing is held.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn of(&self, owner: Owner) -> &AtomicU64 {
        &self.held[owner as usize].0
    }

    /// Says that `owner` took `bytes` more. For what lives as long as a value of ours, [`Charge`] is safer.
    #[inline]
    pub fn charge(&self, owner: Owner, bytes: usize) {
        self.of(owner).fetch_add(bytes as u64, Relaxed);
    }

    /// Says that `owner` gave `bytes` back. It must have taken them before.
    #[inline]
    pub fn release(&self, owner: Owner, bytes: usize) {
        let before = self.of(owner).fetch_sub(bytes as u64, Relaxed);
        debug_assert!(bytes as u64 <= before, "more given back than was taken");
    }

    /// Bytes that `owner` holds.
    #[must_use]
    #[inline]
    pub fn held(&self, owner: Owner) -> u64 {
        self.of(owner).load(Relaxed)
    }

    /// Bytes that all owners hold.
    #[must_use]
    #[inline]
    pub fn used(&self) -> u64 {
        Owner::ALL.into_iter().map(|owner| self.held(owner)).sum()
    }

    /// Bytes that all owners but one hold.
    #[must_use]
    #[inline]
    pub fn beside(&self, one: Owner) -> u64 {
        let others = Owner::ALL.into_iter().filter(|&owner| owner != one);
        others.map(|owner| self.held(owner)).sum()
    }

    /// Bytes that the process has in memory beyond what is used: code, stacks, what the allocator keeps. 0 until the
    /// host has measured it.
    #[must_use]
    #[inline]
    pub fn overhead(&self) -> u64 {
        self.overhead.load(Relaxed)
    }

    /// Says what was measured.
    pub fn set_overhead(&self, bytes: u64) {
        self.overhead.store(bytes, Relaxed);
    }

    /// Says that it is no more than this, until it is measured again.
    pub fn cap_overhead(&self, bytes: u64) {
        self.overhead.fetch_min(bytes, Relaxed);
    }
}

/// Bytes that an allocation of `bytes` takes: allocators of today round up to size classes, four to each doubling, and what is
/// larger than the last of them to pages (those of jemalloc 5.3.1, which the server uses). A value of 2,100 bytes takes
/// 2,560, one of 33,000 takes 36,864.
#[must_use]
pub const fn allocation(bytes: usize) -> usize {
    /// Bytes between the smallest classes.
    const STEP: usize = 16;
    /// The largest class.
    const MOST: usize = 14 << 10;
    const PAGE: usize = 4 << 10;
    if bytes <= 4 * STEP {
        return bytes.next_multiple_of(STEP);
    }
    if bytes > MOST {
        return bytes.next_multiple_of(PAGE);
    }
    let step = (bytes - 1).ilog2() - 2;
    bytes.next_multiple_of(1 << step)
}

/// What one value holds on account of an owner; given back when it is dropped.
///
/// ```
/// use ant_cache_core::ledger::{Charge, Ledger, Owner};
/// use std::sync::Arc;
///
/// let ledger = Arc::new(Ledger::new());
/// let mut charge = Charge::new(&ledger, Owner::Connections);
/// charge.set(4096);
/// charge.set(1024);
/// assert_eq!(ledger.used(), 1024);
/// drop(charge);
/// assert_eq!(ledger.used(), 0);
/// ```
#[derive(Debug)]
pub struct Charge {
    ledger: Arc<Ledger>,
    owner: Owner,
    bytes: usize,
}

impl Charge {
    /// Nothing yet.
    #[must_use]
    pub fn new(ledger: &Arc<Ledger>, owner: Owner) -> Self {
        Self {
            ledger: Arc::clone(ledger),
            owner,
            bytes: 0,
        }
    }

    /// Says how much is held now. Free of charge while that does not change.
    #[inline]
    pub fn set(&mut self, bytes: usize) {
        if bytes > self.bytes {
            self.ledger.charge(self.owner, bytes - self.bytes);
        } else if bytes < self.bytes {
            self.ledger.release(self.owner, self.bytes - bytes);
        }
        self.bytes = bytes;
    }

    /// Where it is charged.
    #[must_use]
    pub const fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Bytes held.
    #[must_use]
    #[inline]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn allocations_are_those_of_jemalloc() {
        let classes = [
            16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768,
            896, 1024, 1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096, 5120, 6144, 7168, 8192,
            10240, 12288, 14336, 16384, 20480, 24576, 28672,
        ];
        assert_eq!(allocation(0), 0);
        for bytes in 1..=28_672 {
            let class = classes.into_iter().find(|&class| class >= bytes);
            assert_eq!(Some(allocation(bytes)), class, "{bytes}");
        }
        assert_eq!(allocation((5 << 20) + 1), (5 << 20) + 4096);
    }

    proptest! {
        #[test]
        fn the_sum_is_what_all_hold(steps in proptest::collection::vec((0..4_usize, 0..1_usize << 20), 0..100)) {
            let ledger = Arc::new(Ledger::new());
            let owners = [Owner::Connections, Owner::Store, Owner::Connections, Owner::Process];
            let mut charges: Vec<Charge> = owners.iter().map(|&owner| Charge::new(&ledger, owner)).collect();
            for (which, bytes) in steps {
                charges[which].set(bytes);
                let sum: usize = charges.iter().map(Charge::bytes).sum();
                prop_assert_eq!(ledger.used(), sum as u64);
                let connections = charges[0].bytes() + charges[2].bytes();
                prop_assert_eq!(ledger.held(Owner::Connections), connections as u64);
                prop_assert_eq!(ledger.beside(Owner::Connections), (sum - connections) as u64);
            }
            drop(charges);
            prop_assert_eq!(ledger.used(), 0);
        }
    }
}
