//! The one way in which anything in the store changes.

use alloc::vec::Vec;

use super::effect::{Committed, Effect, NewData};
use super::entry::{self, Header, Kind, Stored};
use super::key::Key;
use super::log::Handle;
use super::position::Queue;
use super::recording::note_change;
use super::shard::Shard;
use crate::Millis;
use crate::buffer::Blob;
use crate::journal::Record;

impl Shard {
    /// Changes `key`: the one way in which anything in the store changes.
    pub fn commit(&mut self, key: &Key<'_>, effect: Effect<'_>, now: Millis) -> Committed {
        let mut found = self.find(key);
        let mut dropped = None;
        if let Some((handle, header)) = found
            && header.is_due(self.log.at(handle), self.anchor, now)
        {
            self.record_end(handle, &header, now);
            dropped = self.remove(key.hash(), handle, &header);
            self.expired += 1;
            found = None;
        }
        if let Some(end) = effect.end()
            && !self.anchor.is_near(end)
        {
            self.anchor = self.anchor.moved_to(self.timers.floor(now));
        }
        let sooner = self.sooner_end(found.as_ref(), &effect);
        if let (
            Some((handle, header)),
            Effect::Set {
                kind,
                data,
                expires,
            },
        ) = (&found, &effect)
            && self.overwrite(*handle, header, *kind, data, *expires, now)
        {
            self.changes += 1;
            if let Some(end) = sooner {
                self.schedule(key.hash(), end, now);
                self.settle();
            }
            return Committed {
                existed: true,
                ..Committed::default()
            };
        }
        let mut evicted = Vec::new();
        match (&found, &effect) {
            (_, Effect::Delete | Effect::Expire(_)) => {}
            (Some((handle, _)), _) => entry::touch(self.log.at_mut(*handle)),
            (None, _) => {
                self.policy.missed(key.hash());
                self.admit(now, &mut evicted);
            }
        }
        let existed = found.is_some();
        let replaced = match effect {
            Effect::Set {
                kind,
                data,
                expires,
            } => self.set(key, found, kind, data, expires, now),
            Effect::Delete => found.and_then(|(handle, header)| {
                self.record_removal(handle, &header, now);
                self.remove(key.hash(), handle, &header)
            }),
            Effect::Expire(expires) => {
                if let Some((handle, header)) = found {
                    self.expire(key, handle, &header, expires, now);
                }
                None
            }
            Effect::Patch { offset, bytes } => self.patch(key, found, offset, bytes, now),
        };
        self.changes += 1;
        if let Some(end) = sooner {
            self.schedule(key.hash(), end, now);
        }
        self.settle();
        Committed {
            existed,
            dropped: replaced.or(dropped),
            evicted,
        }
    }

    /// Lets entries go until one more is within the limit, where entries are counted.
    #[inline]
    fn admit(&mut self, now: Millis, evicted: &mut Vec<Blob>) {
        while self.is_full() && self.evict_one(self.limit.eviction, now, evicted) {}
    }

    /// Replaces a value by one of the same size where it is; false where it does not fit. Memory stays as it was, so that
    /// only two cache lines are written: the shard's first and the entry's.
    #[inline]
    fn overwrite(
        &mut self,
        handle: Handle,
        header: &Header,
        kind: Kind,
        data: &NewData<'_>,
        expires: Option<Millis>,
        now: Millis,
    ) -> bool {
        let NewData::Bytes(bytes) = data else {
            return false;
        };
        if !header.takes(kind, bytes, self.anchor.form(expires)) {
            return false;
        }
        let entry = self.log.at_mut(handle);
        entry::touch(entry);
        header.value_mut(entry).copy_from_slice(bytes);
        header.write_expiry(entry, expires);
        note_change(&mut self.pending, entry, handle, header.size(), now);
        true
    }

    /// The end that an entry will have, if it had none or a later one.
    #[inline]
    fn sooner_end(&self, found: Option<&(Handle, Header)>, effect: &Effect<'_>) -> Option<Millis> {
        let end = effect.end()?;
        match (found, effect) {
            (None, Effect::Expire(_)) => None,
            (None, _) => Some(end),
            (Some((handle, header)), _) => {
                let old = header.expires(self.log.at(*handle), self.anchor);
                old.is_none_or(|old| end < old).then_some(end)
            }
        }
    }

    fn set(
        &mut self,
        key: &Key<'_>,
        found: Option<(Handle, Header)>,
        kind: Kind,
        data: NewData<'_>,
        expires: Option<Millis>,
        now: Millis,
    ) -> Option<Blob> {
        let value = match data {
            NewData::Bytes(bytes) => Stored::Inline(bytes),
            NewData::Blob(blob) => {
                let set = Record::Set {
                    kind,
                    key: key.bytes(),
                    value: &blob,
                    expires,
                };
                self.record_at_once(&set, Some(&blob), now);
                Stored::Blob(self.blobs.insert(blob))
            }
        };
        self.place(key, found.as_ref(), kind, value, expires, now)
    }

