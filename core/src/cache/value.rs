//! Values of every kind: strings read into a caller's memory, arrays, objects, and numbers that are counted up.

use core::fmt;
use core::mem::MaybeUninit;

use super::{Bytes, Cache, Condition, Insert, InsertError};
use crate::limits::MAX_KEY;
use crate::number::parse_i64;
use crate::store::packed::{Array, Object, pack_array, pack_object};
use crate::store::{Data, Effect, Kind, NewData};

/// A value of any kind, taken out of a [`Cache`].
///
/// As with [`Bytes`], what takes 1 KiB or more is shared with the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    kind: Kind,
    data: Bytes,
}

impl Value {
    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The bytes of a string.
    #[must_use]
    pub fn as_string(&self) -> Option<&[u8]> {
        (self.kind == Kind::String).then_some(&self.data)
    }

    /// The elements of an array.
    #[must_use]
    pub fn as_array(&self) -> Option<Array<'_>> {
        (self.kind == Kind::Array).then(|| Array::new(&self.data))
    }

    /// The fields of an object.
    #[must_use]
    pub fn as_object(&self) -> Option<Object<'_>> {
        (self.kind == Kind::Object).then(|| Object::new(&self.data))
    }
}

/// What [`Cache::read`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// There is no such entry.
    Missing,
    /// The value lies in the first so many bytes of the caller's memory.
    Done(usize),
    /// The value has so many bytes, which is more than there is room for.
    NoRoom(usize),
    /// The value is no string.
    OtherKind,
}

/// Why a number was not counted up. What the key had before, it has still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IncrementError {
    /// The value is an array or an object.
    OtherKind,
    /// The value is no decimal integer of 64 bits.
    NotInteger,
    /// The sum would be none.
    Overflow,
    /// There is no number yet, and none can be put in.
    Insert(InsertError),
}

