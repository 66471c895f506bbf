//! From a hash to handles: a directory of small hash tables.
//!
//! One table that doubles would stop the shard for as long as it takes to move all its entries (64 Ki slots: 3.8 ms).
//! Here a table of at most 8 Ki slots splits in two, and only it (extendible hashing: Fagin, Nievergelt, Pippenger and
//! Strong, 1979). A table never grows by itself: hashbrown would double one of constant population once tombstones
//! have used up its room (8,192 slots at half load: after 34,000 replacements).

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use hashbrown::HashTable;

use super::log::Handle;
use super::wheel::Remnant;
use crate::journal::Pending;
use crate::ledger::allocation;
use crate::prefetch::prefetch;

/// Slots of a table at most. Splitting one of them moves up to 7,168 entries, each a cache miss: about half a
/// millisecond.
const MAX_SLOTS: usize = 8 << 10;

/// The bits of the hash that choose a table: above those that choose the shard, below hashbrown's tag.
const DIRECTORY_SHIFT: u32 = 44;

/// Bits of the hash that can choose a table: 8 Ki tables, 58 million entries in one shard.
const MAX_DEPTH: u32 = 13;

/// Where hashbrown's tag begins: it takes the top seven bits of as much of a hash as fits a word.
const TAG_SHIFT: u32 = usize::BITS - TAG_BITS;

const TAG_BITS: u32 = 7;

/// Bits of a remnant that choose the bucket: all that a table has use for, unless it was split as often as can be.
const BUCKET_BITS: u32 = MAX_SLOTS.ilog2();

/// Bits of a remnant that choose the table: enough for 64 of them, 458,000 entries in one shard.
const DIRECTORY_BITS: u32 = Remnant::BITS - TAG_BITS - BUCKET_BITS;

/// What a look-up needs of a hash, in the bits of a remnant.
pub(super) const fn remnant(hash: u64) -> Remnant {
    let bucket = hash as u32 & ((1 << BUCKET_BITS) - 1);
    let directory = directory_bits(hash) as u32 & ((1 << DIRECTORY_BITS) - 1);
    let tag = (hash >> TAG_SHIFT) as u32 & ((1 << TAG_BITS) - 1);
    Remnant::new(tag << (DIRECTORY_BITS + BUCKET_BITS) | directory << BUCKET_BITS | bucket)
}

/// A hash of that remnant, whose other bits are 0.
const fn hash_with(remnant: Remnant) -> u64 {
    let bits = remnant.bits() as u64;
    let bucket = bits & ((1 << BUCKET_BITS) - 1);
    let directory = bits >> BUCKET_BITS & ((1 << DIRECTORY_BITS) - 1);
    let tag = bits >> (BUCKET_BITS + DIRECTORY_BITS);
    tag << TAG_SHIFT | directory << DIRECTORY_SHIFT | bucket
}

#[derive(Debug)]
struct Table {
    slots: HashTable<u32>,
    /// Bits of the hash that all its entries share.
    depth: u32,
    /// The address of its control bytes, for prefetching only; 0 until known.
    control: usize,
}

impl Table {
    const fn new(slots: HashTable<u32>, depth: u32) -> Self {
        Self {
            slots,
            depth,
            control: 0,
        }
    }

    /// Works out where the control bytes are. hashbrown lays the slots down backwards in front of them; if that were
    /// to change, the wrong lines would be asked for, and nothing else would happen.
    fn locate(&mut self) {
        let Some(bucket) = self.slots.iter_buckets().next() else {
            return;
        };
        if let Some(slot) = self.slots.get_bucket(bucket) {
            self.control = core::ptr::from_ref(slot).addr() + (bucket + 1) * size_of::<u32>();
        }
    }
}

/// Where the one table of a shard is, to be read without the shard's lock. It may be out of date at any moment: it
/// only serves to ask for cache lines.
#[derive(Debug, Default)]
pub(super) struct Hint {
    /// Address of the control bytes; 0 where the shard has several tables or none.
    control: AtomicUsize,
    mask: AtomicUsize,
    /// Address of what the shard has recorded and nobody has taken yet; 0 where nothing is recorded.
    pending: AtomicUsize,
}

impl Hint {
    /// Says where what is recorded is from now on.
    pub(super) fn publish_pending(&self, address: usize) {
        self.pending.store(address, Relaxed);
    }