    /// Writes an entry at the head, in the place of `found` where there is one; returns the blob that this frees.
    fn place(
        &mut self,
        key: &Key<'_>,
        found: Option<&(Handle, Header)>,
        kind: Kind,
        value: Stored<'_>,
        expires: Option<Millis>,
        now: Millis,
    ) -> Option<Blob> {
        let form = self.anchor.form(expires);
        let size = entry::size(key.bytes(), value, form);
        let queue = found.map_or(Queue::Window, |(old, _)| self.log.queue_of(*old));
        let (new, to) = self
            .log
            .append(queue, size)
            .expect("a shard holds 4 GiB of entries");
        entry::write(to, kind, key.bytes(), value, expires, form);
        self.expiring += usize::from(expires.is_some());
        if let Some((_, header)) = found {
            self.log.at_mut(new)[0] = header.reads();
        }
        if matches!(value, Stored::Inline(_)) {
            note_change(&mut self.pending, self.log.at_mut(new), new, size, now);
        }
        let Some((old, header)) = found else {
            self.index
                .insert(key.hash(), new, &(&self.log, &*self.hasher));
            return None;
        };
        let blob = header.blob(self.log.at(*old));
        self.index.replace(key.hash(), *old, new);
        self.forget_dirty(*old);
        self.log.kill(*old, header.size());
        self.forget_end(header);
        // Where the value only moved, the blob stays.
        let moved = matches!(value, Stored::Blob(number) if blob == Some(number));
        blob.filter(|_| !moved)
            .map(|number| self.blobs.remove(number))
    }

    fn expire(
        &mut self,
        key: &Key<'_>,
        handle: Handle,
        header: &Header,
        expires: Option<Millis>,
        now: Millis,
    ) {
        let is_large = header.blob(self.log.at(handle)).is_some();
        if is_large {
            let key = key.bytes();
            self.record_at_once(&Record::Expire { key, expires }, None, now);
        }
        if header.expiry_fits(self.anchor.form(expires)) {
            header.write_expiry(self.log.at_mut(handle), expires);
            if !is_large {
                let entry = self.log.at_mut(handle);
                note_change(&mut self.pending, entry, handle, header.size(), now);
            }
            return;
        }
        // The entry changes its size. A small value goes through the stack: the log cannot lend it while it grows.
        let mut copy = [0; Blob::MIN];
        let bytes = self.log.at(handle);
        let value = match header.blob(bytes) {
            Some(number) => Stored::Blob(number),
            None => {
                let value = header.value(bytes);
                copy[..value.len()].copy_from_slice(value);
                Stored::Inline(&copy[..value.len()])
            }
        };
        let freed = self.place(
            key,
            Some(&(handle, *header)),
            header.kind(),
            value,
            expires,
            now,
        );
        debug_assert!(freed.is_none(), "the value only moved");
    }

    fn patch(
        &mut self,
        key: &Key<'_>,
        found: Option<(Handle, Header)>,
        offset: usize,
        bytes: &[u8],
        now: Millis,
    ) -> Option<Blob> {
        let end = offset + bytes.len();
        if let Some((handle, header)) = &found {
            if let Some(number) = header.blob(self.log.at(*handle)) {
                let key = key.bytes();
                self.record_at_once(&Record::Patch { key, offset, bytes }, None, now);
                let blob = self.blobs.get_mut(number);
                let value = blob.make_mut();
                if value.len() < end {
                    value.resize(end, 0);
                }
                value[offset..end].copy_from_slice(bytes);
                self.blobs.recount(number);
                return None;
            }
            let value = header.value_mut(self.log.at_mut(*handle));
            if end <= value.len() {
                value[offset..end].copy_from_slice(bytes);
                let entry = self.log.at_mut(*handle);
                note_change(&mut self.pending, entry, *handle, header.size(), now);
                return None;
            }
        }
        let old = found.as_ref().map_or(&[][..], |(handle, header)| {
            header.value(self.log.at(*handle))
        });
        let mut value = Vec::with_capacity(end.max(old.len()));
        value.extend_from_slice(old);
        value.resize(end.max(old.len()), 0);
        value[offset..end].copy_from_slice(bytes);
        let expires = found
            .as_ref()
            .and_then(|(handle, header)| header.expires(self.log.at(*handle), self.anchor));
        self.set(
            key,
            found,
            Kind::String,
            NewData::take(&mut value),
            expires,
            now,
        )
    }
}
