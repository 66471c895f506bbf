//! The store as a library: a concurrent cache of byte strings inside a program.
//!
//! A [`Cache`] is shared by reference or in an `Arc`; all its methods take `&self`. Keys and values are bytes; whoever
//! caches something else encodes it. What is read out is owned ([`Bytes`]): no guard ever holds a lock, so nothing a
//! caller does with a value can stop another thread.
//!
//! ```
//! # #[cfg(feature = "std")] {
//! use ant_cache_core::Cache;
//! use ant_cache_core::cache::Insert;
//! use std::time::Duration;
//!
//! let cache = Cache::builder().build();
//!
//! cache.insert("user:1", b"Ada")?;
//! assert_eq!(cache.get("user:1").as_deref(), Some(&b"Ada"[..]));
//!
//! // For a minute, and only where there is nothing yet.
//! let once = Insert::new().ttl(Duration::from_secs(60)).only_if_absent();
//! assert!(cache.insert_with("job:7", b"worker 1", &once)?);
//! assert!(!cache.insert_with("job:7", b"worker 2", &once)?);
//!
//! // Computed by one thread, however many ask at once.
//! let page = cache.get_or_insert_with("page:/", || render());
//! assert_eq!(page, b"<html>");
//! # fn render() -> &'static [u8] { b"<html>" }
//!
//! let stats = cache.stats();
//! assert_eq!((stats.entries, stats.hits, stats.misses), (3, 1, 1));
//! # }
//! # Ok::<(), ant_cache_core::cache::InsertError>(())
//! ```
//!
//! # Memory
//!
//! An entry of a short key and a short value takes their bytes, 4 bytes of header, 5 to 10 of index, and its share of
//! the free room in the shard's log. Values from 1 KiB on are allocations of their own, which the readers share.
//!
//! A cache may be bounded by bytes ([`Builder::max_memory`]), by entries ([`Builder::max_entries`]), or by both. What goes
//! when a bound is reached is chosen by an [`Eviction`] policy; the default weighs how recently and how often an entry
//! was asked for, and adapts to the load. [`get`](Cache::get), [`get_into`](Cache::get_into) and the loading methods ask
//! for an entry, the others do not. There is no weight of the user's: where all values are bytes, what an entry weighs is
//! the memory it takes, and that the cache knows exactly, header, index and free room included.
//!
//! ```
//! # #[cfg(feature = "std")] {
//! use ant_cache_core::Cache;
//!
//! let cache = Cache::builder().max_memory(1 << 20).build();
//! for number in 0..100_000 {
//!     cache.insert(format!("key {number}"), b"a value")?;
//!     cache.get("key 0");
//! }
//! // The last insert may have opened room beyond the bound; the next one lets entries go for it, or this.
//! cache.tick();
//! let stats = cache.stats();
//! assert!(stats.memory <= 1 << 20);
//! assert!(stats.evictions > 0);
//! assert!(cache.contains("key 0"), "what is in use stays");
//! # }
//! # Ok::<(), ant_cache_core::cache::InsertError>(())
//! ```
//!
//! # Time
//!
//! An entry with a time to live is gone for every reader from the millisecond at which it ends. Its memory comes back
//! in small pieces of work that inserts do on the side, or [`Cache::tick`], where a program would rather do it in a
//! thread of its own. The clock is asked at inserts, and at reads of entries that have a time to live; never under a
//! lock.
//!
//! # Locks
//!
//! A read or write holds the lock of one shard for one look-up and one copy of less than 1 KiB. No closure, clock or
//! loader of the caller runs under a lock of the cache, and no large value is freed under one.
//!
//! # Without a standard library
//!
//! Without the feature `std` everything works the same, except that a clock and a seed must be given
//! ([`Cache::builder_with`]), and that a thread that waits, be it for a lock or for another thread's loader, spins.

mod bound;
mod builder;
mod bytes;
mod clock;
mod flight;
mod insert;
mod iter;
mod load;
mod snapshot;
mod value;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;

use crate::Millis;
use crate::eviction::Eviction;
use crate::limits::MAX_KEY;
use crate::session::Budget;
use crate::store::{Data, Effect, Item, Key, Kind, NewData, Shard, Store};

use bound::Bound;
use flight::Flights;
use insert::Condition;

pub use builder::Builder;
pub use bytes::Bytes;
pub use clock::Clock;
#[cfg(feature = "std")]
pub use clock::SystemClock;
pub use insert::{Insert, InsertError};
pub use iter::{Iter, Keys};
pub use value::{IncrementError, Read, Value};