    /// Asks for what a look-up of `hash` reads first; false where the hint does not know it.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) -> bool {
        let control = self.control.load(Relaxed);
        prefetch_group(control, self.mask.load(Relaxed), hash);
        let pending = self.pending.load(Relaxed);
        if pending != 0 {
            Pending::prefetch(pending);
        }
        control != 0
    }
}

/// The place among all shards' hints in which one shard's index tells where it is.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    pub(super) hints: Arc<[Hint]>,
    pub(super) shard: usize,
}

impl Notice {
    fn publish(&self, only: Option<&Table>) {
        let (control, mask) = match only {
            Some(table) if table.control != 0 => (table.control, table.slots.num_buckets() - 1),
            _ => (0, 0),
        };
        let hint = &self.hints[self.shard];
        hint.control.store(control, Relaxed);
        hint.mask.store(mask, Relaxed);
    }
}

/// Asks for the control bytes and the slots of the first group that a look-up of `hash` reads.
#[inline]
fn prefetch_group(control: usize, mask: usize, hash: u64) {
    /// Control bytes that are compared at once.
    const GROUP: usize = 16;
    let first = hash as usize & mask;
    prefetch(control.wrapping_add(first));
    prefetch(control.wrapping_sub((first + 1) * size_of::<u32>()));
    prefetch(control.wrapping_sub((first + GROUP) * size_of::<u32>()));
}

/// The index of one shard.
#[derive(Debug)]
#[repr(C)] // What every look-up reads comes first.
pub(super) struct Index {
    /// Table 0, in place: for a shard with one table, a look-up goes straight to it.
    first: Table,
    depth: u32,
    /// Number of entries. A shard holds 4 GiB of them, so fewer than that.
    len: u32,
    /// In memory of its own: the log, which every look-up reads too, begins behind this, and all of it is to lie in the
    /// first two cache lines of a shard.
    rest: Box<Rest>,
}

/// What only changes of the tables read, and look-ups where there are several.
#[derive(Debug)]
struct Rest {
    /// Bytes of memory of all of the index.
    memory: usize,
    /// By the low `depth` directory bits of the hash: the number of a table. Empty while there is one.
    directory: Vec<u32>,
    /// Table 1 and so on.
    more: Vec<Table>,
    notice: Notice,
}

/// Where a handle stands, until the index changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    table: usize,
    bucket: usize,
}

/// What an index asks of the entries that its handles stand for.
pub(super) trait Entries {
    /// The hash of an entry's key.
    fn hash(&self, handle: Handle) -> u64;

    /// Asks for the memory that [`hash`](Self::hash) reads.
    fn prefetch(&self, handle: Handle);
}

/// The handles of a table that is taken apart, with their hashes. Each entry is asked for some time before its turn:
/// they lie anywhere, and waiting for one after the other was most of the work.
fn take_apart(slots: HashTable<u32>, entries: &impl Entries) -> impl Iterator<Item = (u64, u32)> {
    /// Entries asked for ahead: as many lines as a core waits for at a time.
    const AHEAD: usize = 16;
    let handles: Vec<_> = slots.into_iter().collect();
    for &handle in handles.iter().take(AHEAD) {
        entries.prefetch(Handle(handle));
    }
    (0..handles.len()).map(move |place| {
        if let Some(&handle) = handles.get(place + AHEAD) {
            entries.prefetch(Handle(handle));
        }
        let handle = handles[place];
        (entries.hash(Handle(handle)), handle)
    })
}

const fn directory_bits(hash: u64) -> usize {
    (hash >> DIRECTORY_SHIFT) as usize
}

impl Index {
    /// An empty index that tells where it is in `notice`.
    pub(super) fn new(notice: Notice) -> Self {
        notice.publish(None);
        Self {
            first: Table::new(HashTable::new(), 0),
            depth: 0,
            len: 0,
            rest: Box::new(Rest {
                memory: size_of::<Rest>(),
                directory: Vec::new(),
                more: Vec::new(),
                notice,
            }),
        }
    }

    /// Where this index tells where it is.
    pub(super) const fn notice(&self) -> &Notice {
        &self.rest.notice
    }

    /// Number of entries.
    pub(super) const fn len(&self) -> usize {
        self.len as usize
    }

    #[inline]
    fn number_of(&self, hash: u64) -> usize {
        if self.depth == 0 {
            0
        } else {
            self.rest.directory[directory_bits(hash) & (self.rest.directory.len() - 1)] as usize
        }
    }

    #[inline]
    fn table(&self, number: usize) -> &Table {
        if number == 0 {
            &self.first
        } else {
            &self.rest.more[number - 1]
        }
    }

