//! One entry in the bytes of an extent.
//!
//! ```text
//! meta 1 | flags 1 | key length 1 or 2 | value length 1, 2 or 4 | expiry 0, 4, 5 or 8 | key | value
//! ```
//!
//! An ordinary entry (key under 256 bytes, value under 256, no expiry) has 4 bytes of header. A value from
//! [`Blob::MIN`] bytes on is not in the extent: its length field holds the number of its blob. One bit of the flags
//! is free: it can say that more of them follow, for fields that cost nothing where absent.

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

impl Item<'_> {
    /// Bytes of memory of this value's entry under `key`: its own, its place in the index, its large value. An end counts
    /// as what it mostly takes. Free space between entries belongs to none of them.
    #[must_use]
    pub fn memory(&self, key: &[u8]) -> usize {
        /// A handle and a control byte, in a table that is two thirds full.
        const PLACE: usize = 8;
        let (stored, apart) = match self.data {
            Data::Inline(bytes) => (Stored::Inline(bytes), 0),
            Data::Blob(blob) => (Stored::Blob(0), size_of::<Blob>() + blob.memory()),
        };
        let anchor = Anchor::before(self.expires.unwrap_or_default());
        PLACE + size(key, stored, anchor.form(self.expires)) + apart
    }
}

/// Bits of the meta byte. A read changes this byte only, and no more once both counts are full.
const DEAD: u8 = 0x80;
/// Reads that give the entry another round when the hand of its queue comes by: see `evict.rs`.
const CLOCK: u8 = 0b0011;
/// Reads that the history was not told of yet.
const COUNT: u8 = 0b1100;
const ONE_COUNT: u8 = 0b0100;
/// Whether the entry has changed, and the log on the disk has yet to be told.
const DIRTY: u8 = 0b0001_0000;

/// Bits of the flags byte.
const KIND: u8 = 0b0000_0011;
const EXPIRY: u8 = 0b0000_1100;
const SHORT_EXPIRY: u8 = 0b0000_0100;
const LONG_EXPIRY: u8 = 0b0000_1000;
const FAR_EXPIRY: u8 = 0b0000_1100;
const LONG_KEY: u8 = 0b0001_0000;
const VALUE_FORM: u8 = 0b0110_0000;
const SHORT_VALUE: u8 = 0b0000_0000;
const LONG_VALUE: u8 = 0b0010_0000;
const BLOB_VALUE: u8 = 0b0100_0000;
const ALL: u8 = 0b0111_1111;

/// Bytes that must follow an entry in its extent: a header is read as five bytes, and the smallest entry has four.
pub(super) const PADDING: usize = 1;

/// A moment that ends are stored relative to, in quarters of an hour or so, so that it takes 4 bytes.
///
/// Of an end, the entry holds the lowest four bytes where it is less than 49 days after the anchor, the lowest five where
/// it is less than 34 years after: of all moments up to there, they stand for one only. Of any other it holds all eight.
/// Up to the first end that is stored, an anchor may move on, and all that is stored still stands for the same.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Anchor(u32);

/// How an end is stored: bits of the flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form(u8);

impl Anchor {
    /// Bits of a moment below those of an anchor.
    const UNIT: u32 = 20;

    /// The last anchor that is not behind `moment`.
    fn before(moment: Millis) -> Self {
        Self(u32::try_from(moment.0 >> Self::UNIT).unwrap_or(u32::MAX))
    }

    const fn moment(self) -> u64 {
        (self.0 as u64) << Self::UNIT
    }

    /// How an end is stored under this anchor.
    #[inline]
    pub(super) const fn form(self, end: Option<Millis>) -> Form {
        let Some(end) = end else {
            return Form(0);
        };
        Form(match end.0.checked_sub(self.moment()) {
            Some(0..=0xffff_ffff) => SHORT_EXPIRY,
            Some(0..=0xff_ffff_ffff) => LONG_EXPIRY,
            _ => FAR_EXPIRY,
        })
    }

    /// Whether an end takes the fewest bytes.
    pub(super) fn is_near(self, end: Millis) -> bool {
        self.form(Some(end)) == Form(SHORT_EXPIRY)
    }

    /// This anchor moved on to `moment` or shortly before.
    pub(super) fn moved_to(self, moment: Millis) -> Self {
        Self(self.0.max(Self::before(moment).0))
    }

    /// The end whose `bits` lowest bits are these.
    const fn end(self, low: u64, bits: u32) -> Millis {
        let ahead = low.wrapping_sub(self.moment()) & ((1 << bits) - 1);
        Millis(self.moment().wrapping_add(ahead))
    }
}

