//! Values that are computed where they are missing.

use alloc::borrow::Cow;
use core::convert::Infallible;
use core::sync::atomic::Ordering::Relaxed;

use super::flight::{Boarding, Pilot};
use super::{Bytes, Cache, Insert};
use crate::Blob;
use crate::store::{Key, Kind, NewData};

impl Cache {
    /// The value of `key`; where there is none, what `load` returns, which is put in.
    ///
    /// As [`get_or_try_insert_with`](Self::get_or_try_insert_with), for a loader that cannot fail and entries without a
    /// time to live.
    pub fn get_or_insert_with<'v, V: Into<Cow<'v, [u8]>>>(
        &self,
        key: impl AsRef<[u8]>,
        load: impl FnOnce() -> V,
    ) -> Bytes {
        let loaded =
            self.get_or_try_insert_with(key, &Insert::new(), || Ok::<_, Infallible>(load()));
        match loaded {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// The value of `key`; where there is none, what `load` returns, which is put in with the time to live of `how`.
    ///
    /// Of several threads that miss the same key at once, one runs its loader, and the others wait for it and get the
    /// same value; their own loaders are not called. If the loader fails or panics, this thread gets its error or
    /// panic, the others look again, and one of them runs its own loader. No lock is held meanwhile: other keys,
    /// and this one by [`get`](Self::get) or [`insert`](Self::insert), are free to use.
    ///
    /// The value stays with the caller, but not in the cache, where the key is too long for it, or was
    /// [removed](Self::remove) while the loader ran. Where someone else put a value in meanwhile, that one stays,
    /// and is what is returned. A condition in `how` is of no effect.
    ///
    /// A loader may use the cache, and load other keys. One that asks for its own key, itself or through the loader of
    /// another key, is not made to wait for itself: the inner loader runs as well. But two threads that each ask, in
    /// a loader, for the key that the other is loading, wait for each other for ever, as with any pair of locks;
    /// without the feature `std` so does one thread that asks for its own key.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use ant_cache_core::Cache;
    /// use ant_cache_core::cache::Insert;
    /// use std::time::Duration;
    ///
    /// let cache = Cache::builder().build();
    /// let minute = Insert::new().ttl(Duration::from_secs(60));
    /// let query = |answer: Result<&'static [u8], &'static str>| move || answer;
    ///
    /// let failed = cache.get_or_try_insert_with("row:1", &minute, query(Err("no connection")));
    /// assert_eq!(failed, Err("no connection"));
    /// let loaded = cache.get_or_try_insert_with("row:1", &minute, query(Ok(b"Ada")));
    /// assert_eq!(loaded.as_deref(), Ok(&b"Ada"[..]));
    /// let cached = cache.get_or_try_insert_with("row:1", &minute, query(Err("not called")));
    /// assert_eq!(cached, loaded);
    /// # }
    /// ```
    ///
    /// # Errors
    /// What `load` fails with.
    pub fn get_or_try_insert_with<'v, V: Into<Cow<'v, [u8]>>, E>(
        &self,
        key: impl AsRef<[u8]>,
        how: &Insert,
        load: impl FnOnce() -> Result<V, E>,
    ) -> Result<Bytes, E> {
        let key = self.store.key(key.as_ref());
        let mut found = None;
        self.get_of(&key, &mut found);
        loop {
            if let Some(value) = found {
                return Ok(value);
            }
            match self.flights.board(&key) {
                Boarding::Passenger(Some(value)) => return Ok(value),
                Boarding::Passenger(None) => found = self.find(&key),
                Boarding::Pilot(pilot) => {
                    // Another may have landed between the look and the boarding.
                    if let Some(value) = self.find(&key) {
                        pilot.land(value.clone());
                        return Ok(value);
                    }
                    return self.load(&key, how, Some(pilot), load);
                }
                Boarding::Nested => return self.load(&key, how, None, load),
            }
        }
    }

    fn load<'v, V: Into<Cow<'v, [u8]>>, E>(
        &self,
        key: &Key<'_>,
        how: &Insert,
        pilot: Option<Pilot<'_>>,
        load: impl FnOnce() -> Result<V, E>,
    ) -> Result<Bytes, E> {
        self.loads.fetch_add(1, Relaxed);
        let loaded = load()?.into();
        let (data, value) = if loaded.len() < Blob::MIN {
            (NewData::Bytes(&loaded), Bytes::copy(&loaded))
        } else {
            let blob = Blob::new(loaded.into_owned());
            (NewData::Blob(blob.clone()), Bytes::from(blob))
        };
        let overtaken = || pilot.as_ref().is_some_and(Pilot::is_overtaken);
        let stored = self.put(key, Kind::String, data, how.ttl, |exists| {
            !overtaken() && !exists()
        });
        let value = match stored {
            // Someone else put a value in, or the key was removed.
            Ok(false) if !overtaken() => self.find(key).unwrap_or(value),
            _ => value,
        };
        if let Some(pilot) = pilot {
            pilot.land(value.clone());
        }
        Ok(value)
    }
}
