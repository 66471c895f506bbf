//! The store: shards of compact entries, found by a seeded hash.
//!
//! A [`Store`] is a fixed number of shards. Each has a lock, an index of 4-byte handles, and a log of 16 KiB extents in
//! which entries lie one behind the other (see `log.rs` for why). Commands reach it only through
//! [`Exec`](crate::exec::Exec), which locks the shards of a command's keys in ascending order; every change passes
//! [`Shard::commit`].

mod account;
mod apply;
mod blobs;
mod commit;
mod copying;
mod effect;
mod entry;
mod evict;
mod expiry;
mod index;
mod keeper;
mod key;
mod log;
#[cfg(test)]
mod model;
pub mod packed;
mod policy;
mod position;
mod recording;
mod room;
mod shard;
mod tour;
mod wheel;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::Histogram;
use crate::eviction::Eviction;
use crate::journal::{Epoch, Journal, Parcel};
use crate::ledger::Ledger;
use crate::prefetch::{prefetch, prefetch_write};
use crate::sync::{Guard, Mutex};

use account::Account;
use expiry::{Agenda, Timers};
use index::{Hint, Notice};

pub use copying::Copying;
pub use effect::{Committed, Effect, NewData};
pub use entry::{Data, Item, Kind};
pub use key::{Key, KeyHasher};
pub(crate) use log::Handle;
pub use position::Position;
pub use room::{Room, Search};
pub use shard::Shard;
pub(crate) use tour::Tour;

/// The keys of one server.
#[derive(Debug)]
pub struct Store {
    shards: Box<[Slot]>,
    /// By shard: where its table is.
    hints: Arc<[Hint]>,
    /// By shard: bytes of its memory.
    board: Arc<[AtomicUsize]>,
    ledger: Arc<Ledger>,
    hasher: Arc<KeyHasher>,
    /// What orders changes. It has the number of the last flush, too: a shard of an older one is empty for whoever
    /// locks it next.
    journal: Journal,
    /// What flushed shards held, until [`tick`](Self::tick) frees it.
    garbage: Mutex<Vec<Shard>>,
    agenda: Arc<Agenda>,
    /// How late entries that had ended were removed, in milliseconds.
    lags: Mutex<Histogram>,
    progress: Mutex<keeper::Progress>,
    /// Random numbers given out.
    drawn: AtomicU64,
    /// The shard that is next to be asked for memory.
    asked: AtomicUsize,
}

/// What a store is made from.
#[derive(Clone, Debug)]
pub struct Options {
    /// Number of shards, rounded up to a power of two of at most 4,096. [`Store::shards_for`] tells how many suit a
    /// bound on memory.
    pub shards: usize,
    /// Seed of the key hash.
    pub seed: u64,
    /// Where the store's memory is charged.
    pub ledger: Arc<Ledger>,
    /// Entries at most, spread evenly over the shards; `usize::MAX` for any number.
    pub max_entries: usize,
    /// What goes where entries are bounded. (What goes where memory is bounded, [`Store::make_room`] is told.)
    pub eviction: Eviction,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            shards: Store::SHARDS,
            seed: 0,
            ledger: Arc::default(),
            max_entries: usize::MAX,
            eviction: Eviction::default(),
        }
    }
}

/// How many entries a shard may have, and what goes where there are more.
#[derive(Clone, Copy, Debug)]
struct Limit {
    entries: usize,
    eviction: Eviction,
}

/// A shard on cache lines of its own: who works on one does not slow down who works on its neighbour.
#[derive(Debug)]
#[repr(align(64))]
struct Slot(Mutex<Shard>);

/// What the store holds, summed over its shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Keys, expired ones that were not yet removed included.
    pub keys: u64,
    /// Keys with a time to live.
    pub expiring: u64,
    /// Bytes of memory: entries, free space between them, large values, index.
    pub memory: u64,
    /// Keys removed because their time had come.
    pub expired: u64,
    /// Keys removed because memory was needed.
    pub evicted: u64,
    /// Changes ever made.
    pub changes: u64,
    /// Look-ups that found an entry, of those that are counted in the shards: the embedded cache's.
    pub hits: u64,
    /// Such that found none.
    pub misses: u64,
}