impl Form {
    /// Bytes that an end takes.
    const fn len(self) -> usize {
        match self.0 {
            0 => 0,
            SHORT_EXPIRY => 4,
            LONG_EXPIRY => 5,
            _ => 8,
        }
    }
}

/// A value that is about to be written: its bytes, or the number of its blob.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stored<'a> {
    Inline(&'a [u8]),
    Blob(u32),
}

/// Where the parts of an entry are. Small enough for two registers: the rest of the header is read when it is needed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    meta: u8,
    flags: u8,
    /// Offset of the key from the entry's start.
    key_at: u16,
    key_len: u16,
    /// Length of an inline value.
    value_len: u16,
}

/// By the flags: the offset of the key from the entry's start.
const KEY_AT: [u8; ALL as usize + 1] = {
    let mut table = [0; ALL as usize + 1];
    let mut flags = 0;
    while flags <= ALL {
        let key_len = if flags & LONG_KEY == 0 { 1 } else { 2 };
        let value_len = match flags & VALUE_FORM {
            SHORT_VALUE => 1,
            LONG_VALUE => 2,
            _ => 4,
        };
        table[flags as usize] = 2 + key_len + value_len + Form(flags & EXPIRY).len() as u8;
        flags += 1;
    }
    table
};

impl Header {
    /// Decodes the header at the start of `bytes`.
    #[inline]
    pub(super) fn read(bytes: &[u8]) -> Self {
        let &[meta, flags, first, second, third, ..] = bytes else {
            unreachable!("an entry has 4 bytes at least, and PADDING behind it");
        };
        let key_at = u16::from(KEY_AT[usize::from(flags & ALL)]);
        let (key_len, value) = if flags & LONG_KEY == 0 {
            (u16::from(first), [second, third])
        } else {
            (u16::from_le_bytes([first, second]), [third, bytes[5]])
        };
        let value_len = match flags & VALUE_FORM {
            SHORT_VALUE => u16::from(value[0]),
            LONG_VALUE => u16::from_le_bytes(value),
            _ => 0,
        };
        Self {
            meta,
            flags,
            key_at,
            key_len,
            value_len,
        }
    }

    /// Whether the entry was replaced or deleted.
    #[inline]
    pub(super) const fn dead(&self) -> bool {
        self.meta & DEAD != 0
    }

    /// Reads that give the entry another round, 3 at most.
    pub(super) const fn clock(&self) -> u8 {
        self.meta & CLOCK
    }

    /// The meta byte of an entry that takes this one's place: what is known of reads goes on.
    pub(super) const fn reads(&self) -> u8 {
        self.meta & (CLOCK | COUNT)
    }

    /// Reads that the history was not told of yet, 3 at most.
    pub(super) const fn count(&self) -> u8 {
        (self.meta & COUNT) / ONE_COUNT
    }

    #[inline]
    pub(super) const fn kind(&self) -> Kind {
        match self.flags & KIND {
            0 => Kind::String,
            1 => Kind::Array,
            _ => Kind::Object,
        }
    }

    /// When the entry ends, where `bytes` starts with it.
    #[inline]
    pub(super) fn expires(&self, bytes: &[u8], anchor: Anchor) -> Option<Millis> {
        let end = &bytes[..usize::from(self.key_at)];
        match self.flags & EXPIRY {
            0 => None,
            SHORT_EXPIRY => {
                let &low = end.last_chunk()?;
                Some(anchor.end(u32::from_le_bytes(low).into(), 32))
            }
            LONG_EXPIRY => {
                let &[a, b, c, d, e] = end.last_chunk()?;
                Some(anchor.end(u64::from_le_bytes([a, b, c, d, e, 0, 0, 0]), 40))
            }
            _ => {
                let &all = end.last_chunk()?;
                Some(Millis(u64::from_le_bytes(all)))
            }
        }
    }

    /// Whether the entry has ended.
    #[inline]
    pub(super) fn is_due(&self, bytes: &[u8], anchor: Anchor, now: Millis) -> bool {
        self.has_expiry() && self.expires(bytes, anchor).is_some_and(|end| end <= now)
    }

    /// Whether the entry has an expiry.
    #[inline]
    pub(super) const fn has_expiry(&self) -> bool {
        self.flags & EXPIRY != 0
    }

