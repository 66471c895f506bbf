//! How a cache is made.

use alloc::boxed::Box;
use core::fmt;
use core::sync::atomic::AtomicU64;

use super::bound::Bound;
use super::flight::Flights;
use super::{Cache, Clock};
use crate::eviction::Eviction;
use crate::store::{self, Store};

/// Settings of a [`Cache`] that is to be made. Made by [`Cache::builder`].
pub struct Builder {
    clock: Box<dyn Clock>,
    seed: u64,
    shards: Option<usize>,
    max_memory: u64,
    max_entries: u64,
    eviction: Eviction,
}

/// The shards of a cache that is large enough. At a million keys, 1,024 as in a server take 6 to 9 % off its speed, since
/// more lines of the processor's caches hold what every look-up reads, and 64 take 12 %, since each has several tables.
const SHARDS: usize = 256;

/// Entries that a shard may have at least: with fewer, a policy sees too little of what is asked for.
const ENTRIES: u64 = 256;

impl Cache {
    /// Settings to change before [`Builder::build`]: the system's clock, a random seed, no bound.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn builder() -> Builder {
        extern crate std;
        use core::hash::BuildHasher;
        // Its keys are random bits of the system.
        let seed = std::hash::RandomState::new().hash_one(0);
        Self::builder_with(super::SystemClock::new(), seed)
    }

    /// The same where there is no operating system to ask for the time and for random bits.
    ///
    /// `seed` decides how keys are hashed. Who knows it can craft keys that collide, so where keys come from strangers
    /// it must be a secret, different in each process.
    #[must_use]
    pub fn builder_with(clock: impl Clock + 'static, seed: u64) -> Builder {
        Builder {
            clock: Box::new(clock),
            seed,
            shards: None,
            max_memory: u64::MAX,
            max_entries: u64::MAX,
            eviction: Eviction::default(),
        }
    }
}

impl Builder {
    /// Where the cache learns the time.
    ///
    /// ```
    /// use ant_cache_core::cache::Insert;
    /// use ant_cache_core::{Cache, Millis};
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use std::time::Duration;
    ///
    /// let now = Arc::new(AtomicU64::new(0));
    /// let clock = Arc::clone(&now);
    /// let clock = move || Millis(clock.load(Ordering::Relaxed));
    /// let cache = Cache::builder_with(clock, 7).build();
    /// cache.insert_with("key", b"value", &Insert::new().ttl(Duration::from_secs(1)))?;
    /// now.store(1000, Ordering::Relaxed);
    /// assert_eq!(cache.get("key"), None);
    /// # Ok::<(), ant_cache_core::cache::InsertError>(())
    /// ```
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// The seed of the hash; see [`Cache::builder_with`]. With the same seed, clock and calls from one thread, two
    /// caches evict the same entries.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The number of parts with a lock each, rounded up to a power of two, from 1 to 4,096. By default 256, fewer for a
    /// small bound. Never more than [`max_entries`](Self::max_entries), of which each has the same share. One shard holds
    /// 4 GiB of keys and small values at most; an insert beyond panics.
    #[must_use]
    pub const fn shards(mut self, shards: usize) -> Self {
        self.shards = Some(shards);
        self
    }

    /// Bytes of memory at most: keys, values, headers, index, free room, and what the eviction policy remembers. No bound
    /// by default.
    ///
    /// It is kept when an insert returns: what that takes, a table or an extent for it included, others have made room for. Only
    /// the last entry stays, however small the bound, and with [`Eviction::None`] up to 16 KiB more may be taken before inserts fail. For
    /// as long as someone holds a large value that was [read](Cache::get), its bytes come on top once its entry is gone. The
    /// bound leaves out 700 bytes a shard and 7 KiB that an empty cache takes.
    #[must_use]
    pub const fn max_memory(mut self, bytes: u64) -> Self {
        self.max_memory = bytes;
        self
    }

    /// Entries at most; 0 counts as 1. No bound by default. Shards have equal shares, and keys spread over shards by
    /// chance, so that the first entry may go at a few percent less.
    #[must_use]
    pub const fn max_entries(mut self, entries: u64) -> Self {
        self.max_entries = entries;
        self
    }

    /// What goes where a bound is reached. By default [`Eviction::Adaptive`].
    #[must_use]
    pub const fn eviction(mut self, eviction: Eviction) -> Self {
        self.eviction = eviction;
        self
    }

    /// The cache, empty.
    #[must_use]
    pub fn build(self) -> Cache {
        let max_entries = usize::try_from(self.max_entries.max(1)).unwrap_or(usize::MAX);
        Cache {
            store: Store::new(&store::Options {
                shards: self.shard_count(),
                seed: self.seed,
                max_entries,
                eviction: self.eviction,
                ..store::Options::default()
            }),
            clock: self.clock,
            loads: AtomicU64::new(0),
            flights: Flights::new(),
            bound: Bound {
                memory: AtomicU64::new(self.max_memory),
                eviction: self.eviction,
            },
            due: AtomicU64::new(u64::MAX),
        }
    }

    /// A power of two: as many as asked for, or as many as suit the bounds.
    fn shard_count(&self) -> usize {
        let floor = |most: u64| 1 << most.clamp(1, 4096).ilog2();
        let asked = self
            .shards
            .map(|shards| shards.clamp(1, 4096).next_power_of_two());
        let suits = || {
            let entries = floor(self.max_entries / ENTRIES);
            SHARDS.min(Store::shards_for(self.max_memory)).min(entries)
        };
        asked.unwrap_or_else(suits).min(floor(self.max_entries))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("shards", &self.shard_count())
            .field("max_memory", &self.max_memory)
            .field("max_entries", &self.max_entries)
            .field("eviction", &self.eviction)
            .finish_non_exhaustive()
    }
}