impl Store {
    /// The shards of an unbounded server. Enough that dozens of threads seldom meet in one, and that seven
    /// million keys are found through one table a shard; an empty shard costs 700 bytes.
    pub const SHARDS: usize = 1024;

    /// How many shards suit a bound on memory in bytes: each has 512 KiB at least, so that a small cache loses no hits
    /// to being divided.
    #[must_use]
    pub const fn shards_for(max_memory: u64) -> usize {
        const LEAST: u64 = 512 << 10;
        let most = max_memory / LEAST;
        if most >= Self::SHARDS as u64 {
            Self::SHARDS
        } else if most == 0 {
            1
        } else {
            1 << most.ilog2()
        }
    }

    /// An empty store.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        let hasher = Arc::new(KeyHasher::new(options.seed));
        let count = options.shards.clamp(1, 4096).next_power_of_two();
        let hints: Arc<[_]> = (0..count).map(|_| Hint::default()).collect();
        let board: Arc<[_]> = (0..count).map(|_| AtomicUsize::new(0)).collect();
        let agenda = Arc::new(Agenda::new(count));
        let ledger = &options.ledger;
        let shard = |shard| {
            let hints = Arc::clone(&hints);
            let notice = Notice { hints, shard };
            // What does not divide evenly goes to the first shards.
            let spare = usize::from(shard < options.max_entries % count);
            let limit = Limit {
                entries: (options.max_entries / count + spare).max(1),
                eviction: options.eviction,
            };
            let timers = Timers::new(&agenda, shard);
            let account = Account::new(ledger, &board, shard);
            Slot(Mutex::new(Shard::new(
                Arc::clone(&hasher),
                notice,
                account,
                limit,
                timers,
            )))
        };
        let shards = (0..count).map(shard).collect();
        Self {
            shards,
            hints,
            board,
            ledger: Arc::clone(ledger),
            hasher,
            journal: Journal::new(count, ledger),
            garbage: Mutex::new(Vec::new()),
            agenda,
            lags: Mutex::default(),
            progress: Mutex::default(),
            drawn: AtomicU64::new(0),
            asked: AtomicUsize::new(0),
        }
    }

    /// A key with its hash.
    #[inline]
    #[must_use]
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        Key::new(bytes, self.hasher.hash(bytes))
    }

    /// A key whose hash [`key`](Self::key) computed before.
    #[inline]
    pub(crate) fn known_key<'k>(&self, bytes: &'k [u8], hash: u64) -> Key<'k> {
        debug_assert_eq!(hash, self.hasher.hash(bytes));
        Key::new(bytes, hash)
    }

    /// Number of shards, a power of two.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// The shard that `key` belongs to.
    #[inline]
    #[must_use]
    pub fn shard_of(&self, key: &Key<'_>) -> usize {
        self.place(key.hash())
    }

    /// hashbrown takes the low bits of the hash for the bucket and the top seven for the tag, the index takes bits 44
    /// and up to choose a table; these are between.
    #[inline]
    fn place(&self, hash: u64) -> usize {
        (hash >> 32) as usize & (self.shards.len() - 1)
    }

    /// Asks for the memory that a look-up of a key with this hash reads first: its shard, and its part of the index.
    #[inline]
    pub(crate) fn prefetch_index(&self, hash: u64) {
        let place = self.place(hash);
        let shard = core::ptr::from_ref(&self.shards[place]).addr();
        // Whoever takes the lock writes to its line.
        prefetch_write(shard);
        prefetch(shard + 64);
        if !self.hints[place].prefetch(hash)
            && let Some(shard) = self.shards[place].0.try_lock()
        {
            shard.prefetch_index(hash);
        }
    }

    /// Asks for the entry itself, once [`prefetch_index`](Self::prefetch_index) has had time to work.
    #[inline]
    pub(crate) fn prefetch_entry(&self, hash: u64) {
        if let Some(shard) = self.shards[self.place(hash)].0.try_lock() {
            shard.prefetch_entry(hash);
        }
    }

    /// Asks for all of a shard that does not lie elsewhere.
    fn prefetch_shard(&self, index: usize) {
        let shard = core::ptr::from_ref(&self.shards[index]).addr();
        for line in (0..size_of::<Slot>()).step_by(64) {
            prefetch(shard + line);
        }
    }

    /// What orders changes, and knows what of them is durable.
    #[must_use]
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Has changes recorded from now on, in `epoch` and those after it. There must be no change under way.
    pub fn record(&self, epoch: Epoch) {
        self.journal.begin_recording(epoch);
        for index in 0..self.shards.len() {
            let pending = Box::new(self.journal.pending());
            self.hints[index].publish_pending(core::ptr::from_ref(&*pending).addr());
            self.lock(index).record(pending);
        }
    }

    /// Takes what a shard has recorded, and leaves `empty` in its place.
    pub(crate) fn take_pending(&self, index: usize, empty: Parcel) -> Parcel {
        // Not by `lock`: what was recorded before a flush is taken as well.
        self.shards[index].0.lock().take_pending(empty)
    }

    /// Locks one shard, in order to read. Whoever takes several must take them in ascending order, through
    /// [`lock_all`](Self::lock_all).
    ///
    /// # Panics
    /// If there is no shard `index`.
    #[inline]
    pub(crate) fn lock(&self, index: usize) -> Guard<'_, Shard> {
        let mut shard = self.shards[index].0.lock();
        let generation = self.generation();
        if !shard.is_of(generation) {
            self.renew(&mut shard, generation);
        }
        shard
    }

    /// Locks one shard, in order to change it.
    ///
    /// # Panics
    /// If there is no shard `index`.
    #[inline]
    pub(crate) fn lock_to_write(&self, index: usize) -> Guard<'_, Shard> {
        let mut shard = self.shards[index].0.lock();
        // Before the epoch is read: see the journal.
        if shard.wants_mark() {
            self.journal.mark(index);
        }
        let (epoch, generation) = self.journal.present();
        if !shard.is_of(generation) {
            self.renew(&mut shard, generation);
        }
        shard.set_stamp(epoch);
        shard
    }

    /// Locks the shards of `indexes`, which must ascend, to `write` or only to read. All of them see the same flushes,
    /// and their changes belong to the same epoch.
    pub(crate) fn lock_all(&self, indexes: &[usize], write: bool) -> Vec<Guard<'_, Shard>> {
        debug_assert!(indexes.is_sorted());
        let mut guards: Vec<_> = indexes
            .iter()
            .map(|&index| self.shards[index].0.lock())
            .collect();
        if write {
            for (shard, &index) in guards.iter_mut().zip(indexes) {
                if shard.wants_mark() {
                    self.journal.mark(index);
                }
            }
        }
        // Read once, with every lock held: a flush is seen by all of these shards or by none.
        let (epoch, generation) = self.journal.present();
        for shard in &mut guards {
            if !shard.is_of(generation) {
                self.renew(shard, generation);
            }
            if write {
                shard.set_stamp(epoch);
            }
        }
        guards
    }

    #[cold]
    fn renew(&self, shard: &mut Shard, generation: u64) {
        let fresh = Shard::successor(shard, generation);
        let old = core::mem::replace(shard, fresh);
        if !old.is_empty() {
            self.garbage.lock().push(old);
        }
    }

    /// A random number, another one at each call: the hash of a counter, as hard to predict as the seed.
    pub(crate) fn random(&self) -> u64 {
        self.hasher
            .hash(&self.drawn.fetch_add(1, Ordering::Relaxed).to_le_bytes())
    }

    /// The number of the last flush.
    #[inline]
    fn generation(&self) -> u64 {
        self.journal.flushed()
    }

    /// Removes every key, for everyone at once. Memory comes back by [`tick`](Self::tick).
    /// Returns the epoch that begins with it.
    pub fn flush(&self) -> Epoch {
        self.journal.flush()
    }

    /// Counts what there is. Takes every shard's lock, one after the other.
    #[must_use]
    pub fn census(&self) -> Census {
        let mut census = Census::default();
        for index in 0..self.shards.len() {
            self.lock(index).count(&mut census);
        }
        census
    }

    /// How many milliseconds after their ends entries were removed that nobody touched in between: those that
    /// [`tick`](Self::tick) removed.
    #[must_use]
    pub fn lags(&self) -> Histogram {
        self.lags.lock().clone()
    }

    /// Forgets [`lags`](Self::lags) up to now.
    pub fn reset_lags(&self) {
        *self.lags.lock() = Histogram::default();
    }

    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> u64 {
        (0..self.shards.len())
            .map(|index| self.lock(index).len() as u64)
            .sum()
    }

    /// Whether there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