/// What an insert does of the housekeeping that waits, at most: about 20 µs.
const ASIDE: Budget = Budget::new(200);

/// A concurrent cache of byte strings. See the [module](self) for an introduction.
pub struct Cache {
    store: Store,
    clock: Box<dyn Clock>,
    /// Calls of a loader.
    loads: AtomicU64,
    flights: Flights,
    bound: Bound,
    /// When housekeeping is due next, in milliseconds of the clock; `u64::MAX` where nothing waits for it.
    due: AtomicU64,
}

/// How long an entry has yet to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// Until it is replaced, removed or evicted.
    Unlimited,
    /// So long at most.
    Left(Duration),
}

/// What a cache holds, and what it has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Look-ups that found an entry.
    pub hits: u64,
    /// Look-ups that found none.
    pub misses: u64,
    /// Calls of a loader.
    pub loads: u64,
    /// Entries removed because there was no room for all.
    pub evictions: u64,
    /// Entries removed because their time had come.
    pub expirations: u64,
    /// Entries there are, those included that have ended and are not yet removed.
    pub entries: u64,
    /// Bytes of memory: keys, values, headers, index, free room.
    pub memory: u64,
}

impl Cache {
    /// The string of `key`: a copy, or from 1 KiB on the very bytes in the cache. `None` for arrays and objects too, which
    /// [`value`](Self::value) gives.
    #[must_use]
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<Bytes> {
        let mut found = None;
        self.get_to(key.as_ref(), &mut found);
        found
    }

    /// What `read` makes of the value of `key`. It sees a copy that is not moved any more, and holds no lock: for who
    /// looks at a small value once, that takes a tenth less time than [`get`](Self::get).
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use ant_cache_core::Cache;
    /// # let cache = Cache::builder().build();
    /// cache.insert("key", b"value")?;
    /// assert_eq!(cache.get_with("key", |value| value.len()), Some(5));
    /// assert_eq!(cache.get_with("nothing", |value| value.len()), None);
    /// # }
    /// # Ok::<(), ant_cache_core::cache::InsertError>(())
    /// ```
    #[inline]
    pub fn get_with<T>(&self, key: impl AsRef<[u8]>, read: impl FnOnce(&Bytes) -> T) -> Option<T> {
        let mut found = None;
        self.get_to(key.as_ref(), &mut found);
        found.as_ref().map(read)
    }

    /// [`get`](Self::get), compiled once, and to where the caller wants it: see [`Bytes`].
    fn get_to(&self, key: &[u8], found: &mut Option<Bytes>) {
        self.get_of(&self.store.key(key), found);
    }

    #[inline]
    fn get_of(&self, key: &Key<'_>, found: &mut Option<Bytes>) {
        self.look_up(key, |item| Bytes::take(string(item), found));
    }

    /// The same, not counted.
    fn find(&self, key: &Key<'_>) -> Option<Bytes> {
        let mut found = None;
        self.peek(key, |item| Bytes::take(string(item), &mut found));
        found
    }

    /// Appends the string of `key` to `to`, and tells whether there is one. With a buffer that is used again, values of
    /// less than 1 KiB are read without an allocation.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use ant_cache_core::Cache;
    /// # let cache = Cache::builder().build();
    /// cache.insert("key", b"value")?;
    /// let mut buffer = Vec::new();
    /// assert!(cache.get_into("key", &mut buffer));
    /// assert_eq!(buffer, b"value");
    /// # }
    /// # Ok::<(), ant_cache_core::cache::InsertError>(())
    /// ```
    pub fn get_into(&self, key: impl AsRef<[u8]>, to: &mut Vec<u8>) -> bool {
        let key = self.store.key(key.as_ref());
        let start = to.len();
        // What could be copied under the lock gets its room before.
        to.reserve(crate::Blob::MIN);
        let mut large = None;
        let mut found = false;
        self.look_up(&key, |item| {
            to.truncate(start);
            large = None;
            let string = string(item);
            found = string.is_some();
            match string {
                Some(Data::Inline(bytes)) => to.extend_from_slice(bytes),
                Some(Data::Blob(blob)) => large = Some((*blob).clone()),
                None => (),
            }
        });
        if let Some(blob) = large {
            to.extend_from_slice(&blob);
        }
        found
    }

