//! Expiry on time: the memory of an entry comes back within a second of its end, whether it is touched or not.
//!
//! Every entry that ends has an item in its shard's [`Wheel`] that comes up at its end or before. It was put there when
//! the entry got an end, or an earlier one. Nothing else touches it: an entry that is given a later end, loses it or
//! goes leaves its item behind, and when that comes up, what is found under its remnant is removed, filed anew or left
//! alone. So a session that is renewed with each request, however often, has one item.
//!
//! Items that stand for nothing would pile up under who shortens and lengthens lives by turns, or evicts entries long
//! before their end. Where they outnumber those that stand for something, the shard begins a second wheel: it walks its
//! entries and files each once, a few for each change and more in each piece of housekeeping, while the old wheel turns
//! on; then the old one goes.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::entry::Header;
use super::index::{Place, remnant};
use super::log::Handle;
use super::position::Position;
use super::shard::Shard;
use super::wheel::{Remnant, TICK, Wheel};
use crate::buffer::Blob;
use crate::{Histogram, Millis};

/// Items that come up under one lock, at most: each takes a third of a microsecond, cleaning up behind it included. The more
/// they are, the more of their memory is waited for at once.
const BATCH: usize = 256;

/// Stale items that are always put up with: 1 KiB.
const STALE: usize = 256;

/// Entries walked for a new wheel with each item filed. More than a change moves to the head, so that the end is reached.
const STEPS: usize = 16;

/// The same, with each piece of housekeeping: about 20 µs.
const STRIDE: usize = 1000;

/// By shard: when its timers want to be looked at. Housekeeping reads it without any lock; what it reads may be out of
/// date, but whoever has set an earlier moment makes it look once more.
#[derive(Debug)]
pub(super) struct Agenda(Box<[AtomicU64]>);

impl Agenda {
    /// One of `shards` shards, none of which wants anything.
    pub(super) fn new(shards: usize) -> Self {
        Self((0..shards).map(|_| AtomicU64::new(u64::MAX)).collect())
    }

    /// Whether a shard wants to be looked at.
    pub(super) fn is_due(&self, shard: usize, now: Millis) -> bool {
        self.0[shard].load(Relaxed) <= now.0
    }

    /// When the first of all wants to be; `None` where none ever does.
    pub(super) fn first(&self) -> Option<Millis> {
        let first = self.0.iter().map(|due| due.load(Relaxed)).min()?;
        (first < u64::MAX).then_some(Millis(first))
    }
}

/// The timers of one shard.
#[derive(Debug)]
#[repr(C)] // What every change reads comes first.
pub(super) struct Timers {
    /// Bytes of memory.
    memory: usize,
    wheel: Wheel,
    renewal: Option<Box<Renewal>>,
    agenda: Arc<Agenda>,
    shard: usize,
    /// What the agenda says.
    told: u64,
}

/// The wheel that is to take over.
#[derive(Debug)]
struct Renewal {
    fresh: Wheel,
    /// How far the entries have been walked.
    at: Position,
}

/// What became of entries whose end had come.
#[derive(Debug, Default)]
pub(super) struct Harvest {
    /// How many milliseconds after their ends they were removed.
    pub(super) lags: Histogram,
    /// Their large values, to be dropped after the lock.
    pub(super) freed: Vec<Blob>,
    /// Items that came up, and entries that were walked, in the time of one.
    pub(super) work: usize,
}

/// What there is under a remnant.
struct Survey {
    /// One that has ended.
    ended: Option<(Place, Handle, Header, Millis)>,
    /// The first end among the others.
    next: Option<Millis>,
    /// Entries that there are.
    count: usize,
}

