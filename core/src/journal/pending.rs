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
use crate::store::Handle;

/// Records of one shard in the order in which they were made.
#[derive(Debug, Default)]
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
    pub const fn is_empty(&self) -> bool {
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

    /// Appends a record of this epoch, which was made between these moments; returns its bytes. Its value is `blob`, where
    /// there is one.
    fn push(
        &mut self,
        record: &Record<'_>,
        blob: Option<&Blob>,
        epoch: Epoch,
        moments: [Millis; 2],
    ) -> usize {
        let bytes = body::put(record, blob, &mut self.bytes, &mut self.blobs);
        let part = &mut self.last;
        if part.epoch != epoch {
            if part.count > 0 {
                self.earlier.push(*part);
            }
            *part = Part {
                epoch,
                moments,
                ..Part::default()
            };
        }
        part.count += 1;
        part.end = self.bytes.len();
        part.blobs = self.blobs.len();
        part.moments[0] = part.moments[0].min(moments[0]);
        part.moments[1] = part.moments[1].max(moments[1]);
        bytes
    }
}

/// What a shard keeps while changes are recorded.
///
/// Most changes are noted, not recorded: that an entry is *dirty*. What it is by the time its epoch is over, or another one
/// begins, becomes one record then. So a change writes four bytes in place of its key and value, and what changes often is
/// written once. What is no entry any more, and changes of large values, are recorded at once.
#[derive(Debug)]
#[repr(C, align(64))] // What every change writes is in the first line.
pub(crate) struct Pending {
    /// Entries of the shard's log that have changed in the epoch `stamp`, each once.
    dirty: Vec<Handle>,
    /// The earliest and the latest moment of these changes.
    moments: [Millis; 2],
    /// The epoch of whoever holds the lock to write.
    stamp: Epoch,
    /// The epoch of the last change.
    last: Epoch,
    /// Bytes of records that there are or will be and are not charged.
    untold: u32,
    /// Whether the journal knows that there may be something here.
    marked: bool,
    told: usize,
    parcel: Parcel,
    ledger: Arc<Ledger>,
}

/// Dirty entries from which on all are recorded, though their epoch goes on, while a disk is slow: each that moves or goes is
/// looked for among them, under the lock.
const LONG: usize = 256;

/// Bytes after which a shard charges what it holds: the ledger is another core's cache line.
const STEP: usize = 16 << 10;

impl Pending {
    /// Nothing.
    pub(crate) fn new(ledger: Arc<Ledger>) -> Self {
        Self {
            dirty: Vec::new(),
            moments: [Millis(0); 2],
            stamp: Epoch(0),
            last: Epoch(0),
            untold: 0,
            marked: false,
            told: 0,
            parcel: Parcel::default(),
            ledger,
        }
    }

    /// Asks for what a change writes in the one at this address.
    #[inline]
    pub(crate) fn prefetch(address: usize) {
        prefetch_write(address);
    }

    /// Asks for where the next dirty entry is noted, once the rest is there.
    #[inline]
    pub(crate) fn prefetch_end(&self) {
        prefetch_write(self.dirty.as_ptr_range().end.addr());
    }

    /// Whether the journal does not know yet that there may be something here; it does from now on.
    #[inline]
    pub(crate) const fn wants_mark(&mut self) -> bool {
        !core::mem::replace(&mut self.marked, true)
    }

    /// The epoch of whoever holds the lock to write.
    #[inline]
    pub(crate) const fn stamp(&self) -> Epoch {
        self.stamp
    }

    /// Whether what is dirty should be recorded soon.
    #[inline]
    pub(crate) const fn is_long(&self) -> bool {
        self.dirty.len() >= LONG
    }

    /// Says which epoch changes belong to from now on. What is dirty belongs to the one before: see
    /// [`record_dirty`](Self::record_dirty).
    #[inline]
    pub(crate) fn set_stamp(&mut self, epoch: Epoch) {
        debug_assert!(
            epoch == self.stamp || self.dirty.is_empty(),
            "entries are recorded as they were in their epoch"
        );
        self.stamp = epoch;
    }

    /// The epoch of the last change.
    #[inline]
    pub(crate) const fn last(&self) -> Epoch {
        self.last
    }

    /// Entries that have changed, and are not recorded yet.
    #[cfg(test)]
    pub(crate) fn dirty(&self) -> &[Handle] {
        &self.dirty
    }

    /// Notes that an entry of `size` bytes, which was not dirty, is now.
    #[inline]
    pub(crate) fn add_dirty(&mut self, handle: Handle, size: usize) {
        self.dirty.push(handle);
        self.charge(size);
    }

    /// Notes that a dirty entry has changed, now.
    #[inline]
    pub(crate) fn note(&mut self, now: Millis) {
        debug_assert!(
            self.stamp > Epoch(0),
            "a change is made by who locked the shard to write"
        );
        self.last = self.stamp;
        let [earliest, latest] = self.moments;
        self.moments = if self.dirty.len() <= 1 {
            [now; 2]
        } else {
            [earliest.min(now), latest.max(now)]
        };
    }

    /// Notes that a dirty entry is somewhere else, or no longer there.
    pub(crate) fn replace_dirty(&mut self, old: Handle, new: Option<Handle>) {
        // What has changed last is what changes next.
        let place = self.dirty.iter().rposition(|&handle| handle == old);
        debug_assert!(place.is_some(), "a dirty entry is noted");
        match (place, new) {
            (Some(place), Some(new)) => self.dirty[place] = new,
            (Some(place), None) => drop(self.dirty.swap_remove(place)),
            (None, _) => {}
        }
    }

    /// Takes the list of what is dirty: for each of them, [`record_dirty`](Self::record_dirty) is to be called, and the
    /// list to be given back.
    pub(crate) fn take_dirty(&mut self) -> Vec<Handle> {
        core::mem::take(&mut self.dirty)
    }

    /// Records what a dirty entry is by now.
    #[inline]
    pub(crate) fn record_dirty(&mut self, record: &Record<'_>) {
        self.parcel.push(record, None, self.stamp, self.moments);
    }

    /// Takes the memory of the list back.
    pub(crate) fn clear_dirty(&mut self, mut list: Vec<Handle>) {
        list.clear();
        self.dirty = list;
    }

    /// Lets what is recorded from now on go to `empty`, where nothing is recorded yet; what it was to go to is `empty` then.
    pub(crate) const fn go_on_in(&mut self, empty: &mut Parcel) {
        if self.parcel.is_empty() {
            core::mem::swap(&mut self.parcel, empty);
        }
    }

    /// Takes what was recorded, and leaves `empty` in its place.
    pub(crate) fn take(&mut self, empty: Parcel) -> Parcel {
        self.marked = false;
        self.ledger.release(Owner::Journal, self.told);
        (self.untold, self.told) = (0, 0);
        core::mem::replace(&mut self.parcel, empty)
    }

    /// Records a change. The value is `blob`, where there is one.
    pub(crate) fn push(&mut self, record: &Record<'_>, blob: Option<&Blob>, now: Millis) {
        debug_assert!(
            self.stamp > Epoch(0),
            "a change is recorded by who locked the shard to write"
        );
        self.last = self.stamp;
        let bytes = self.parcel.push(record, blob, self.stamp, [now; 2]);
        self.charge(bytes);
    }

    #[inline]
    fn charge(&mut self, bytes: usize) {
        self.untold += bytes as u32;
        if self.untold as usize >= STEP {
            let more = core::mem::take(&mut self.untold) as usize;
            self.told += more;
            self.ledger.charge(Owner::Journal, more);
        }
    }
}