    fn table_mut(&mut self, number: usize) -> &mut Table {
        if number == 0 {
            &mut self.first
        } else {
            &mut self.rest.more[number - 1]
        }
    }

    #[inline]
    fn table_of(&self, hash: u64) -> &Table {
        self.table(self.number_of(hash))
    }

    /// All tables by number.
    fn tables(&self) -> impl Iterator<Item = &Table> + Clone {
        core::iter::once(&self.first).chain(&self.rest.more)
    }

    /// To be called when a table has changed its place or size.
    fn publish(&mut self) {
        self.rest.memory = size_of::<Rest>()
            + self.rest.directory.capacity() * size_of::<u32>()
            + self.rest.more.capacity() * size_of::<Table>()
            + self
                .tables()
                .map(|table| allocation(table.slots.allocation_size()))
                .sum::<usize>();
        self.rest.notice.publish(if self.rest.more.is_empty() {
            Some(&self.first)
        } else {
            None
        });
    }

    /// The handle under `hash` that `eq` accepts.
    #[inline(always)]
    pub(super) fn find(&self, hash: u64, mut eq: impl FnMut(Handle) -> bool) -> Option<Handle> {
        self.table_of(hash)
            .slots
            .find(hash, |&handle| eq(Handle(handle)))
            .copied()
            .map(Handle)
    }

