//! How a cache is made.

use alloc::boxed::Box;
use core::fmt;
use core::sync::atomic::AtomicU64;

use super::counters::Counters;
use super::flight::Flights;
use super::{Cache, Clock};
use crate::store::{self, Store};

/// Settings of a [`Cache`] that is to be made. Made by [`Cache::builder`].
pub struct Builder {
    clock: Box<dyn Clock>,
    seed: u64,
    shards: usize,
}

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
            shards: Store::SHARDS,
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

    /// The number of parts with a lock each, rounded up to a power of two, from 1 to 4,096. By default 1,024, which
    /// take 400 bytes each while empty and a kilobyte more from the first entry on: fewer do for a small cache or for
    /// one thread.
    #[must_use]
    pub const fn shards(mut self, shards: usize) -> Self {
        self.shards = shards;
        self
    }

    /// The cache, empty.
    #[must_use]
    pub fn build(self) -> Cache {
        Cache {
            store: Store::new(&store::Options {
                shards: self.shards,
                seed: self.seed,
                ..store::Options::default()
            }),
            clock: self.clock,
            counters: Counters::default(),
            flights: Flights::new(),
            due: AtomicU64::new(u64::MAX),
        }
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("shards", &self.shards)
            .finish_non_exhaustive()
    }
}
