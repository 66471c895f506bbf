//! One shard: index, log and large values behind one lock. What changes it is in `commit.rs`.

use alloc::boxed::Box;
#[cfg(test)]
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::account::Account;
use super::blobs::Blobs;
use super::entry::{self, Anchor, Data, Header, Item, Kind};
use super::expiry::Timers;
use super::index::{Entries, Index, Notice, Place};
use super::key::{Key, KeyHasher};
use super::log::{Handle, Log};
use super::policy::Policy;
use super::position::{Position, Queue};
use super::{Census, Limit};
use crate::Millis;
use crate::buffer::Blob;
use crate::journal::Pending;

/// A part of the store behind one lock.
#[derive(Debug)]
#[repr(C)] // What every look-up reads comes first, in two cache lines with the lock; what every change writes is in the first.
pub struct Shard {
    /// The lowest bits of the number of the flush that it has noticed. None is noticed as late as the 2³²nd after it.
    generation: u32,
    pub(super) anchor: Anchor,
    pub(super) changes: u64,
    /// Look-ups that found an entry, where they are counted here.
    hits: u64,
    /// Where changes are recorded.
    pub(super) pending: Option<Box<Pending>>,
    pub(super) index: Index,
    pub(super) log: Log,
    /// Look-ups that found none.
    misses: u64,
    pub(super) blobs: Blobs,
    pub(super) hasher: Arc<KeyHasher>,
    account: Account,
    pub(super) limit: Limit,
    pub(super) policy: Policy,
    pub(super) timers: Timers,
    pub(super) expiring: usize,
    pub(super) expired: u64,
    pub(super) evicted: u64,
    /// See [`pace`](Self::pace).
    mark: Position,
    pace: u8,
}

impl Shard {
    pub(super) fn new(
        hasher: Arc<KeyHasher>,
        notice: Notice,
        account: Account,
        limit: Limit,
        timers: Timers,
    ) -> Self {
        Self {
            generation: 0,
            anchor: Anchor::default(),
            changes: 0,
            hits: 0,
            misses: 0,
            pending: None,
            log: Log::new(1, notice.shard),
            index: Index::new(notice),
            blobs: Blobs::default(),
            hasher,
            account,
            limit,
            policy: Policy::new(),
            expiring: 0,
            expired: 0,
            timers,
            evicted: 0,
            mark: Position::default(),
            pace: 0,
        }
    }

    /// An empty shard to take the place of `flushed`: its positions go on behind those of the old one, so that a cursor
    /// from before the flush meets what was written after it.
    pub(super) fn successor(flushed: &mut Self, generation: u64) -> Self {
        flushed.record_dirty();
        Self {
            generation: generation as u32,
            pending: flushed.pending.take(),
            log: Log::new(flushed.log.next_sequence(), flushed.index.notice().shard),
            expired: flushed.expired,
            evicted: flushed.evicted,
            changes: flushed.changes,
            hits: flushed.hits,
            misses: flushed.misses,
            ..Self::new(
                Arc::clone(&flushed.hasher),
                flushed.index.notice().clone(),
                flushed.account.successor(),
                flushed.limit,
                flushed.timers.successor(),
            )
        }
    }

    /// Whether the flush of this number is the last one that it has noticed.
    #[inline]
    pub(super) const fn is_of(&self, generation: u64) -> bool {
        self.generation == generation as u32
    }

