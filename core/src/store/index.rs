//! From a hash to handles: a directory of small hash tables.
//!
//! One table that doubles would stop the shard for as long as it takes to move all its entries (64 Ki slots: 3.8 ms).
//! Here a table of at most 8 Ki slots splits in two, and only it (extendible hashing: Fagin, Nievergelt, Pippenger and
//! Strong, 1979). A table never grows by itself: hashbrown would double one of constant population once tombstones
//! have used up its room (8,192 slots at half load: after 34,000 replacements).

use alloc::vec;
use alloc::vec::Vec;

use hashbrown::HashTable;

use super::log::Handle;
use crate::prefetch::prefetch;

/// Slots of a table at most. Splitting one of them moves up to 7,168 entries, each a cache miss: about half a
/// millisecond.
const MAX_SLOTS: usize = 8 << 10;

/// The bits of the hash that choose a table: above those that choose the shard, below hashbrown's tag.
const DIRECTORY_SHIFT: u32 = 44;

/// Bits of the hash that can choose a table: 8 Ki tables, 58 million entries in one shard.
const MAX_DEPTH: u32 = 13;

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
        Self { slots, depth, control: 0 }
    }

    /// Works out where the control bytes are. hashbrown lays the slots down backwards in front of them; if that were
    /// to change, the wrong lines would be asked for, and nothing else would happen.
    fn locate(&mut self) {
        let Some(bucket) = self.slots.iter_buckets().next() else { return };
        if let Some(slot) = self.slots.get_bucket(bucket) {
            self.control = core::ptr::from_ref(slot).addr() + (bucket + 1) * size_of::<u32>();
        }
    }

    /// Asks for the control bytes and the slots of the first group that a look-up of `hash` reads.
    #[inline]
    fn prefetch(&self, hash: u64) {
        /// Control bytes that are compared at once.
        const GROUP: usize = 16;
        let first = hash as usize & (self.slots.num_buckets().wrapping_sub(1));
        prefetch(self.control.wrapping_add(first));
        prefetch(self.control.wrapping_sub((first + 1) * size_of::<u32>()));
        prefetch(self.control.wrapping_sub((first + GROUP) * size_of::<u32>()));
    }
}

/// The index of one shard.
#[derive(Debug)]
pub(super) struct Index {
    /// By the low `depth` directory bits of the hash: the number of a table.
    directory: Vec<u32>,
    depth: u32,
    tables: Vec<Table>,
    len: usize,
}

const fn directory_bits(hash: u64) -> usize {
    (hash >> DIRECTORY_SHIFT) as usize
}

impl Index {
    pub(super) fn new() -> Self {
        Self { directory: vec![0], depth: 0, tables: vec![Table::new(HashTable::new(), 0)], len: 0 }
    }

    /// Number of entries.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    #[inline]
    fn table_of(&self, hash: u64) -> usize {
        self.directory[directory_bits(hash) & (self.directory.len() - 1)] as usize
    }

    /// The handle under `hash` that `eq` accepts.
    #[inline]
    pub(super) fn find(&self, hash: u64, mut eq: impl FnMut(Handle) -> bool) -> Option<Handle> {
        self.tables[self.table_of(hash)].slots.find(hash, |&handle| eq(Handle(handle))).copied().map(Handle)
    }

