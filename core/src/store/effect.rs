//! What happens to a key, and what became of that.

use alloc::vec::Vec;

use super::entry::Kind;
use crate::Millis;
use crate::buffer::Blob;

/// A value on its way into the store.
#[derive(Clone, Debug)]
pub enum NewData<'a> {
    /// Fewer than [`Blob::MIN`] bytes; copied under the lock.
    Bytes(&'a [u8]),
    /// More, made before the lock was taken.
    Blob(Blob),
}

impl<'a> NewData<'a> {
    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Blob(blob) => blob.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies a large value into a blob; a small one is only referred to.
    #[must_use]
    pub fn copy(bytes: &'a [u8]) -> Self {
        if bytes.len() < Blob::MIN {
            Self::Bytes(bytes)
        } else {
            Self::Blob(Blob::new(bytes.to_vec()))
        }
    }

    /// Takes a value that was built; nothing large is copied.
    #[must_use]
    pub fn take(bytes: &'a mut Vec<u8>) -> Self {
        if bytes.len() < Blob::MIN {
            Self::Bytes(bytes)
        } else {
            Self::Blob(Blob::new(core::mem::take(bytes)))
        }
    }
}

/// A change of one key: what happens, never under which condition. The caller has decided that under the same lock.
#[derive(Clone, Debug)]
pub enum Effect<'a> {
    /// Value, kind and time to live are replaced together.
    Set {
        /// What the value is.
        kind: Kind,
        /// Its bytes.
        data: NewData<'a>,
        /// When it ends; `None` means never.
        expires: Option<Millis>,
    },
    /// The key goes.
    Delete,
    /// The time to live is replaced. Nothing happens where the key is absent.
    Expire(Option<Millis>),
    /// `bytes` are written into the string at `offset`, zeros fill a gap before them. An absent key is an empty string.
    Patch {
        /// Offset of the first byte written.
        offset: usize,
        /// The bytes.
        bytes: &'a [u8],
    },
}

impl Effect<'_> {
    /// The end that it gives, if it gives one.
    #[inline]
    pub(super) const fn end(&self) -> Option<Millis> {
        match self {
            Self::Set { expires, .. } | Self::Expire(expires) => *expires,
            Self::Delete | Self::Patch { .. } => None,
        }
    }
}

/// What [`Shard::commit`](super::Shard::commit) did.
#[derive(Debug, Default)]
#[must_use = "a large value that was replaced is to be dropped after the lock"]
pub struct Committed {
    /// Whether the key existed before.
    pub existed: bool,
    /// The large value that was replaced: freeing it is the caller's work, after the lock is released.
    pub dropped: Option<Blob>,
    /// Large values of entries that had to go, as far as entries are counted. To be dropped after the lock, too.
    pub evicted: Vec<Blob>,
}