    /// The number of the blob that is the value, where `bytes` starts with the entry.
    #[inline]
    pub(super) fn blob(&self, bytes: &[u8]) -> Option<u32> {
        if self.flags & VALUE_FORM != BLOB_VALUE {
            return None;
        }
        let at = if self.flags & LONG_KEY == 0 { 3 } else { 4 };
        let mut number = [0; 4];
        number.copy_from_slice(&bytes[at..at + 4]);
        Some(u32::from_le_bytes(number))
    }

    /// Bytes that the entry occupies in its extent.
    #[inline]
    pub(super) fn size(&self) -> usize {
        usize::from(self.key_at) + usize::from(self.key_len) + usize::from(self.value_len)
    }

    /// The key, where `bytes` starts with the entry.
    #[inline]
    pub(super) fn key<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let at = usize::from(self.key_at);
        &bytes[at..at + usize::from(self.key_len)]
    }

    fn value_range(&self) -> core::ops::Range<usize> {
        self.size() - usize::from(self.value_len)..self.size()
    }

    /// The inline value, where `bytes` starts with the entry.
    #[inline]
    pub(super) fn value<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.value_range()]
    }

    /// The inline value, for a change in place.
    pub(super) fn value_mut<'a>(&self, bytes: &'a mut [u8]) -> &'a mut [u8] {
        &mut bytes[self.value_range()]
    }

    /// Whether an end of this form fits where the present one is.
    pub(super) fn expiry_fits(&self, form: Form) -> bool {
        self.flags & EXPIRY == form.0
    }

    /// Writes an end of the same form over the present one.
    pub(super) fn write_expiry(&self, bytes: &mut [u8], end: Option<Millis>) {
        let len = Form(self.flags & EXPIRY).len();
        put_expiry(&mut bytes[usize::from(self.key_at) - len..], len, end);
    }

    /// Whether the entry can become one of `kind` with this value and an end of this form without moving.
    pub(super) fn takes(&self, kind: Kind, value: &[u8], form: Form) -> bool {
        self.flags & VALUE_FORM != BLOB_VALUE
            && value.len() == usize::from(self.value_len)
            && kind == self.kind()
            && self.expiry_fits(form)
    }
}

/// Whether the entry at the start of `bytes` has this key: what a look-up asks of each candidate, without decoding the
/// rest of the header.
#[inline]
pub(super) fn has_key(bytes: &[u8], key: &[u8]) -> bool {
    let flags = bytes[1];
    if flags & LONG_KEY != 0 {
        return Header::read(bytes).key(bytes) == key;
    }
    let key_at = usize::from(KEY_AT[usize::from(flags & ALL)]);
    usize::from(bytes[2]) == key.len()
        && bytes
            .get(key_at..key_at + key.len())
            .is_some_and(|stored| same(stored, key))
}

/// The value of the most ordinary entry: a short string under a short key that never ends. `None` for every other.
#[inline]
pub(super) fn plain_value(bytes: &[u8]) -> Option<&[u8]> {
    let &[_, 0, key_len, value_len, ..] = bytes else {
        return None;
    };
    let at = 4 + usize::from(key_len);
    bytes.get(at..at + usize::from(value_len))
}

/// Whether two keys of the same length are equal. The usual lengths are compared as two words that overlap, in place
/// of a call.
#[inline]
fn same(stored: &[u8], key: &[u8]) -> bool {
    match key.len() {
        4..8 => {
            stored.first_chunk::<4>() == key.first_chunk::<4>()
                && stored.last_chunk::<4>() == key.last_chunk::<4>()
        }
        8..=16 => {
            stored.first_chunk::<8>() == key.first_chunk::<8>()
                && stored.last_chunk::<8>() == key.last_chunk::<8>()
        }
        _ => stored == key,
    }
}

/// Notes that the entry at the start of `bytes` was asked for.
#[inline]
pub(super) fn touch(bytes: &mut [u8]) {
    let meta = bytes[0];
    let mut touched = meta;
    if meta & CLOCK != CLOCK {
        touched += 1;
    }
    if meta & COUNT != COUNT {
        touched += ONE_COUNT;
    }
    if touched != meta {
        bytes[0] = touched;
    }
}

/// Sets the rounds that the entry at the start of `bytes` has left, and that the history knows of its reads.
pub(super) fn wind(bytes: &mut [u8], clock: u8) {
    bytes[0] = bytes[0] & !(CLOCK | COUNT) | clock.min(CLOCK);
}

/// Whether the entry at the start of `bytes` is dirty.
#[inline]
pub(super) fn is_dirty(bytes: &[u8]) -> bool {
    bytes[0] & DIRTY != 0
}

