//! Records: what happened to a key, never under which condition.
//!
//! ```text
//! op 1 | key length | [offset] | [value length] | [end 8] | [fields] | key | [value]
//! ```
//!
//! Lengths and offsets are varints (LEB128). The lower four bits of `op` say what happened; bit 4 says that there is an
//! end (milliseconds since 1970, little-endian), bit 5 that there are fields, bits 6 and 7 are the kind of value. Fields
//! are what later versions may add: their number, then for each a tag and a length as varints, and its bytes. A tag with
//! the lowest bit set must be understood, others can be passed over.

use alloc::vec::Vec;

use super::wire::{Damage, Reader, put_varint};
use crate::Millis;
use crate::limits::{MAX_KEY, MAX_STRING};
use crate::store::Kind;

const SET: u8 = 1;
const DELETE: u8 = 2;
const EXPIRE: u8 = 3;
const PATCH: u8 = 4;
const FLUSH: u8 = 6;

const OP: u8 = 0x0f;
const ENDS: u8 = 0x10;
const FIELDS: u8 = 0x20;
const KIND_SHIFT: u32 = 6;

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// A key got a value, a kind and an end.
    Set {
        /// What the value is.
        kind: Kind,
        /// The key.
        key: &'a [u8],
        /// The value's bytes; of an array or object, its packed form.
        value: &'a [u8],
        /// When it ends; `None` means never.
        expires: Option<Millis>,
    },
    /// A key went, by a command or by eviction. (Those that end go by themselves, where it is known that they were there.)
    Delete {
        /// The key.
        key: &'a [u8],
    },
    /// A key got another end.
    Expire {
        /// The key.
        key: &'a [u8],
        /// The end; `None` means never.
        expires: Option<Millis>,
    },
    /// Bytes were written into a string that was there, of 1 KiB or more.
    Patch {
        /// The key.
        key: &'a [u8],
        /// Offset of the first byte.
        offset: usize,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// All keys went.
    Flush,
}

/// Appends a record.
pub fn encode(record: &Record<'_>, to: &mut Vec<u8>) {
    encode_head(record, to);
    if let Record::Set { value: bytes, .. } | Record::Patch { bytes, .. } = record {
        to.extend_from_slice(bytes);
    }
}

/// Appends a record up to its value, which is to follow.
pub(super) fn encode_head(record: &Record<'_>, to: &mut Vec<u8>) {
    let ends = |end: &Option<Millis>| if end.is_some() { ENDS } else { 0 };
    match record {
        Record::Set {
            kind,
            key,
            value,
            expires,
        } => {
            to.push(SET | ends(expires) | kind_bits(*kind));
            put_varint(key.len() as u64, to);
            put_varint(value.len() as u64, to);
            put_end(*expires, to);
            to.extend_from_slice(key);
        }
        Record::Delete { key } => {
            to.push(DELETE);
            put_varint(key.len() as u64, to);
            to.extend_from_slice(key);
        }
        Record::Expire { key, expires } => {
            to.push(EXPIRE | ends(expires));
            put_varint(key.len() as u64, to);
            put_end(*expires, to);
            to.extend_from_slice(key);
        }
        Record::Patch { key, offset, bytes } => {
            to.push(PATCH);
            put_varint(key.len() as u64, to);
            put_varint(*offset as u64, to);
            put_varint(bytes.len() as u64, to);
            to.extend_from_slice(key);
        }
        Record::Flush => to.push(FLUSH),
    }
}

fn put_end(expires: Option<Millis>, to: &mut Vec<u8>) {
    if let Some(end) = expires {
        to.extend_from_slice(&end.0.to_le_bytes());
    }
}

const fn kind_bits(kind: Kind) -> u8 {
    let number = match kind {
        Kind::String => 0,
        Kind::Array => 1,
        Kind::Object => 2,
    };
    number << KIND_SHIFT
}

const fn kind(op: u8) -> Result<Kind, Damage> {
    Ok(match op >> KIND_SHIFT {
        0 => Kind::String,
        1 => Kind::Array,
        2 => Kind::Object,
        _ => return Err(Damage::Newer),
    })
}

/// The records that some bytes consist of.
///
/// ```
/// use ant_cache_core::journal::record::{self, Record, Records};
///
/// let mut bytes = Vec::new();
/// record::encode(&Record::Delete { key: b"a" }, &mut bytes);
/// let mut records = Records::new(&bytes);
/// assert_eq!(records.next(), Some(Ok(Record::Delete { key: b"a" })));
/// assert_eq!(records.next(), None);
/// ```
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: Reader<'a>,
}