    /// Lets `take` have the entry of `key`, and counts whether there is one. `take` runs under the shard's lock; with
    /// `None`, which is to say that what it took does not count, outside of it.
    #[inline]
    fn look_up(&self, key: &Key<'_>, take: impl FnMut(Option<&Item<'_>>)) {
        self.look(key, true, take);
    }

    /// The same, not counted; tells whether there is one.
    #[inline]
    fn peek(&self, key: &Key<'_>, take: impl FnMut(Option<&Item<'_>>)) -> bool {
        self.look(key, false, take)
    }

    /// The clock is asked only where the entry has a time to live, and after the lock: most reads know no time.
    #[inline(always)]
    fn look(&self, key: &Key<'_>, counted: bool, mut take: impl FnMut(Option<&Item<'_>>)) -> bool {
        self.store.prefetch_index(key.hash());
        let mut shard = self.store.lock(self.store.shard_of(key));
        // Not moved out of the option: it was just written in pieces.
        let found = shard.get(key, Millis(0));
        let Some(item) = &found else {
            if counted {
                shard.count_look_up(false);
            }
            return false;
        };
        take(Some(item));
        let expires = item.expires;
        if counted {
            shard.count_look_up(true);
        }
        drop(shard);
        expires.is_none_or(|expires| self.now() < expires || self.look_again(key, counted, take))
    }

    /// The look-up of an entry that has ended by now. It may have been replaced since; so this look is at a known time.
    #[cold]
    fn look_again(
        &self,
        key: &Key<'_>,
        counted: bool,
        mut take: impl FnMut(Option<&Item<'_>>),
    ) -> bool {
        take(None);
        let now = self.now();
        let mut shard = self.store.lock(self.store.shard_of(key));
        if let Some(item) = &shard.get(key, now) {
            take(Some(item));
            return true;
        }
        if counted {
            shard.count_as_miss();
        }
        false
    }

    /// Whether there is an entry of `key`. Counts neither as a hit nor as a miss.
    #[must_use]
    pub fn contains(&self, key: impl AsRef<[u8]>) -> bool {
        let key = self.store.key(key.as_ref());
        self.peek(&key, |_| ())
    }

    /// How long the entry of `key` has yet to live; `None` where there is none.
    #[must_use]
    pub fn ttl(&self, key: impl AsRef<[u8]>) -> Option<Ttl> {
        let key = self.store.key(key.as_ref());
        let now = self.now();
        let shard = self.store.lock(self.store.shard_of(&key));
        let expires = shard.peek(&key, now)?.expires;
        Some(expires.map_or(Ttl::Unlimited, |expires| {
            Ttl::Left(Duration::from_millis(expires.since(now)))
        }))
    }

    /// Gives the entry of `key` a new time to live from now on, or none, as with [`Insert::ttl`]. Tells whether there
    /// is such an entry.
    pub fn expire(&self, key: impl AsRef<[u8]>, ttl: Option<Duration>) -> bool {
        let key = self.store.key(key.as_ref());
        let now = self.now();
        let expires = ttl.map(|ttl| now.plus_duration(ttl));
        let committed =
            self.store
                .lock(self.store.shard_of(&key))
                .commit(&key, Effect::Expire(expires), now);
        self.keep_house(now, expires);
        committed.existed
    }

    /// Puts an entry in, in the place of what `key` had: value and time to live. A `Vec` of 1 KiB or more is taken as it
    /// is, not copied.
    ///
    /// # Errors
    /// Where the key is too long, the value larger than all the memory that there may be, or nothing is left that may
    /// go for it. The cache is as it was before, but for what may have gone to make room.
    pub fn insert<'v>(
        &self,
        key: impl AsRef<[u8]>,
        value: impl Into<Cow<'v, [u8]>>,
    ) -> Result<(), InsertError> {
        self.insert_with(key, value, &Insert::new()).map(|_| ())
    }

    /// Puts an entry in, in the way that `how` says. Tells whether its condition was met.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn insert_with<'v>(
        &self,
        key: impl AsRef<[u8]>,
        value: impl Into<Cow<'v, [u8]>>,
        how: &Insert,
    ) -> Result<bool, InsertError> {
        let mut value = value.into();
        let data = match &mut value {
            Cow::Borrowed(bytes) => NewData::copy(bytes),
            Cow::Owned(bytes) => NewData::take(bytes),
        };
        self.put_under(key.as_ref(), Kind::String, data, how)
    }

    /// Puts an entry in where `condition`, which is asked under the shard's lock and can ask whether there is one,
    /// is met.
    #[inline]
    fn put(
        &self,
        key: &Key<'_>,
        kind: Kind,
        data: NewData<'_>,
        ttl: Option<Duration>,
        condition: impl FnOnce(&dyn Fn() -> bool) -> bool,
    ) -> Result<bool, InsertError> {
        if key.bytes().len() > MAX_KEY {
            return Err(InsertError::KeyTooLong);
        }
        let now = self.now();
        let expires = ttl.map(|ttl| now.plus_duration(ttl));
        self.admit(key.bytes().len() + data.len(), now)?;
        let mut shard = self.store.lock(self.store.shard_of(key));
        let exists = || shard.peek(key, now).is_some();
        if !condition(&exists) {
            return Ok(false);
        }
        if self.refuses_more(&shard) && !exists() {
            return Err(InsertError::Full);
        }
        let effect = Effect::Set {
            kind,
            data,
            expires,
        };
        let replaced = shard.commit(key, effect, now);
        drop(shard);
        drop(replaced);
        self.keep_house(now, expires);
        Ok(true)
    }

    /// Whether no entry goes for a new one of this shard.
    fn refuses_more(&self, shard: &Shard) -> bool {
        self.bound.eviction == Eviction::None && shard.is_full()
    }

    /// Removes the entry of `key`; tells whether there was one. What another thread is loading for the key at this
    /// moment will not stay in the cache: it may be older than the reason for the removal.
    pub fn remove(&self, key: impl AsRef<[u8]>) -> bool {
        let key = self.store.key(key.as_ref());
        self.flights.overtake(&key);
        let now = self.now();
        let committed =
            self.store
                .lock(self.store.shard_of(&key))
                .commit(&key, Effect::Delete, now);
        committed.existed
    }

    /// Removes every entry, for all threads at the same moment, and then frees their memory.
    pub fn clear(&self) {
        self.flights.overtake_all();
        self.store.flush();
        // Whoever locks a shard first after a flush puts its old entries aside; a tick frees what was put aside.
        for shard in 0..self.store.shards() {
            drop(self.store.lock(shard));
            self.store.free_flushed();
        }
    }

    /// Number of entries, those included that have ended and are not yet removed. Looks at every shard.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.store.len()
    }

    /// Whether [`len`](Self::len) is 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.store.is_empty()
    }

    /// What there is, and what was done. Looks at every shard.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let census = self.store.census();
        Stats {
            hits: census.hits,
            misses: census.misses,
            loads: self.loads.load(Relaxed),
            evictions: census.evicted,
            expirations: census.expired,
            entries: census.keys,
            memory: census.memory,
        }
    }

    /// Does a piece of housekeeping, of about 100 µs at most: gives back the memory of entries that have ended, and
    /// follows a bound that was lowered. Returns how long nothing will wait for it; `None` if that is until something
    /// with a time to live is put in or the bound is lowered.
    ///
    /// Inserts do this on the side, in smaller pieces. It need only be called where there are none for a long time, or
    /// where they shall not be held up.
    pub fn tick(&self) -> Option<Duration> {
        let now = self.now();
        let next = self.work(now, Budget::TURN)?;
        Some(Duration::from_millis(next.since(now)))
    }

    /// Housekeeping after a change, where its time has come; `expires` is when the changed entry ends.
    #[inline]
    fn keep_house(&self, now: Millis, expires: Option<Millis>) {
        if let Some(Millis(end)) = expires
            && end < self.due.load(Relaxed)
        {
            self.due.fetch_min(end, Relaxed);
        }
        self.keep_within(now);
        if now.0 >= self.due.load(Relaxed) {
            self.work_aside(now);
        }
    }

    #[cold]
    fn work_aside(&self, now: Millis) {
        // One thread at a time, and whoever takes part in a stampede only once.
        let due = self.due.load(Relaxed);
        let taken = self
            .due
            .compare_exchange(due, u64::MAX, Relaxed, Relaxed)
            .is_ok();
        if due <= now.0 && taken {
            self.work(now, ASIDE);
        }
    }

    fn work(&self, now: Millis, mut budget: Budget) -> Option<Millis> {
        let next = if self.keep_bound(now, &mut budget) {
            self.store.tick(now, budget)
        } else {
            Some(now)
        };
        if let Some(Millis(next)) = next {
            self.due.fetch_min(next, Relaxed);
        }
        next
    }

    fn now(&self) -> Millis {
        self.clock.now()
    }
}

/// The bytes of an entry that is a string.
#[inline]
fn string<'i, 'a>(item: Option<&'i Item<'a>>) -> Option<&'i Data<'a>> {
    item.filter(|item| item.kind == Kind::String)
        .map(|item| &item.data)
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}
