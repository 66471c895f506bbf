//! A walk through all entries.

use alloc::vec;
use alloc::vec::Vec;

use super::{Bytes, Cache};
use crate::store::Position;

/// Entries that are copied under one lock: a few microseconds.
const SLICE: usize = 64;

/// The keys and values of a [`Cache`]. Made by [`Cache::iter`].
#[derive(Debug)]
pub struct Iter<'c> {
    cache: &'c Cache,
    shard: usize,
    position: Position,
    /// What was copied and is yet to be given.
    slice: vec::IntoIter<(Bytes, Bytes)>,
}

impl Cache {
    /// The keys and values, in no particular order, while other threads use the cache.
    ///
    /// An entry that is there from the first call of `next` to the last is met, at least once; one that is replaced or
    /// moved meanwhile perhaps twice; one that is put in or removed meanwhile perhaps not. A few entries at a time are
    /// copied under a shard's lock, and no lock is held between two calls, however slowly they follow each other.
    /// Nothing counts as used by being met.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use ant_cache_core::Cache;
    ///
    /// let cache = Cache::builder().build();
    /// cache.insert("a", b"1")?;
    /// cache.insert("b", b"22")?;
    /// let bytes: usize = cache.iter().map(|(key, value)| key.len() + value.len()).sum();
    /// assert_eq!(bytes, 5);
    /// # }
    /// # Ok::<(), ant_cache_core::cache::InsertError>(())
    /// ```
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            cache: self,
            shard: 0,
            position: Position::default(),
            slice: Vec::new().into_iter(),
        }
    }
}

impl<'c> IntoIterator for &'c Cache {
    type Item = (Bytes, Bytes);
    type IntoIter = Iter<'c>;

    fn into_iter(self) -> Iter<'c> {
        self.iter()
    }
}

impl Iter<'_> {
    /// Copies the next few entries; none where this shard has no more.
    fn fill(&mut self) {
        let mut slice = Vec::with_capacity(SLICE);
        let now = self.cache.now();
        let next = self.cache.store.lock(self.shard).walk(
            self.position,
            &mut { SLICE },
            now,
            |_, key, item| {
                let mut value = None;
                Bytes::take(Some(&item.data), &mut value);
                slice.extend(value.map(|value| (Bytes::copy(key), value)));
                true
            },
        );
        self.position = next.unwrap_or_default();
        self.shard += usize::from(next.is_none());
        self.slice = slice.into_iter();
    }
}

impl Iterator for Iter<'_> {
    type Item = (Bytes, Bytes);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.slice.next() {
                return Some(entry);
            }
            if self.shard == self.cache.store.shards() {
                return None;
            }
            self.fill();
        }
    }
}