impl fmt::Display for IncrementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherKind => f.write_str("the value is no string"),
            Self::NotInteger => f.write_str("the value is not an integer or out of range"),
            Self::Overflow => f.write_str("the sum would overflow"),
            Self::Insert(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for IncrementError {}

impl From<InsertError> for IncrementError {
    fn from(error: InsertError) -> Self {
        Self::Insert(error)
    }
}

/// Bytes of the longest number.
const DIGITS: usize = 20;

impl Cache {
    /// The value of `key`, whatever it is. Counts as a look-up.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use ant_cache_core::Cache;
    /// use ant_cache_core::cache::Insert;
    ///
    /// let cache = Cache::builder().build();
    /// let fields = [(&b"name"[..], &b"Ada"[..]), (b"born", b"1815")];
    /// cache.insert_object("user:1", fields, &Insert::new())?;
    /// let value = cache.value("user:1").expect("it was just put in");
    /// let user = value.as_object().expect("an object");
    /// assert_eq!(user.get(b"born"), Some(&b"1815"[..]));
    /// # }
    /// # Ok::<(), ant_cache_core::cache::InsertError>(())
    /// ```
    #[must_use]
    pub fn value(&self, key: impl AsRef<[u8]>) -> Option<Value> {
        let key = self.store.key(key.as_ref());
        let (mut kind, mut data) = (Kind::String, None);
        self.look_up(&key, |item| {
            kind = item.map_or(Kind::String, |item| item.kind);
            Bytes::take(item.map(|item| &item.data), &mut data);
        });
        data.map(|data| Value { kind, data })
    }

    /// Copies the string of `key` to the start of `to`. Nothing is allocated; where the value does not fit, nothing is
    /// copied. Counts as a look-up.
    pub fn read(&self, key: impl AsRef<[u8]>, to: &mut [MaybeUninit<u8>]) -> Read {
        let key = self.store.key(key.as_ref());
        let mut large = None;
        let mut read = Read::Missing;
        self.look_up(&key, |item| {
            large = None;
            read = match item {
                None => Read::Missing,
                Some(item) if item.kind != Kind::String => Read::OtherKind,
                Some(item) => match item.data {
                    Data::Inline(bytes) => copy(bytes, to),
                    Data::Blob(blob) if blob.len() > to.len() => Read::NoRoom(blob.len()),
                    Data::Blob(blob) => {
                        large = Some(blob.clone());
                        Read::Done(blob.len())
                    }
                },
            };
        });
        // A long copy is not for under the lock.
        if let Some(blob) = large {
            read = copy(&blob, to);
        }
        read
    }

    /// Puts an array in, as [`insert_with`](Self::insert_with) does a string.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn insert_array<'e, I>(
        &self,
        key: impl AsRef<[u8]>,
        elements: I,
        how: &Insert,
    ) -> Result<bool, InsertError>
    where
        I: IntoIterator<Item = &'e [u8], IntoIter: ExactSizeIterator + Clone>,
    {
        let mut packed = pack_array(elements.into_iter());
        let data = NewData::take(&mut packed);
        self.put_under(key.as_ref(), Kind::Array, data, how)
    }

    /// Puts an object in, as [`insert_with`](Self::insert_with) does a string. Of a field that comes twice, the last
    /// value counts, and the first place.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn insert_object<'e>(
        &self,
        key: impl AsRef<[u8]>,
        fields: impl IntoIterator<Item = (&'e [u8], &'e [u8])>,
        how: &Insert,
    ) -> Result<bool, InsertError> {
        let mut packed = pack_object(fields.into_iter());
        let data = NewData::take(&mut packed);
        self.put_under(key.as_ref(), Kind::Object, data, how)
    }

    /// Adds `by`, which may be negative, to the number of `key` and returns the sum. What is absent counts as 0; a time
    /// to live stays as it is.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use ant_cache_core::Cache;
    /// # let cache = Cache::builder().build();
    /// assert_eq!(cache.increment("visits", 2)?, 2);
    /// assert_eq!(cache.increment("visits", -3)?, -1);
    /// # }
    /// # Ok::<(), ant_cache_core::cache::IncrementError>(())
    /// ```
    ///
    /// # Errors
    /// Where the value is no integer, the sum would overflow, or a new entry cannot be put in.
    pub fn increment(&self, key: impl AsRef<[u8]>, by: i64) -> Result<i64, IncrementError> {
        let key = self.store.key(key.as_ref());
        if key.bytes().len() > MAX_KEY {
            return Err(InsertError::KeyTooLong.into());
        }
        let now = self.now();
        self.admit(key.bytes().len() + DIGITS, now)?;
        let mut shard = self.store.lock(self.store.shard_of(&key));
        let old = shard.peek(&key, now);
        let number = match &old {
            None => 0,
            Some(item) if item.kind != Kind::String => return Err(IncrementError::OtherKind),
            Some(item) => parse_i64(item.data.bytes()).ok_or(IncrementError::NotInteger)?,
        };
        let sum = number.checked_add(by).ok_or(IncrementError::Overflow)?;
        if old.is_none() && self.refuses_more(&shard) {
            return Err(InsertError::Full.into());
        }
        let expires = old.and_then(|item| item.expires);
        let mut digits = itoa::Buffer::new();
        let effect = Effect::Set {
            kind: Kind::String,
            data: NewData::Bytes(digits.format(sum).as_bytes()),
            expires,
        };
        let replaced = shard.commit(&key, effect, now);
        drop(shard);
        drop(replaced);
        self.keep_house(now, expires);
        Ok(sum)
    }

    /// Puts a value of any kind in, in the way that `how` says.
    pub(super) fn put_under(
        &self,
        key: &[u8],
        kind: Kind,
        data: NewData<'_>,
        how: &Insert,
    ) -> Result<bool, InsertError> {
        let key = self.store.key(key);
        self.put(&key, kind, data, how.ttl, |exists| match how.condition {
            Condition::None => true,
            Condition::Absent => !exists(),
            Condition::Present => exists(),
        })
    }
}

/// Copies all of `bytes` to the start of `to`, or nothing.
#[inline]
fn copy(bytes: &[u8], to: &mut [MaybeUninit<u8>]) -> Read {
    let Some(to) = to.get_mut(..bytes.len()) else {
        return Read::NoRoom(bytes.len());
    };
    // A loop that compiles to a call of memcpy.
    for (to, &byte) in to.iter_mut().zip(bytes) {
        to.write(byte);
    }
    Read::Done(bytes.len())
}
