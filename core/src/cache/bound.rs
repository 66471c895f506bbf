//! The bound on memory: what an insert does to keep it.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{ASIDE, Cache, InsertError};
use crate::Millis;
use crate::eviction::Eviction;
use crate::session::Budget;
use crate::store::{Room, Search};

/// Bytes that an entry takes beyond its key and value, at most: header, index, and what a large value's allocation and
/// lists take.
const OVERHEAD: usize = 64;

/// How much memory there may be, and what goes where it is not enough.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) memory: AtomicU64,
    pub(super) eviction: Eviction,
}

impl Cache {
    /// The bound on memory in bytes; `u64::MAX` for none.
    #[must_use]
    pub fn max_memory(&self) -> u64 {
        self.bound.memory.load(Relaxed)
    }

    /// Changes the bound on memory. Where more is in use, entries go in small pieces of work with the next inserts or
    /// by [`tick`](Self::tick), until the new bound is kept; with [`Eviction::None`] none go, and inserts fail.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use ant_cache_core::Cache;
    ///
    /// let cache = Cache::builder().build();
    /// for number in 0..10_000 {
    ///     cache.insert(format!("{number}"), b"value")?;
    /// }
    /// cache.set_max_memory(cache.stats().memory / 2);
    /// while cache.tick().is_some() {}
    /// assert!(cache.stats().evictions > 0);
    /// # }
    /// # Ok::<(), ant_cache_core::cache::InsertError>(())
    /// ```
    pub fn set_max_memory(&self, bytes: u64) {
        self.bound.memory.store(bytes, Relaxed);
        self.due.store(0, Relaxed);
    }

    /// Makes sure that an entry of so many bytes is within the bound.
    #[inline]
    pub(super) fn admit(&self, bytes: usize, now: Millis) -> Result<(), InsertError> {
        let need = (bytes + OVERHEAD) as u64;
        let bound = self.max_memory();
        if need > bound {
            return Err(InsertError::TooLarge);
        }
        if self.store.has_room(need, bound) {
            return Ok(());
        }
        self.admit_by_eviction(Search::for_write(need), bound, now)
    }

    /// Makes up for what a change took beyond what it was admitted for: an extent or a table may have been opened for it.
    #[inline]
    pub(super) fn keep_within(&self, now: Millis) {
        let bound = self.max_memory();
        // Where nothing may go, more is in use, and the next insert fails. The only entry there is stays, however small
        // the bound.
        let may_go = || self.bound.eviction != Eviction::None && self.len() > 1;
        if !self.store.has_room(0, bound) && may_go() {
            let _ = self.admit_by_eviction(Search::for_write(0), bound, now);
        }
    }

    #[cold]
    fn admit_by_eviction(
        &self,
        mut search: Search,
        bound: u64,
        now: Millis,
    ) -> Result<(), InsertError> {
        if self.bound.eviction == Eviction::None {
            return Err(InsertError::Full);
        }
        loop {
            let (eviction, mut budget) = (self.bound.eviction, ASIDE);
            let made = self
                .store
                .make_room(&mut search, bound, eviction, now, &mut budget);
            match made {
                Room::Made => return Ok(()),
                Room::Later => {}
                Room::None => return Err(InsertError::Full),
            }
        }
    }

    /// Evicts down to the bound, as far as the budget goes; false where there is more to do.
    pub(super) fn keep_bound(&self, now: Millis, budget: &mut Budget) -> bool {
        let (bound, eviction) = (self.max_memory(), self.bound.eviction);
        let search = &mut Search::for_all();
        eviction == Eviction::None
            || self.store.make_room(search, bound, eviction, now, budget) != Room::Later
    }
}
