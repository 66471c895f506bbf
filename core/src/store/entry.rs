//! One entry in the bytes of an extent.
//!
//! ```text
//! meta 1 | flags 1 | key length 1 or 2 | value length 1, 2 or 4 | expiry 0, 6 or 14 | key | value
//! ```
//!
//! An ordinary entry (key under 256 bytes, value under 256, no expiry) has 4 bytes of header. A value from
//! [`Blob::MIN`] bytes on is not in the extent: its length field holds the number of its blob. Two bits of the flags
//! are free for fields that cost nothing where absent.

use crate::Millis;
use crate::buffer::Blob;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bytes.
    String,
    /// A sequence of byte strings, packed as [`packed::Array`](super::packed::Array).
    Array,
    /// Fields and their values, packed as [`packed::Object`](super::packed::Object).
    Object,
}

/// The bytes of a stored value.
#[derive(Clone, Copy, Debug)]
pub enum Data<'a> {
    /// A small value, in place.
    Inline(&'a [u8]),
    /// A large one, shared.
    Blob(&'a Blob),
}

impl<'a> Data<'a> {
    /// The bytes, wherever they are.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        match self {
            Self::Inline(bytes) => bytes,
            Self::Blob(blob) => blob,
        }
    }
}

/// A stored value as a command sees it, while its shard is locked.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// What it is.
    pub kind: Kind,
    /// When it ends; `None` means never.
    pub expires: Option<Millis>,
    /// The value's bytes; of an array or object, its packed form.
    pub data: Data<'a>,
}

/// Bits of the meta byte.
const DEAD: u8 = 0x80;

/// Bits of the flags byte.
const KIND: u8 = 0b0000_0011;
const EXPIRES: u8 = 0b0000_0100;
const LONG_KEY: u8 = 0b0000_1000;
const VALUE_FORM: u8 = 0b0011_0000;
const SHORT_VALUE: u8 = 0b0000_0000;
const LONG_VALUE: u8 = 0b0001_0000;
const BLOB_VALUE: u8 = 0b0010_0000;

/// An expiry of this value in its six bytes is followed by eight that hold the true one: moments past the year 10,889.
const FAR: u64 = 0xffff_ffff_ffff;

/// A value that is about to be written: its bytes, or the number of its blob.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stored<'a> {
    Inline(&'a [u8]),
    Blob(u32),
}

/// The header of an entry, decoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) dead: bool,
    pub(super) kind: Kind,
    pub(super) expires: Option<Millis>,
    /// Offset of the expiry's bytes from the entry's start.
    expiry_at: usize,
    /// Offset of the key from the entry's start.
    key_at: usize,
    key_len: usize,
    /// Length of an inline value.
    value_len: usize,
    pub(super) blob: Option<u32>,
}

/// By the flags: the offset of the key from the entry's start, or of what follows a far expiry's first six bytes.
const KEY_AT: [u8; 64] = {
    let mut table = [0; 64];
    let mut flags = 0;
    while flags < 64 {
        let key_len = if flags & LONG_KEY == 0 { 1 } else { 2 };
        let value_len = match flags & VALUE_FORM {
            SHORT_VALUE => 1,
            LONG_VALUE => 2,
            _ => 4,
        };
        let expiry = if flags & EXPIRES == 0 { 0 } else { 6 };
        table[flags as usize] = 2 + key_len + value_len + expiry;
        flags += 1;
    }
    table
};