impl Timers {
    pub(super) fn new(agenda: &Arc<Agenda>, shard: usize) -> Self {
        // Golden section of 35 years: windows of no width end at the same moment in many shards.
        let phase = (shard as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24;
        Self::with(Wheel::new(phase), agenda, shard)
    }

    fn with(wheel: Wheel, agenda: &Arc<Agenda>, shard: usize) -> Self {
        agenda.0[shard].store(u64::MAX, Relaxed);
        Self {
            memory: 0,
            wheel,
            renewal: None,
            agenda: Arc::clone(agenda),
            shard,
            told: u64::MAX,
        }
    }

    /// Timers for a shard that is empty again.
    pub(super) fn successor(&self) -> Self {
        Self::with(self.wheel.successor(), &self.agenda, self.shard)
    }

    /// Bytes of memory.
    #[inline]
    pub(super) const fn memory(&self) -> usize {
        self.memory
    }

    /// A moment before all ends of entries that are still there.
    pub(super) fn floor(&self, now: Millis) -> Millis {
        if self.told > now.0 {
            // Nothing has come up, which it does within a tick after its end.
            Millis(now.0.saturating_sub(TICK))
        } else {
            Millis(0)
        }
    }

    /// Whether more items stand for nothing than for one of `expiring` entries.
    const fn is_stale(&self, expiring: usize) -> bool {
        self.renewal.is_none() && self.wheel.len() > 2 * expiring + STALE
    }

    fn file(&mut self, remnant: Remnant, end: Millis, now: Millis) {
        let wheel = match &mut self.renewal {
            Some(renewal) => &mut renewal.fresh,
            None => &mut self.wheel,
        };
        wheel.insert(remnant, end, now);
    }

    /// Takes out items that have come up, as many as there are in one of the wheels and `to` holds; says how many, and whether
    /// what they stand for has to be filed anew. What the old wheel knows of is filed by the walk.
    fn pop(&mut self, now: Millis, to: &mut [Remnant]) -> (usize, bool) {
        let count = self.wheel.pop(now, to);
        match &mut self.renewal {
            None => (count, true),
            Some(_) if count > 0 => (count, false),
            Some(renewal) => (renewal.fresh.pop(now, to), true),
        }
    }

    /// Works out the memory, and tells the agenda if something has changed. To be called after every change.
    fn tell(&mut self) {
        let fresh = self.renewal.as_ref().map(|renewal| renewal.fresh.memory());
        self.memory = self.wheel.memory() + fresh.unwrap_or(0);
        let due = match &self.renewal {
            Some(_) => 0,
            None => self.wheel.due().map_or(u64::MAX, |due| due.0),
        };
        if due != self.told {
            self.told = due;
            self.agenda.0[self.shard].store(due, Relaxed);
        }
    }
}

impl Shard {
    /// Sees to it that an entry goes at `end`, which is earlier than its end was, if it had one.
    pub(super) fn schedule(&mut self, hash: u64, end: Millis, now: Millis) {
        self.timers.file(remnant(hash), end, now);
        self.renew_timers();
        self.walk_timers(STEPS, now);
        self.timers.tell();
    }

    /// Begins a new wheel if too much of this one is stale.
    pub(super) fn renew_timers(&mut self) {
        if !self.timers.is_stale(self.expiring) {
            return;
        }
        let fresh = self.timers.wheel.successor();
        if self.expiring == 0 {
            self.timers.wheel = fresh;
        } else {
            let at = Position::default();
            self.timers.renewal = Some(Box::new(Renewal { fresh, at }));
        }
        self.timers.tell();
    }

    /// Goes on with the new wheel, if there is one: files up to `steps` entries.
    fn walk_timers(&mut self, mut steps: usize, now: Millis) {
        let Some(mut renewal) = self.timers.renewal.take() else {
            return;
        };
        let (log, hasher, anchor) = (&self.log, &self.hasher, self.anchor);
        let next = log.walk(renewal.at, &mut steps, |handle, header| {
            let bytes = log.at(handle);
            if let Some(end) = header.expires(bytes, anchor) {
                let hash = hasher.hash(header.key(bytes));
                renewal.fresh.insert(remnant(hash), end, now);
            }
            true
        });
        match next {
            Some(at) => {
                renewal.at = at;
                self.timers.renewal = Some(renewal);
            }
            None => self.timers.wheel = renewal.fresh,
        }
    }