    /// Asks for what a look-up of `hash` reads first.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        let table = self.table_of(hash);
        prefetch_group(
            table.control,
            table.slots.num_buckets().wrapping_sub(1),
            hash,
        );
    }

    /// The first handle that may be the one under `hash`: one in a hundred is not.
    #[inline]
    pub(super) fn guess(&self, hash: u64) -> Option<Handle> {
        self.table_of(hash)
            .slots
            .iter_hash(hash)
            .next()
            .copied()
            .map(Handle)
    }

    /// Handles that may stand under a hash of that remnant, among them all that do, and where they stand. None of them
    /// twice, unless a table is larger than a remnant can tell.
    pub(super) fn candidates(&self, remnant: Remnant) -> impl Iterator<Item = (Place, Handle)> {
        let hash = hash_with(remnant);
        // A directory that is wider than the remnant can tell has several tables that it may be, each to be looked at
        // under the first of its directory entries only.
        let wider = self.depth.saturating_sub(DIRECTORY_BITS);
        (0..1u64 << wider)
            .map(move |more| (more, hash | more << (DIRECTORY_SHIFT + DIRECTORY_BITS)))
            .map(|(more, hash)| (more, hash, self.number_of(hash)))
            .filter(|&(more, _, number)| {
                let depth = self.table(number).depth;
                more >> depth.saturating_sub(DIRECTORY_BITS) == 0
            })
            .flat_map(|(_, hash, table)| {
                let slots = &self.table(table).slots;
                let larger = (slots.num_buckets() >> BUCKET_BITS).max(1) as u64;
                (0..larger)
                    .flat_map(move |more| slots.iter_hash_buckets(hash | more << BUCKET_BITS))
                    .filter_map(move |bucket| {
                        let &handle = slots.get_bucket(bucket)?;
                        Some((Place { table, bucket }, Handle(handle)))
                    })
            })
    }

    /// Asks for what [`candidates`](Self::candidates) reads first.
    #[inline]
    pub(super) fn prefetch_remnant(&self, remnant: Remnant) {
        self.prefetch(hash_with(remnant));
    }

    /// The first handle that may be one of that remnant, in the first table that it may be in.
    #[inline]
    pub(super) fn guess_remnant(&self, remnant: Remnant) -> Option<Handle> {
        self.guess(hash_with(remnant))
    }

    /// Makes `new` stand where `old` stood.
    ///
    /// # Panics
    /// If `old` does not stand under `hash`.
    pub(super) fn replace(&mut self, hash: u64, old: Handle, new: Handle) {
        let number = self.number_of(hash);
        let slot = self
            .table_mut(number)
            .slots
            .find_mut(hash, |&handle| handle == old.0);
        *slot.expect("an entry is in the index") = new.0;
    }

    /// Takes `old` out.
    ///
    /// # Panics
    /// If `old` does not stand under `hash`.
    pub(super) fn remove(&mut self, hash: u64, old: Handle, entries: &impl Entries) {
        let number = self.number_of(hash);
        let slots = &mut self.table_mut(number).slots;
        match slots.find_entry(hash, |&handle| handle == old.0) {
            Ok(entry) => drop(entry.remove()),
            Err(_) => panic!("an entry is in the index"),
        }
        self.shrink(number, entries);
    }

    /// Takes out what stands at a place.
    ///
    /// # Panics
    /// If nothing stands there.
    pub(super) fn remove_at(&mut self, place: Place, entries: &impl Entries) {
        let slots = &mut self.table_mut(place.table).slots;
        match slots.get_bucket_entry(place.bucket) {
            Ok(entry) => drop(entry.remove()),
            Err(_) => panic!("a handle stands at its place"),
        }
        self.shrink(place.table, entries);
    }

    /// Counts a handle that went, and gives memory back once seven eighths of its table are empty. Half of what is left
    /// is full then.
    fn shrink(&mut self, number: usize, entries: &impl Entries) {
        self.len -= 1;
        let slots = &self.table(number).slots;
        if slots.num_buckets() > 64 && slots.len() < slots.num_buckets() / 8 {
            let wanted = slots.len() * 3 / 2;
            self.rebuild(number, wanted, entries);
        }
    }

    /// Adds a handle.
    pub(super) fn insert(&mut self, hash: u64, new: Handle, entries: &impl Entries) {
        let mut number = self.number_of(hash);
        let slots = &self.table(number).slots;
        if slots.len() == slots.capacity() {
            self.make_room(number, entries);
            number = self.number_of(hash);
        }
        let table = self.table_mut(number);
        table
            .slots
            .insert_unique(hash, new.0, |&handle| entries.hash(Handle(handle)));
        if table.control == 0 {
            table.locate();
            self.publish();
        }
        self.len += 1;
    }

    /// Rebuilds a table that has no slot left: at the same size where tombstones fill it, at twice the size, or as two.
    #[cold]
    fn make_room(&mut self, number: usize, entries: &impl Entries) {
        let slots = &self.table(number).slots;
        let (len, full) = (slots.len(), slots.num_buckets() / 8 * 7);
        // An eighth of the room at least must come back: rebuilding then costs what half a microsecond a change is. More
        // would double the tables of a shard that evicts, whose population is as constant as its memory.
        let wanted = if len <= full / 8 * 7 { full } else { full + 1 };
        if wanted > MAX_SLOTS / 8 * 7 && self.table(number).depth < MAX_DEPTH {
            self.split(number, entries);
        } else {
            self.rebuild(number, wanted.max(len + 1), entries);
        }
    }

    fn rebuild(&mut self, number: usize, capacity: usize, entries: &impl Entries) {
        let old = core::mem::take(&mut self.table_mut(number).slots);
        let mut new = HashTable::with_capacity(capacity);
        for (hash, handle) in take_apart(old, entries) {
            new.insert_unique(hash, handle, |&handle| entries.hash(Handle(handle)));
        }
        let table = self.table_mut(number);
        *table = Table::new(new, table.depth);
        table.locate();
        self.publish();
    }

    /// Splits a table by one more bit of the hash, doubling the directory where it has no entry for that bit.
    fn split(&mut self, number: usize, entries: &impl Entries) {
        let bit = self.table(number).depth;
        if bit == self.depth {
            if self.depth == 0 {
                self.rest.directory = vec![0];
            }
            self.rest.directory.extend_from_within(..);
            self.depth += 1;
        }
        let old = core::mem::take(&mut self.table_mut(number).slots);
        // Half each, with room for the other half to come; an uneven split may still need to grow.
        let room = old.len() / 8 * 5 + 1;
        let mut halves = [
            HashTable::with_capacity(room),
            HashTable::with_capacity(room),
        ];
        for (hash, handle) in take_apart(old, entries) {
            let half = &mut halves[directory_bits(hash) >> bit & 1];
            half.insert_unique(hash, handle, |&handle| entries.hash(Handle(handle)));
        }
        let [low, high] = halves;
        let (mut low, mut high) = (Table::new(low, bit + 1), Table::new(high, bit + 1));
        low.locate();
        high.locate();
        *self.table_mut(number) = low;
        self.rest.more.push(high);
        let new = self.rest.more.len() as u32;
        self.publish();
        for (place, table) in self.rest.directory.iter_mut().enumerate() {
            if *table == number as u32 && place >> bit & 1 == 1 {
                *table = new;
            }
        }
    }

    /// A handle chosen by a random number, each with the same chance; `None` where there is none.
    pub(super) fn sample(&self, mut random: u64) -> Option<Handle> {
        /// Slots tried before one is searched for, with less regard for chance. Tables are a third full at least,
        /// unless many keys were deleted from some and few from others.
        const TRIES: usize = 64;
        // Every slot gets the same chance: in a smaller table than the widest, there are slots that do not exist.
        let count = self.rest.more.len() + 1;
        let widest = if count == 1 {
            self.first.slots.num_buckets()
        } else {
            MAX_SLOTS
        };
        for _ in 0..TRIES {
            // A linear congruential generator with Knuth's constants; its high bits are the good ones.
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let table = ((random >> 48) as usize * count) >> 16;
            let bucket = (random >> 24) as usize % widest;
            let slots = &self.table(table).slots;
            if bucket < slots.num_buckets()
                && let Some(&handle) = slots.get_bucket(bucket)
            {
                return Some(Handle(handle));
            }
        }
        let first = (random >> 48) as usize % count;
        let mut rest = self.tables().cycle().skip(first).take(count);
        rest.find_map(|table| table.slots.iter().next())
            .copied()
            .map(Handle)
    }

    /// Bytes of memory.
    #[inline]
    pub(super) fn memory(&self) -> usize {
        self.rest.memory
    }

    /// Checks the directory, and calls `check` with every handle and whether it stands in the table of that hash.
    #[cfg(test)]
    pub(super) fn validate(&self, hash_of: impl Fn(Handle) -> u64) {
        assert_eq!(
            self.rest.directory.len(),
            if self.depth == 0 { 0 } else { 1 << self.depth }
        );
        assert_eq!(
            self.len(),
            self.tables().map(|table| table.slots.len()).sum::<usize>()
        );
        for (number, table) in self.tables().enumerate() {
            let references = self
                .rest
                .directory
                .iter()
                .filter(|&&entry| entry as usize == number)
                .count();
            if self.depth > 0 {
                assert_eq!(
                    references,
                    1 << (self.depth - table.depth),
                    "directory entries of table {number}"
                );
            }
            for &handle in &table.slots {
                assert_eq!(
                    self.number_of(hash_of(Handle(handle))),
                    number,
                    "an entry stands in its table"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes by handle: as good as random, but few different ones in the directory's upper bits.
    fn hash_of(handle: Handle) -> u64 {
        u64::from(handle.0 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(handle.0) << 20
    }

    /// Entries that are nothing but their hashes.
    struct Hashes;

    impl Entries for Hashes {
        fn hash(&self, handle: Handle) -> u64 {
            hash_of(handle)
        }

        fn prefetch(&self, _: Handle) {}
    }

    fn filled(entries: u32) -> Index {
        let hints = (0..1).map(|_| Hint::default()).collect();
        let mut index = Index::new(Notice { hints, shard: 0 });
        for number in 0..entries {
            index.insert(hash_of(Handle(number)), Handle(number), &Hashes);
        }
        index.validate(hash_of);
        index
    }

    #[test]
    fn a_remnant_finds_every_entry_once_among_few() {
        // From one table to more of them than a remnant tells from each other.
        for entries in [1, 100, 5_000, 60_000, 900_000] {
            let mut index = filled(entries);
            let step = (entries as usize / 2_000).max(1);
            let (mut found, mut looked) = (0, 0);
            for number in (0..entries).step_by(step) {
                let remnant = remnant(hash_of(Handle(number)));
                let candidates: Vec<_> = index.candidates(remnant).collect();
                let mut those = candidates.iter().filter(|(_, of)| of.0 == number);
                let &(place, handle) = those.next().expect("an entry is a candidate");
                assert_eq!(those.count(), 0, "{number} of {entries}");
                let is_it = |of: Handle| of == handle;
                index.remove_at(place, &Hashes);
                assert_eq!(index.find(hash_of(handle), is_it), None);
                index.insert(hash_of(handle), handle, &Hashes);
                assert_eq!(index.find(hash_of(handle), is_it), Some(handle));
                looked += 1;
                found += candidates.len();
            }
            let tables = 1 << index.depth.saturating_sub(DIRECTORY_BITS);
            assert!(found <= looked * (1 + tables), "{found} for {looked}");
        }
    }

    #[test]
    fn a_remnant_is_what_a_look_up_needs_of_a_hash() {
        for number in 0..1_000 {
            let remnant = remnant(hash_of(Handle(number)));
            assert_eq!(super::remnant(hash_with(remnant)), remnant);
        }
    }
}