impl Header {
    /// Decodes the header at the start of `bytes`.
    #[inline]
    pub(super) fn read(bytes: &[u8]) -> Self {
        let flags = bytes[1];
        let mut key_at = usize::from(KEY_AT[usize::from(flags & 63)]);
        let mut expiry_at = key_at;
        let mut expires = None;
        if flags & EXPIRES != 0 {
            expiry_at -= 6;
            let mut near = [0; 8];
            near[..6].copy_from_slice(&bytes[expiry_at..expiry_at + 6]);
            let mut moment = u64::from_le_bytes(near);
            if moment == FAR {
                let mut far = [0; 8];
                far.copy_from_slice(&bytes[key_at..key_at + 8]);
                key_at += 8;
                moment = u64::from_le_bytes(far);
            }
            expires = Some(Millis(moment));
        }
        let (key_len, value_field) = if flags & LONG_KEY == 0 {
            (usize::from(bytes[2]), 3)
        } else {
            (usize::from(u16::from_le_bytes([bytes[2], bytes[3]])), 4)
        };
        let (mut value_len, mut blob) = (0, None);
        match flags & VALUE_FORM {
            SHORT_VALUE => value_len = usize::from(bytes[value_field]),
            LONG_VALUE => {
                value_len = usize::from(u16::from_le_bytes([bytes[value_field], bytes[value_field + 1]]));
            }
            _ => {
                let mut number = [0; 4];
                number.copy_from_slice(&bytes[value_field..value_field + 4]);
                blob = Some(u32::from_le_bytes(number));
            }
        }
        let kind = match flags & KIND {
            0 => Kind::String,
            1 => Kind::Array,
            _ => Kind::Object,
        };
        Self { dead: bytes[0] & DEAD != 0, kind, expires, expiry_at, key_at, key_len, value_len, blob }
    }

    /// Bytes that the entry occupies in its extent.
    #[inline]
    pub(super) const fn size(&self) -> usize {
        self.key_at + self.key_len + self.value_len
    }

    /// The key, where `bytes` starts with the entry.
    #[inline]
    pub(super) fn key<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.key_at..self.key_at + self.key_len]
    }

    /// The inline value, where `bytes` starts with the entry.
    #[inline]
    pub(super) fn value<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let at = self.key_at + self.key_len;
        &bytes[at..at + self.value_len]
    }

    /// The inline value, for a change in place.
    pub(super) fn value_mut<'a>(&self, bytes: &'a mut [u8]) -> &'a mut [u8] {
        let at = self.key_at + self.key_len;
        &mut bytes[at..at + self.value_len]
    }

    /// Whether a new expiry fits where the present one is.
    pub(super) fn expiry_fits(&self, expires: Option<Millis>) -> bool {
        expiry_len(self.expires) == expiry_len(expires)
    }

    /// Writes an expiry of the same length over the present one.
    pub(super) fn write_expiry(&self, bytes: &mut [u8], expires: Option<Millis>) {
        put_expiry(&mut bytes[self.expiry_at..], expires);
    }

    /// Whether the entry can become one of `kind` with this value and expiry without moving.
    pub(super) fn takes(&self, kind: Kind, value: Stored<'_>, expires: Option<Millis>) -> bool {
        let fits = match (self.blob, value) {
            (None, Stored::Inline(bytes)) => bytes.len() == self.value_len,
            _ => false,
        };
        fits && kind == self.kind && self.expiry_fits(expires)
    }
}

/// Whether the entry at the start of `bytes` has this key: what a look-up asks of each candidate, without decoding the
/// rest of the header.
#[inline]
pub(super) fn has_key(bytes: &[u8], key: &[u8]) -> bool {
    let flags = bytes[1];
    if flags & (LONG_KEY | EXPIRES) != 0 {
        return Header::read(bytes).key(bytes) == key;
    }
    let key_at = usize::from(KEY_AT[usize::from(flags & 63)]);
    usize::from(bytes[2]) == key.len() && bytes.get(key_at..key_at + key.len()) == Some(key)
}

/// Marks the entry at the start of `bytes` as dead.
pub(super) fn kill(bytes: &mut [u8]) {
    bytes[0] |= DEAD;
}

fn expiry_len(expires: Option<Millis>) -> usize {
    match expires {
        None => 0,
        Some(Millis(moment)) if moment < FAR => 6,
        Some(_) => 14,
    }
}

