//! A walk through all entries.

use alloc::vec;
use alloc::vec::Vec;

use super::{Bytes, Cache, string};
use crate::store::{Item, Position};

/// Entries that are copied under one lock: a few microseconds.
const SLICE: usize = 64;

/// What is copied of the entries of a cache, a few at a time.
#[derive(Debug)]
struct Walk<'c, T> {
    cache: &'c Cache,
    shard: usize,
    position: Position,
    copy: fn(&[u8], &Item<'_>) -> Option<T>,
    /// What was copied and is yet to be given.
    slice: vec::IntoIter<T>,
}

/// The keys and strings of a [`Cache`]. Made by [`Cache::iter`].
#[derive(Debug)]
pub struct Iter<'c>(Walk<'c, (Bytes, Bytes)>);

/// The keys of a [`Cache`]. Made by [`Cache::keys`].
#[derive(Debug)]
pub struct Keys<'c>(Walk<'c, Bytes>);

impl Cache {
    /// The keys and values of all strings, in no particular order, while other threads use the cache.
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
        Iter(Walk::new(self, |key, item| {
            let mut value = None;
            Bytes::take(string(Some(item)), &mut value);
            value.map(|value| (Bytes::copy(key), value))
        }))
    }

    /// The keys of all entries, arrays and objects too, with the same guarantees as [`iter`](Self::iter).
    #[must_use]
    pub fn keys(&self) -> Keys<'_> {
        Keys(Walk::new(self, |key, _| Some(Bytes::copy(key))))
    }
}

impl<'c> IntoIterator for &'c Cache {
    type Item = (Bytes, Bytes);
    type IntoIter = Iter<'c>;

    fn into_iter(self) -> Iter<'c> {
        self.iter()
    }
}

impl<'c, T> Walk<'c, T> {
    fn new(cache: &'c Cache, copy: fn(&[u8], &Item<'_>) -> Option<T>) -> Self {
        Self {
            cache,
            shard: 0,
            position: Position::default(),
            copy,
            slice: Vec::new().into_iter(),
        }
    }

    /// Copies the next few entries; none where this shard has no more.
    fn fill(&mut self) {
        let mut slice = Vec::with_capacity(SLICE);
        let now = self.cache.now();
        let next = self.cache.store.lock(self.shard).walk(
            self.position,
            &mut { SLICE },
            now,
            |_, key, item| {
                slice.extend((self.copy)(key, &item));
                true
            },
        );
        self.position = next.unwrap_or_default();
        self.shard += usize::from(next.is_none());
        self.slice = slice.into_iter();
    }

    fn next(&mut self) -> Option<T> {
        loop {
            if let Some(copied) = self.slice.next() {
                return Some(copied);
            }
            if self.shard == self.cache.store.shards() {
                return None;
            }
            self.fill();
        }
    }
}

impl Iterator for Iter<'_> {
    type Item = (Bytes, Bytes);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl Iterator for Keys<'_> {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.0.next()
    }
}