    /// Removes entries whose end has come, as many as is right under one lock. The agenda tells whether that was all.
    pub(super) fn expire_some(&mut self, now: Millis, harvest: &mut Harvest) {
        let mut items = [Remnant::new(0); BATCH];
        let (count, again) = self.timers.pop(now, &mut items);
        let items = &items[..count];
        // All that is read for them is asked for before the first is waited for.
        for &remnant in items {
            self.index.prefetch_remnant(remnant);
        }
        // Not entry by entry: each waits until its page is found, and what comes after waits with it.
        let mut handles = [Handle(0); BATCH];
        let mut found = 0;
        for &remnant in items {
            if let Some(handle) = self.index.guess_remnant(remnant) {
                handles[found] = handle;
                found += 1;
            }
        }
        for &handle in &handles[..found] {
            self.log.prefetch(handle);
        }
        for &remnant in items {
            if let Some(end) = self.come_up(remnant, now, harvest).filter(|_| again) {
                self.timers.file(remnant, end, now);
            }
        }
        harvest.work += count;
        if self.timers.renewal.is_some() {
            self.walk_timers(STRIDE, now);
            harvest.work += STRIDE / 10;
        }
        self.timers.tell();
        self.log.close_empty();
        self.settle();
    }

    /// Removes what has ended under a remnant; returns when the first of what is left will end. Other keys may have the
    /// same remnant: one item for the first of them is enough, and more would breed.
    fn come_up(&mut self, remnant: Remnant, now: Millis, harvest: &mut Harvest) -> Option<Millis> {
        loop {
            let survey = self.survey(remnant, now);
            let Some((place, handle, header, end)) = survey.ended else {
                return survey.next;
            };
            harvest.lags.record(now.since(end));
            self.record_end(handle, &header, now);
            harvest.freed.extend(self.remove_at(place, handle, &header));
            self.expired += 1;
            if survey.count == 1 {
                return None;
            }
        }
    }

    fn survey(&self, of: Remnant, now: Millis) -> Survey {
        let mut survey = Survey {
            ended: None,
            next: None,
            count: 0,
        };
        for (place, handle) in self.index.candidates(of) {
            survey.count += 1;
            let bytes = self.log.at(handle);
            let header = Header::read(bytes);
            match header.expires(bytes, self.anchor) {
                None => {}
                Some(end) if end <= now => survey.ended = Some((place, handle, header, end)),
                Some(end) => {
                    let is_it = || remnant(self.hash_of(handle)) == of;
                    if survey.next.is_none_or(|next| end < next) && is_it() {
                        survey.next = Some(end);
                    }
                }
            }
        }
        survey
    }
}

#[cfg(test)]
impl Shard {
    /// Checks that what ends will come up in time, and that not too many items stand for nothing.
    pub(super) fn validate_timers(&self, ends: &[(u64, Millis)]) {
        let Timers { wheel, renewal, .. } = &self.timers;
        wheel.validate();
        let told = self.timers.agenda.0[self.timers.shard].load(Relaxed);
        assert_eq!(told, self.timers.told);
        if let Some(renewal) = renewal {
            renewal.fresh.validate();
            assert_eq!(told, 0, "who renews wants to be looked at");
            return;
        }
        assert!(
            wheel.len() <= 2 * ends.len() + STALE,
            "{} items for {}",
            wheel.len(),
            ends.len()
        );
        for &(hash, end) in ends {
            let due = wheel
                .first_of(remnant(hash))
                .expect("what ends has an item");
            assert!(due <= end.plus(TICK), "{due} for {end}");
            assert!(told <= due.0);
        }
    }
}