    /// Number of keys, expired ones that were not yet removed included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are no keys.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.index.len() == 0
    }

    /// Whether one more entry is more than the limit, where entries are counted.
    pub(crate) const fn is_full(&self) -> bool {
        self.index.len() >= self.limit.entries
    }

    #[inline(always)]
    fn handle(&self, key: &Key<'_>) -> Option<Handle> {
        self.index.find(key.hash(), |handle| {
            entry::has_key(self.log.at(handle), key.bytes())
        })
    }

    #[inline]
    pub(super) fn find(&self, key: &Key<'_>) -> Option<(Handle, Header)> {
        let handle = self.handle(key)?;
        Some((handle, Header::read(self.log.at(handle))))
    }

    /// Asks for what a look-up of `hash` reads in the index.
    #[inline]
    pub(super) fn prefetch_index(&self, hash: u64) {
        self.index.prefetch(hash);
    }

    /// Asks for the entry that a look-up of `hash` reads, once its part of the index is there.
    #[inline]
    pub(super) fn prefetch_entry(&self, hash: u64) {
        if let Some(handle) = self.index.guess(hash) {
            self.log.prefetch(handle);
        }
        if let Some(pending) = &self.pending {
            pending.prefetch_end();
        }
    }

    #[inline]
    fn item(&self, handle: Handle, header: &Header) -> Item<'_> {
        let bytes = self.log.at(handle);
        let data = match header.blob(bytes) {
            None => Data::Inline(header.value(bytes)),
            Some(number) => Data::Blob(self.blobs.get(number)),
        };
        Item {
            kind: header.kind(),
            expires: header.expires(bytes, self.anchor),
            data,
        }
    }

    /// The value of `key`, which was asked for: eviction keeps it the longer. One whose time has come is gone.
    // What it calls as well: out of line, an item goes through memory, 2 % of a look-up in the embedded cache.
    #[inline(always)]
    #[must_use]
    pub fn get(&mut self, key: &Key<'_>, now: Millis) -> Option<Item<'_>> {
        let handle = self.handle(key)?;
        entry::touch(self.log.at_mut(handle));
        self.item_at(handle, now)
    }

    /// Counts a look-up: under the lock that it needs anyway, whose line is written anyway.
    #[inline]
    pub(crate) const fn count_look_up(&mut self, hit: bool) {
        if hit {
            self.hits += 1;
        } else {
            self.misses += 1;
        }
    }

    /// Counts a hit as a miss: what was found had ended.
    pub(crate) const fn count_as_miss(&mut self) {
        self.hits -= 1;
        self.misses += 1;
    }

    /// The value of `key`, without consequences.
    #[inline]
    #[must_use]
    pub fn peek(&self, key: &Key<'_>, now: Millis) -> Option<Item<'_>> {
        self.item_at(self.handle(key)?, now)
    }

    #[inline(always)]
    fn item_at(&self, handle: Handle, now: Millis) -> Option<Item<'_>> {
        let bytes = self.log.at(handle);
        if let Some(value) = entry::plain_value(bytes) {
            return Some(Item {
                kind: Kind::String,
                expires: None,
                data: Data::Inline(value),
            });
        }
        let header = Header::read(bytes);
        (!header.is_due(bytes, self.anchor, now)).then(|| self.item(handle, &header))
    }

    /// Bytes of memory.
    #[inline]
    pub(super) fn memory(&self) -> usize {
        self.log.memory()
            + self.index.memory()
            + self.blobs.memory()
            + self.policy.memory()
            + self.timers.memory()
    }

    /// Cleans up behind a change, and says how much memory there is now.
    #[inline]
    pub(super) fn settle(&mut self) {
        self.clean();
        self.account.tell(self.memory());
    }

    /// Removes an entry; returns its large value.
    pub(super) fn remove(&mut self, hash: u64, handle: Handle, header: &Header) -> Option<Blob> {
        self.index.remove(hash, handle, &(&self.log, &*self.hasher));
        self.bury(handle, header)
    }

    /// The same, where its place in the index is known.
    pub(super) fn remove_at(
        &mut self,
        place: Place,
        handle: Handle,
        header: &Header,
    ) -> Option<Blob> {
        self.index.remove_at(place, &(&self.log, &*self.hasher));
        self.bury(handle, header)
    }

    /// Removes an entry that has gone from the index.
    fn bury(&mut self, handle: Handle, header: &Header) -> Option<Blob> {
        let blob = header.blob(self.log.at(handle));
        self.forget_dirty(handle);
        self.log.kill(handle, header.size());
        self.forget_end(header);
        blob.map(|number| self.blobs.remove(number))
    }

    /// An entry that may have had an end has gone, or has another.
    pub(super) fn forget_end(&mut self, header: &Header) {
        if header.has_expiry() {
            self.expiring -= 1;
            self.renew_timers();
        }
    }

    /// The hash of an entry's key.
    pub(super) fn hash_of(&self, handle: Handle) -> u64 {
        (&self.log, &*self.hasher).hash(handle)
    }

    /// Gives an extent back where too much of the log is dead. One a change keeps up: a change kills less than one
    /// extent, and the sparsest of a log that wastes a quarter wastes a quarter at least.
    #[inline]
    fn clean(&mut self) {
        if let Some(number) = self.log.sparsest() {
            self.empty(number);
        }
    }

    /// Moves the live entries of an extent to the head of its queue; the extent goes with the last of them.
    #[cold]
    fn empty(&mut self, number: u32) {
        let ask = |(old, header): (Handle, Header)| {
            let hash = self.hash_of(old);
            self.index.prefetch(hash);
            (old, header, hash)
        };
        let mut live = Vec::with_capacity(self.log.count(number));
        live.extend(self.log.entries(number).map(ask));
        for (old, header, hash) in live {
            let queue = self.log.queue_of(old);
            if self.relocate(old, &header, hash, queue).is_none() {
                return;
            }
        }
    }

    /// Moves an entry to the head of a queue; `None` where the shard has no more extents.
    pub(super) fn relocate(
        &mut self,
        old: Handle,
        header: &Header,
        hash: u64,
        queue: Queue,
    ) -> Option<Handle> {
        let new = self.log.relocate(old, header.size(), queue)?;
        self.index.replace(hash, old, new);
        self.move_dirty(old, new);
        Some(new)
    }

    /// Calls `visit` with the keys and values from `from` on until it says to stop, or until `steps` entries were
    /// passed; those whose value was replaced or has expired are passed without a call, and count too. What was passed
    /// is taken off `steps`. Returns where to go on, or `None` at the end.
    ///
    /// Going on until the end meets every key that is present throughout, some perhaps twice.
    pub fn walk(
        &self,
        from: Position,
        steps: &mut usize,
        now: Millis,
        mut visit: impl FnMut(Position, &[u8], Item<'_>) -> bool,
    ) -> Option<Position> {
        self.log.walk(from, steps, |handle, header| {
            let bytes = self.log.at(handle);
            header.is_due(bytes, self.anchor, now)
                || visit(
                    self.log.position(handle),
                    header.key(bytes),
                    self.item(handle, header),
                )
        })
    }

    /// The position behind the newest entry of the queue that a walk which goes on at `at` is in.
    #[must_use]
    pub fn head(&self, at: Position) -> Position {
        self.log.head(at.queue())
    }

    /// How much a walk that is made of many requests must hurry when it goes on at `at`: how many times it doubles what
    /// it does at a time.
    ///
    /// Whoever rewrites entries faster than they are walked drives the head before the walk for ever. So the head is
    /// noted when a walk begins with a queue here, and again when one comes to where it was noted, which then hurries
    /// more. One note does for all walks: that of another may be taken for one's own, and then some hurry too early or
    /// too late.
    pub fn pace(&mut self, at: Position) -> u8 {
        /// Entries by the hundred thousand at a time: no head is driven faster.
        const MOST: u8 = 8;
        if at == Position::default() {
            self.mark = self.head(at);
            self.pace = 0;
        } else if !at.is_beside(self.mark) {
            self.mark = self.head(at);
        } else if at >= self.mark {
            self.mark = self.head(at);
            self.pace = MOST.min(self.pace + 1);
        }
        self.pace
    }

    /// A key chosen by a random number, and whether it has ended; `None` where the shard is empty.
    #[must_use]
    pub fn sample(&self, random: u64, now: Millis) -> Option<(&[u8], bool)> {
        let bytes = self.log.at(self.index.sample(random)?);
        let header = Header::read(bytes);
        Some((header.key(bytes), header.is_due(bytes, self.anchor, now)))
    }

    pub(super) fn count(&self, census: &mut Census) {
        census.keys += self.index.len() as u64;
        census.expiring += self.expiring as u64;
        census.memory += self.memory() as u64;
        census.expired += self.expired;
        census.evicted += self.evicted;
        census.changes += self.changes;
        census.hits += self.hits;
        census.misses += self.misses;
    }
}

#[cfg(test)]
impl Shard {
    /// Checks index, log and large values against each other: every live entry is found by its key, every sum is that
    /// of the entries, every large value belongs to one of them.
    pub(super) fn validate(&self) {
        let hash_of = |handle| self.hash_of(handle);
        self.log.validate();
        self.index.validate(hash_of);
        let (mut entries, mut ends, mut blobs) = (0, Vec::new(), Vec::new());
        let mut dirty = BTreeSet::new();
        let end = self.log.walk(
            Position::default(),
            &mut { usize::MAX },
            |handle, header| {
                let bytes = self.log.at(handle);
                let key = Key::new(header.key(bytes), hash_of(handle));
                let found = self.find(&key).map(|(found, _)| found);
                assert_eq!(found, Some(handle), "a live entry is found by its key");
                entries += 1;
                ends.extend(
                    header
                        .expires(bytes, self.anchor)
                        .map(|end| (key.hash(), end)),
                );
                blobs.extend(header.blob(bytes));
                dirty.extend(entry::is_dirty(bytes).then_some(handle.0));
                true
            },
        );
        assert_eq!(end, None);
        assert_eq!(
            entries,
            self.index.len(),
            "live entries and those in the index"
        );
        assert_eq!(ends.len(), self.expiring, "entries with a time to live");
        self.validate_timers(&ends);
        blobs.sort_unstable();
        self.blobs.validate(&blobs);
        let listed = self.pending.iter().flat_map(|pending| pending.dirty());
        let listed = listed.map(|handle| handle.0).collect::<BTreeSet<u32>>();
        assert_eq!(dirty, listed, "dirty entries, and what is listed as such");
        let count = self
            .pending
            .as_ref()
            .map_or(0, |pending| pending.dirty().len());
        assert_eq!(listed.len(), count, "each is listed once");
    }

    /// When the first entry ends that has not been removed.
    pub(super) fn first_end(&self) -> Option<Millis> {
        let mut first = None;
        self.log.walk(
            Position::default(),
            &mut { usize::MAX },
            |handle, header| {
                let end = header.expires(self.log.at(handle), self.anchor);
                first = first.into_iter().chain(end).min();
                true
            },
        );
        first
    }

    /// Bytes of live entries, and of the memory that they lie in.
    pub(super) fn occupancy(&self) -> (usize, usize) {
        self.log.occupancy()
    }
}

impl Entries for (&Log, &KeyHasher) {
    fn hash(&self, handle: Handle) -> u64 {
        let (log, hasher) = self;
        let bytes = log.at(handle);
        hasher.hash(Header::read(bytes).key(bytes))
    }

    fn prefetch(&self, handle: Handle) {
        self.0.prefetch(handle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Options, Store};

    /// What a look-up reads of a shard lies in the two lines that are asked for ahead.
    #[test]
    fn a_look_up_reads_two_lines() {
        let store = Store::new(&Options::default());
        let start = core::ptr::from_ref(&store.shards[0]).addr();
        let log = core::ptr::from_ref(&store.lock(0).log).addr();
        assert!(start.is_multiple_of(64));
        assert!(log - start + Log::HEAD <= 2 * 64, "{}", log - start);
    }
}