    /// Asks for what a look-up of `hash` reads first.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        self.tables[self.table_of(hash)].prefetch(hash);
    }

    /// The first handle that may be the one under `hash`: one in a hundred is not.
    #[inline]
    pub(super) fn guess(&self, hash: u64) -> Option<Handle> {
        self.tables[self.table_of(hash)].slots.iter_hash(hash).next().copied().map(Handle)
    }

    /// Makes `new` stand where `old` stood.
    ///
    /// # Panics
    /// If `old` does not stand under `hash`.
    pub(super) fn replace(&mut self, hash: u64, old: Handle, new: Handle) {
        let table = self.table_of(hash);
        let slot = self.tables[table].slots.find_mut(hash, |&handle| handle == old.0);
        *slot.expect("an entry is in the index") = new.0;
    }

    /// Takes `old` out. `hash_of` gives the hash of any other handle in the index.
    ///
    /// # Panics
    /// If `old` does not stand under `hash`.
    pub(super) fn remove(&mut self, hash: u64, old: Handle, hash_of: impl Fn(Handle) -> u64) {
        let table = self.table_of(hash);
        let slots = &mut self.tables[table].slots;
        match slots.find_entry(hash, |&handle| handle == old.0) {
            Ok(entry) => entry.remove(),
            Err(_) => panic!("an entry is in the index"),
        };
        self.len -= 1;
        // Memory comes back once seven eighths are empty; half of what is given is left as room.
        if slots.num_buckets() > 64 && slots.len() < slots.num_buckets() / 8 {
            let wanted = slots.len() * 2;
            self.rebuild(table, wanted, &hash_of);
        }
    }

    /// Adds a handle. `hash_of` gives the hash of any handle in the index.
    pub(super) fn insert(&mut self, hash: u64, new: Handle, hash_of: impl Fn(Handle) -> u64) {
        let mut table = self.table_of(hash);
        if self.tables[table].slots.len() == self.tables[table].slots.capacity() {
            self.make_room(table, &hash_of);
            table = self.table_of(hash);
        }
        let table = &mut self.tables[table];
        table.slots.insert_unique(hash, new.0, |&handle| hash_of(Handle(handle)));
        self.len += 1;
        if table.control == 0 {
            table.locate();
        }
    }

    /// Rebuilds a table that has no slot left: at the same size where tombstones fill it, at twice the size, or as two.
    #[cold]
    fn make_room(&mut self, number: usize, hash_of: &impl Fn(Handle) -> u64) {
        let slots = &self.tables[number].slots;
        let (len, full) = (slots.len(), slots.num_buckets() / 8 * 7);
        let wanted = if len <= full / 4 * 3 { full } else { full + 1 };
        if wanted > MAX_SLOTS / 8 * 7 && self.tables[number].depth < MAX_DEPTH {
            self.split(number, hash_of);
        } else {
            self.rebuild(number, wanted.max(len + 1), hash_of);
        }
    }

    fn rebuild(&mut self, number: usize, capacity: usize, hash_of: &impl Fn(Handle) -> u64) {
        let old = core::mem::take(&mut self.tables[number].slots);
        let mut new = HashTable::with_capacity(capacity);
        for handle in old {
            new.insert_unique(hash_of(Handle(handle)), handle, |&handle| hash_of(Handle(handle)));
        }
        let table = &mut self.tables[number];
        *table = Table::new(new, table.depth);
        table.locate();
    }

    /// Splits a table by one more bit of the hash, doubling the directory where it has no entry for that bit.
    fn split(&mut self, number: usize, hash_of: &impl Fn(Handle) -> u64) {
        let bit = self.tables[number].depth;
        if bit == self.depth {
            self.directory.extend_from_within(..);
            self.depth += 1;
        }
        let old = core::mem::take(&mut self.tables[number].slots);
        // Half each, with room for the other half to come; an uneven split may still need to grow.
        let room = old.len() / 8 * 5 + 1;
        let mut halves = [HashTable::with_capacity(room), HashTable::with_capacity(room)];
        for handle in old {
            let hash = hash_of(Handle(handle));
            let half = &mut halves[directory_bits(hash) >> bit & 1];
            half.insert_unique(hash, handle, |&handle| hash_of(Handle(handle)));
        }
        let [low, high] = halves;
        let new = self.tables.len() as u32;
        self.tables[number] = Table::new(low, bit + 1);
        self.tables.push(Table::new(high, bit + 1));
        self.tables[number].locate();
        self.tables[new as usize].locate();
        for (place, table) in self.directory.iter_mut().enumerate() {
            if *table == number as u32 && place >> bit & 1 == 1 {
                *table = new;
            }
        }
    }

    /// The handle in some slot at or behind the `random`-th, going round.
    pub(super) fn sample(&self, random: u64) -> Option<Handle> {
        let first = random as usize % self.tables.len();
        let mut rest = self.tables.iter().cycle().skip(first).take(self.tables.len());
        let slots = &rest.find(|table| !table.slots.is_empty())?.slots;
        let buckets = slots.num_buckets();
        let first = (random >> 32) as usize % buckets;
        (first..buckets).chain(0..first).find_map(|bucket| slots.get_bucket(bucket)).copied().map(Handle)
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        self.directory.capacity() * size_of::<u32>()
            + self.tables.capacity() * size_of::<Table>()
            + self.tables.iter().map(|table| table.slots.allocation_size()).sum::<usize>()
    }

    /// Checks the directory, and calls `check` with every handle and whether it stands in the table of that hash.
    #[cfg(test)]
    pub(super) fn validate(&self, hash_of: impl Fn(Handle) -> u64) {
        assert_eq!(self.directory.len(), 1 << self.depth);
        assert_eq!(self.len, self.tables.iter().map(|table| table.slots.len()).sum::<usize>());
        for (number, table) in self.tables.iter().enumerate() {
            let references = self.directory.iter().filter(|&&entry| entry as usize == number).count();
            assert_eq!(references, 1 << (self.depth - table.depth), "directory entries of table {number}");
            for &handle in &table.slots {
                assert_eq!(self.table_of(hash_of(Handle(handle))), number, "an entry stands in its table");
            }
        }
    }
}