impl<'a> Records<'a> {
    /// Reads from the front of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: Reader(bytes),
        }
    }

    /// Bytes that are left.
    #[must_use]
    pub const fn rest(&self) -> usize {
        self.rest.0.len()
    }

    #[inline]
    fn decode(&mut self) -> Result<Record<'a>, Damage> {
        let op = self.rest.byte()?;
        let what = op & OP;
        if what == FLUSH {
            self.skip_fields(op)?;
            return Ok(Record::Flush);
        }
        let key_len = self.rest.len()?;
        if key_len > MAX_KEY {
            return Err(Damage::Nonsense);
        }
        let offset = match what {
            PATCH => self.rest.len()?,
            _ => 0,
        };
        let value_len = match what {
            SET | PATCH => self.rest.len()?,
            _ => 0,
        };
        let expires = if op & ENDS == 0 {
            None
        } else {
            Some(Millis(self.rest.u64()?))
        };
        self.skip_fields(op)?;
        let key = self.rest.bytes(key_len)?;
        let bytes = self.rest.bytes(value_len)?;
        // What was written into was within the limit; nothing that is read makes memory grow beyond it.
        if offset
            .checked_add(value_len)
            .is_none_or(|end| offset > 0 && end > MAX_STRING)
        {
            return Err(Damage::Nonsense);
        }
        Ok(match what {
            SET => Record::Set {
                kind: kind(op)?,
                key,
                value: bytes,
                expires,
            },
            DELETE => Record::Delete { key },
            EXPIRE => Record::Expire { key, expires },
            PATCH => Record::Patch { key, offset, bytes },
            0 => return Err(Damage::Nonsense),
            _ => return Err(Damage::Newer),
        })
    }

    fn skip_fields(&mut self, op: u8) -> Result<(), Damage> {
        if op & FIELDS == 0 {
            return Ok(());
        }
        for _ in 0..self.rest.varint()? {
            let tag = self.rest.varint()?;
            let len = self.rest.len()?;
            self.rest.bytes(len)?;
            if tag & 1 == 1 {
                return Err(Damage::Newer);
            }
        }
        Ok(())
    }
}

/// Ends after the first record that cannot be read.
impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Damage>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.0.is_empty() {
            return None;
        }
        let record = self.decode();
        if record.is_err() {
            self.rest = Reader(&[]);
        }
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    /// The parts of a record, owned.
    type Parts = (u8, Vec<u8>, Vec<u8>, u16, Option<u64>);

    fn record((what, key, value, offset, end): &Parts) -> Record<'_> {
        let expires = end.map(Millis);
        let offset = usize::from(*offset);
        match what {
            0..=2 => Record::Set {
                kind: [Kind::String, Kind::Array, Kind::Object][usize::from(*what)],
                key,
                value,
                expires,
            },
            3 => Record::Delete { key },
            4 => Record::Expire { key, expires },
            5 => Record::Patch {
                key,
                offset,
                bytes: value,
            },
            _ => Record::Flush,
        }
    }

    fn parts() -> impl Strategy<Value = Parts> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..300);
        (0..7u8, bytes(), bytes(), any::<u16>(), any::<Option<u64>>())
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(all in proptest::collection::vec(parts(), 0..10)) {
            let mut bytes = Vec::new();
            for parts in &all {
                encode(&record(parts), &mut bytes);
            }
            let read: Vec<_> = Records::new(&bytes).map(Result::unwrap).collect();
            prop_assert_eq!(read, all.iter().map(record).collect::<Vec<_>>());
        }

        #[test]
        fn what_is_cut_short_is_told(parts in parts()) {
            let mut bytes = Vec::new();
            encode(&record(&parts), &mut bytes);
            for len in 1..bytes.len() {
                prop_assert_eq!(Records::new(&bytes[..len]).next(), Some(Err(Damage::Short)));
            }
        }

        #[test]
        fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Records::new(&bytes).count();
        }
    }

    #[test]
    fn fields_are_passed_over_unless_they_must_be_understood() {
        let with = |tag: u8| vec![DELETE | FIELDS, 1, 2, 4, 0, tag, 3, 7, 7, 7, b'k'];
        let optional = with(6);
        let record = Records::new(&optional).next().unwrap().unwrap();
        assert_eq!(record, Record::Delete { key: b"k" });
        assert_eq!(Records::new(&with(7)).next(), Some(Err(Damage::Newer)));
    }

    #[test]
    fn what_a_later_version_adds_is_no_damage() {
        assert_eq!(Records::new(&[9, 0]).next(), Some(Err(Damage::Newer)));
        assert_eq!(
            Records::new(&[SET | 3 << KIND_SHIFT, 0, 0]).next(),
            Some(Err(Damage::Newer))
        );
        assert_eq!(Records::new(&[0, 0]).next(), Some(Err(Damage::Nonsense)));
    }
}
