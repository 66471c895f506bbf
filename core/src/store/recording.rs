//! What a shard tells the journal of its changes.

use super::entry::{self, Header};
use super::log::Handle;
use super::shard::Shard;
use crate::Millis;
use crate::buffer::Blob;
use crate::journal::{Epoch, Parcel, Pending, Record};

use alloc::boxed::Box;

/// Dirty entries that are asked for before the first of them is read.
const BATCH: usize = 16;

/// Notes that the entry of `size` bytes at the start of `bytes` has changed, whose value is there.
#[inline]
pub(super) fn note_change(
    pending: &mut Option<Box<Pending>>,
    bytes: &mut [u8],
    handle: Handle,
    size: usize,
    now: Millis,
) {
    if let Some(pending) = pending {
        if entry::soil(bytes) {
            pending.add_dirty(handle, size);
        }
        pending.note(now);
    }
}

impl Shard {
    /// Has changes recorded from now on, in `pending`.
    pub(super) fn record(&mut self, pending: Box<Pending>) {
        self.pending = Some(pending);
    }

    /// Where changes are recorded: whether the journal is to be told that there may be some.
    #[inline]
    pub(super) fn wants_mark(&mut self) -> bool {
        self.pending
            .as_mut()
            .is_some_and(|pending| pending.wants_mark())
    }

    /// Says which epoch the changes belong to that are made under this lock.
    #[inline]
    pub(super) fn set_stamp(&mut self, epoch: Epoch) {
        let Some(pending) = &mut self.pending else {
            return;
        };
        if pending.stamp() != epoch || pending.is_long() {
            self.begin(epoch);
        }
    }

    /// Begins an epoch: what is dirty is recorded as it was at the end of the one before. Goes on with one likewise.
    fn begin(&mut self, epoch: Epoch) {
        self.record_dirty();
        if let Some(pending) = &mut self.pending {
            pending.set_stamp(epoch);
        }
    }

    /// The epoch that changes belong to which are made under this lock; 0 where they are not recorded.
    #[inline]
    pub(crate) fn stamp(&self) -> Epoch {
        self.pending
            .as_ref()
            .map_or(Epoch(0), |pending| pending.stamp())
    }

    /// The epoch of the last change; 0 where changes are not recorded.
    #[must_use]
    #[inline]
    pub fn last_change(&self) -> Epoch {
        self.pending
            .as_ref()
            .map_or(Epoch(0), |pending| pending.last())
    }

    /// Takes what was recorded, and leaves `empty` in its place.
    pub(super) fn take_pending(&mut self, mut empty: Parcel) -> Parcel {
        let Some(pending) = &mut self.pending else {
            return empty;
        };
        // Into memory that was used a moment ago, where there is a choice.
        pending.go_on_in(&mut empty);
        self.record_dirty();
        match &mut self.pending {
            Some(pending) => pending.take(empty),
            None => empty,
        }
    }

    /// Records a change: of a large value, or that there is no entry any more.
    pub(super) fn record_at_once(&mut self, record: &Record<'_>, blob: Option<&Blob>, now: Millis) {
        if let Some(pending) = &mut self.pending {
            pending.push(record, blob, now);
        }
    }

    /// Records that an entry goes which is the last that there is of its key.
    pub(super) fn record_removal(&mut self, handle: Handle, header: &Header, now: Millis) {
        if let Some(pending) = &mut self.pending {
            let key = header.key(self.log.at(handle));
            pending.push(&Record::Delete { key }, None, now);
        }
    }

    /// Records that an entry goes since it has ended, where that is not known from its end: nothing is of a dirty one.
    #[inline]
    pub(super) fn record_end(&mut self, handle: Handle, header: &Header, now: Millis) {
        if entry::is_dirty(self.log.at(handle)) {
            self.record_removal(handle, header, now);
        }
    }

    /// Says that an entry goes, which may be dirty.
    #[inline]
    pub(super) fn forget_dirty(&mut self, handle: Handle) {
        if entry::is_dirty(self.log.at(handle))
            && let Some(pending) = &mut self.pending
        {
            pending.replace_dirty(handle, None);
        }
    }

    /// Says that an entry has moved, which may be dirty.
    #[inline]
    pub(super) fn move_dirty(&mut self, old: Handle, new: Handle) {
        if entry::is_dirty(self.log.at(new))
            && let Some(pending) = &mut self.pending
        {
            pending.replace_dirty(old, Some(new));
        }
    }

    /// Records all that is dirty as it is now.
    pub(super) fn record_dirty(&mut self) {
        let Some(pending) = &mut self.pending else {
            return;
        };
        let dirty = pending.take_dirty();
        for handles in dirty.chunks(BATCH) {
            for &handle in handles {
                self.log.prefetch(handle);
            }
            for &handle in handles {
                let bytes = self.log.at_mut(handle);
                entry::wash(bytes);
                let header = Header::read(bytes);
                pending.record_dirty(&Record::Set {
                    kind: header.kind(),
                    key: header.key(bytes),
                    value: header.value(bytes),
                    expires: header.expires(bytes, self.anchor),
                });
            }
        }
        pending.clear_dirty(dirty);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::frame::{Frame, Gatherer};
    use crate::store::{Effect, Kind, NewData, Options, Store};

    #[test]
    fn what_is_dirty_is_recorded_before_there_is_much() {
        let store = Store::new(&Options {
            shards: 1,
            ..Options::default()
        });
        store.record(Epoch(1));
        for number in 0..1_000u32 {
            let effect = Effect::Set {
                kind: Kind::String,
                data: NewData::Bytes(b"value"),
                expires: None,
            };
            let mut shard = store.lock_to_write(0);
            drop(shard.commit(&store.key(&number.to_le_bytes()), effect, Millis(5)));
            let pending = shard.pending.as_ref().expect("it records");
            assert!(pending.dirty().len() <= 256);
        }
        let frames = Gatherer::default().gather(&store, Millis(5)).frames;
        assert_eq!(frames.iter().map(Frame::count).sum::<u32>(), 1_000);
    }
}