fn put_expiry(to: &mut [u8], expires: Option<Millis>) {
    if let Some(Millis(moment)) = expires {
        if moment < FAR {
            to[..6].copy_from_slice(&moment.to_le_bytes()[..6]);
        } else {
            to[..6].copy_from_slice(&FAR.to_le_bytes()[..6]);
            to[6..14].copy_from_slice(&moment.to_le_bytes());
        }
    }
}

/// Bytes that an entry with these parts takes.
pub(super) fn size(key: &[u8], value: Stored<'_>, expires: Option<Millis>) -> usize {
    let value_len = match value {
        Stored::Inline(bytes) if bytes.len() < 256 => 1 + bytes.len(),
        Stored::Inline(bytes) => 2 + bytes.len(),
        Stored::Blob(_) => 4,
    };
    3 + usize::from(key.len() > 255) + value_len + expiry_len(expires) + key.len()
}

/// Writes an entry into `to`, which has exactly its [`size`].
pub(super) fn write(to: &mut [u8], kind: Kind, key: &[u8], value: Stored<'_>, expires: Option<Millis>) {
    let mut flags = match kind {
        Kind::String => 0,
        Kind::Array => 1,
        Kind::Object => 2,
    };
    let mut at = 2;
    if let Ok(len) = u8::try_from(key.len()) {
        to[at] = len;
        at += 1;
    } else {
        flags |= LONG_KEY;
        to[at..at + 2].copy_from_slice(&(key.len() as u16).to_le_bytes());
        at += 2;
    }
    match value {
        Stored::Inline(bytes) if bytes.len() < 256 => {
            to[at] = bytes.len() as u8;
            at += 1;
        }
        Stored::Inline(bytes) => {
            flags |= LONG_VALUE;
            to[at..at + 2].copy_from_slice(&(bytes.len() as u16).to_le_bytes());
            at += 2;
        }
        Stored::Blob(number) => {
            flags |= BLOB_VALUE;
            to[at..at + 4].copy_from_slice(&number.to_le_bytes());
            at += 4;
        }
    }
    if expires.is_some() {
        flags |= EXPIRES;
        put_expiry(&mut to[at..], expires);
        at += expiry_len(expires);
    }
    to[0] = 0;
    to[1] = flags;
    to[at..at + key.len()].copy_from_slice(key);
    at += key.len();
    if let Stored::Inline(bytes) = value {
        to[at..].copy_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            key in proptest::collection::vec(any::<u8>(), 0..600),
            value in proptest::collection::vec(any::<u8>(), 0..1024),
            blob in proptest::option::of(any::<u32>()),
            expires in proptest::option::of(prop_oneof![0..1u64 << 41, any::<u64>(), Just(FAR), Just(FAR - 1)]),
            kind in prop_oneof![Just(Kind::String), Just(Kind::Array), Just(Kind::Object)],
        ) {
            let stored = blob.map_or(Stored::Inline(&value), Stored::Blob);
            let expires = expires.map(Millis);
            let mut bytes = vec![0xaa; size(&key, stored, expires)];
            write(&mut bytes, kind, &key, stored, expires);
            let header = Header::read(&bytes);
            prop_assert_eq!(header.size(), bytes.len());
            prop_assert_eq!(header.key(&bytes), &key[..]);
            prop_assert_eq!(header.expires, expires);
            prop_assert_eq!(header.kind, kind);
            prop_assert_eq!(header.blob, blob);
            prop_assert!(!header.dead);
            if blob.is_none() {
                prop_assert_eq!(header.value(&bytes), &value[..]);
            }
            kill(&mut bytes);
            prop_assert!(Header::read(&bytes).dead);
            prop_assert_eq!(Header::read(&bytes).size(), bytes.len());
        }
    }

    #[test]
    fn an_ordinary_entry_has_four_bytes_of_header() {
        assert_eq!(size(b"key:0000001", Stored::Inline(&[0; 32]), None), 11 + 32 + 4);
        assert_eq!(size(b"key:0000001", Stored::Inline(&[0; 32]), Some(Millis(1 << 41))), 11 + 32 + 4 + 6);
    }
}
