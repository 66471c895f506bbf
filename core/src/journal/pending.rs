//! What a shard has recorded and the writer has not yet taken.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Epoch;
use super::body::{self, Pieces};
use super::record::Record;
use crate::Millis;
use crate::buffer::Blob;
use crate::ledger::{Ledger, Owner};
use crate::prefetch::prefetch_write;
use crate::store::{Effect, NewData};

/// Records of one shard in the order in which they were made.
#[derive(Debug, Default)]
#[repr(C)] // What every change writes comes first.
pub struct Parcel {
    bytes: Vec<u8>,
    /// The epoch that the last record belongs to, of which there is one at least if there is any.
    last: Part,
    /// Large values, which are not copied: each belongs between the bytes before this offset and those from it on.
    blobs: Vec<(usize, Blob)>,
    /// The epochs before it.
    earlier: Vec<Part>,
}

/// The records of one epoch in a [`Parcel`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Part {
    /// The epoch.
    pub epoch: Epoch,
    /// Number of records.
    pub count: u32,
    /// The earliest and the latest moment at which one of them was made.
    pub moments: [Millis; 2],
    /// Where it ends in the bytes.
    end: usize,
    /// Large values up to its end.
    blobs: usize,
}

impl Parcel {
    /// Whether nothing is recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.last.count == 0
    }

    /// The epochs, each with the pieces that its records consist of, one behind the other.
    pub fn parts(&self) -> impl Iterator<Item = (&Part, Pieces<'_>)> {
        let (mut start, mut first) = (0, 0);
        let last = (!self.is_empty()).then_some(&self.last);
        self.earlier.iter().chain(last).map(move |part| {
            let blobs = &self.blobs[first..part.blobs];
            let pieces = Pieces::new(&self.bytes[..part.end], start, blobs);
            (start, first) = (part.end, part.blobs);
            (part, pieces)
        })
    }

    /// Empties it for another use. Memory is kept up to `most` bytes.
    pub fn clear(&mut self, most: usize) {
        self.blobs.clear();
        self.earlier.clear();
        self.last = Part::default();
        self.bytes.clear();
        self.bytes.shrink_to(most);
    }
}

/// What a shard keeps while changes are recorded.
#[derive(Debug)]
#[repr(C)] // What every change writes comes first.
pub(crate) struct Pending {
    /// Whether the journal knows that there may be something here.
    pub(crate) marked: bool,
    /// The epoch of whoever holds the lock to write.
    pub(crate) stamp: Epoch,
    /// The epoch of the last record.
    pub(crate) last: Epoch,
    /// Bytes of the parcel, of which so many are charged.
    bytes: usize,
    told: usize,
    parcel: Parcel,
    ledger: Arc<Ledger>,
}

/// Bytes after which a shard charges what it holds: the ledger is another core's cache line.
const STEP: usize = 16 << 10;

impl Pending {
    /// Nothing.
    pub(crate) fn new(ledger: Arc<Ledger>) -> Self {
        Self {
            marked: false,
            stamp: Epoch(0),
            last: Epoch(0),
            parcel: Parcel::default(),
            bytes: 0,
            told: 0,
            ledger,
        }
    }

    /// Asks for what a change writes in the one at this address.
    #[inline]
    pub(crate) fn prefetch(address: usize) {
        prefetch_write(address);
        prefetch_write(address + 64);
    }

    /// Asks for the memory of the next record, once the rest is there.
    #[inline]
    pub(crate) fn prefetch_end(&self) {
        let bytes = &self.parcel.bytes;
        let end = bytes.as_ptr().addr() + bytes.len();
        prefetch_write(end);
        // Most records are shorter than a line, and few begin with one.
        prefetch_write(end + 63);
    }

    /// Takes what was recorded, and leaves `empty` in its place.
    pub(crate) fn take(&mut self, empty: Parcel) -> Parcel {
        self.marked = false;
        self.ledger.release(Owner::Journal, self.told);
        (self.bytes, self.told) = (0, 0);
        core::mem::replace(&mut self.parcel, empty)
    }

    /// Records what an effect comes to; `live` says whether there is a key to change. What changes nothing is not recorded.
    pub(crate) fn record(&mut self, key: &[u8], effect: &Effect<'_>, live: bool, now: Millis) {
        let (record, blob) = match *effect {
            Effect::Set {
                kind,
                ref data,
                expires,
            } => {
                let (value, blob) = match data {
                    NewData::Bytes(bytes) => (*bytes, None),
                    NewData::Blob(blob) => (&blob[..], Some(blob)),
                };
                let set = Record::Set {
                    kind,
                    key,
                    value,
                    expires,
                };
                (set, blob)
            }
            Effect::Delete | Effect::Expire(_) if !live => return,
            Effect::Delete => (Record::Delete { key }, None),
            Effect::Expire(expires) => (Record::Expire { key, expires }, None),
            Effect::Patch { offset, bytes } => {
                // Whoever recovers may still find a value that has ended by now.
                let record = if live {
                    Record::Patch { key, offset, bytes }
                } else {
                    Record::Fresh { key, offset, bytes }
                };
                (record, None)
            }
        };
        self.push(&record, blob, now);
    }

    /// Appends a record. Its value is `blob`, where there is one.
    pub(crate) fn push(&mut self, record: &Record<'_>, blob: Option<&Blob>, now: Millis) {
        debug_assert!(
            self.stamp > Epoch(0),
            "a change is recorded by who locked the shard to write"
        );
        let Parcel {
            bytes,
            blobs,
            last: part,
            earlier,
        } = &mut self.parcel;
        self.bytes += body::put(record, blob, bytes, blobs);
        if self.bytes - self.told >= STEP {
            let more = self.bytes - self.told;
            self.told = self.bytes;
            self.ledger.charge(Owner::Journal, more);
        }
        self.last = self.stamp;
        if part.epoch != self.stamp {
            if part.count > 0 {
                earlier.push(*part);
            }
            *part = Part {
                epoch: self.stamp,
                moments: [now; 2],
                ..Part::default()
            };
        }
        part.count += 1;
        part.end = bytes.len();
        part.blobs = blobs.len();
        part.moments[0] = part.moments[0].min(now);
        part.moments[1] = part.moments[1].max(now);
    }
}