/// Marks the entry at the start of `bytes` as dirty; whether it was not.
#[inline]
pub(super) fn soil(bytes: &mut [u8]) -> bool {
    let was = is_dirty(bytes);
    bytes[0] |= DIRTY;
    !was
}

/// The entry at the start of `bytes` is dirty no more.
#[inline]
pub(super) fn wash(bytes: &mut [u8]) {
    bytes[0] &= !DIRTY;
}

/// Marks the entry at the start of `bytes` as dead.
pub(super) fn kill(bytes: &mut [u8]) {
    bytes[0] |= DEAD;
}

/// Writes the lowest `len` bytes of an end to the start of `to`.
fn put_expiry(to: &mut [u8], len: usize, end: Option<Millis>) {
    if let Some(end) = end {
        to[..len].copy_from_slice(&end.0.to_le_bytes()[..len]);
    }
}

/// Bytes that an entry with these parts takes.
pub(super) fn size(key: &[u8], value: Stored<'_>, form: Form) -> usize {
    let value_len = match value {
        Stored::Inline(bytes) if bytes.len() < 256 => 1 + bytes.len(),
        Stored::Inline(bytes) => 2 + bytes.len(),
        Stored::Blob(_) => 4,
    };
    3 + usize::from(key.len() > 255) + value_len + form.len() + key.len()
}

/// Writes an entry into `to`, which has exactly its [`size`]; `form` is that of its end.
pub(super) fn write(
    to: &mut [u8],
    kind: Kind,
    key: &[u8],
    value: Stored<'_>,
    end: Option<Millis>,
    form: Form,
) {
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
    flags |= form.0;
    put_expiry(&mut to[at..], form.len(), end);
    at += form.len();
    // To be stored is to have been asked for once.
    to[0] = ONE_COUNT;
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
            anchor in prop_oneof![0..1u32 << 21, any::<u32>()],
            ahead in prop_oneof![
                Just(None),
                (0..64u32).prop_map(|bits| Some(1 << bits)),
                (0..64u32).prop_map(|bits| Some((1 << bits) - 1)),
                any::<u64>().prop_map(Some),
            ],
            moved in any::<u64>(),
            kind in prop_oneof![Just(Kind::String), Just(Kind::Array), Just(Kind::Object)],
        ) {
            let stored = blob.map_or(Stored::Inline(&value), Stored::Blob);
            let anchor = Anchor(anchor);
            let end = ahead.map(|ahead| Millis(anchor.moment().wrapping_add(ahead)));
            let form = anchor.form(end);
            let mut bytes = vec![0xaa; size(&key, stored, form)];
            write(&mut bytes, kind, &key, stored, end, form);
            bytes.resize(bytes.len() + PADDING, 0xaa);
            let header = Header::read(&bytes);
            prop_assert_eq!(header.size() + PADDING, bytes.len());
            prop_assert_eq!(header.key(&bytes), &key[..]);
            prop_assert_eq!(header.expires(&bytes, anchor), end);
            // Up to its end, an anchor may move.
            let moment = end.map_or(moved, |end| moved.min(end.0));
            prop_assert_eq!(header.expires(&bytes, anchor.moved_to(Millis(moment))), end);
            prop_assert_eq!(header.kind(), kind);
            prop_assert_eq!(header.blob(&bytes), blob);
            prop_assert!(!header.dead());
            if blob.is_none() {
                prop_assert_eq!(header.value(&bytes), &value[..]);
            }
            kill(&mut bytes);
            prop_assert!(Header::read(&bytes).dead());
            prop_assert_eq!(Header::read(&bytes).size() + PADDING, bytes.len());
        }
    }

    #[test]
    fn an_ordinary_entry_has_four_bytes_of_header_and_four_with_a_time_to_live() {
        let now = Millis(1_800_000_000_000);
        let anchor = Anchor::before(now);
        let header = |ahead: Option<u64>| {
            let form = anchor.form(ahead.map(|ahead| now.plus(ahead)));
            size(b"key:0000001", Stored::Inline(&[0; 32]), form) - 11 - 32
        };
        let day = 86_400_000;
        assert_eq!(header(None), 4);
        assert_eq!([0, 49 * day].map(|ahead| header(Some(ahead))), [8; 2]);
        assert_eq!(
            [50 * day, 12_700 * day].map(|ahead| header(Some(ahead))),
            [9; 2]
        );
        assert_eq!(header(Some(12_800 * day)), 12);
    }
}
