//! Housekeeping: removes what has ended and frees what a flush left, in bounded pieces.
//!
//! Each shard tells on the agenda when its timers want to be looked at. A tick looks at those whose moment has come, a
//! batch of entries under each lock and one shard after the other, so that none waits for the rest of another's.

use super::expiry::Harvest;
use super::{Shard, Store};
use crate::Millis;
use crate::session::Budget;

/// Units of the budget that a visit takes: two or three lines of memory that are seldom in the cache.
const VISIT: usize = 2;

/// Units that an item takes which has come up.
const ITEM: usize = 3;

/// Units that dropping a large value takes.
const FREEING: usize = 5;

/// How far housekeeping has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The next shard to be looked at.
    shard: usize,
    /// The last flush after which every shard was looked at, ...
    flushed: u64,
    /// ... and the one after which they are being looked at, with the next of them.
    flushing: (u64, usize),
}

impl Store {
    /// Does a bounded piece of housekeeping. Returns when there is more to do; `None` where nothing is left to do until
    /// a command changes that.
    pub fn tick(&self, now: Millis, mut budget: Budget) -> Option<Millis> {
        if self.free_one(&mut budget) > 0 {
            return Some(now);
        }
        let mut progress = self.progress.lock();
        let done = self.put_aside(&mut progress, &mut budget)
            && self.expire(&mut progress, now, &mut budget);
        if !done || !self.garbage.lock().is_empty() {
            return Some(now);
        }
        self.agenda.first()
    }

    /// Lets every shard notice a flush that nobody else made it notice. False where the budget was spent first.
    fn put_aside(&self, progress: &mut Progress, budget: &mut Budget) -> bool {
        while progress.flushed != self.generation() {
            let (flush, shard) = &mut progress.flushing;
            if *shard == 0 {
                *flush = self.generation();
            }
            while *shard < self.shards() {
                if budget.is_spent() {
                    return false;
                }
                budget.spend(VISIT);
                drop(self.lock(*shard));
                *shard += 1;
            }
            progress.flushed = *flush;
            *shard = 0;
        }
        true
    }

    /// Removes what has ended. False where the budget was spent first.
    fn expire(&self, progress: &mut Progress, now: Millis, budget: &mut Budget) -> bool {
        let mut harvest = Harvest::default();
        let mut next = self.next_due(progress, now);
        while let Some(shard) = next
            && !budget.is_spent()
        {
            // What the next visit reads first comes during this one.
            next = self.next_due(progress, now);
            if let Some(next) = next {
                self.prefetch_shard(next);
            }
            // The search has come round to a shard that was visited since.
            if !self.agenda.is_due(shard, now) {
                continue;
            }
            self.lock(shard).expire_some(now, &mut harvest);
            let work = core::mem::take(&mut harvest.work);
            budget.spend(VISIT + work * ITEM + harvest.freed.len() * FREEING);
            harvest.freed.clear();
        }
        if let Some(next) = next {
            progress.shard = next;
        }
        if harvest.lags.total() > 0 {
            self.journal.note_time();
            self.lags.lock().add(&harvest.lags);
        }
        next.is_none()
    }

    /// The next shard, from where housekeeping goes on, that wants to be looked at.
    fn next_due(&self, progress: &mut Progress, now: Millis) -> Option<usize> {
        // Their number is a power of two, and a division for each would cost more than all the rest of the search.
        let place = |step| (progress.shard + step) & (self.shards() - 1);
        let due = (0..self.shards())
            .map(place)
            .find(|&shard| self.agenda.is_due(shard, now))?;
        progress.shard = (due + 1) & (self.shards() - 1);
        Some(due)
    }

    /// Frees all that flushes have put aside.
    pub(crate) fn free_flushed(&self) {
        while self.free_one(&mut Budget::new(0)) > 0 {}
    }

    /// Frees a shard that a flush has put aside, outside every lock; returns its bytes, 0 where there is none.
    pub(super) fn free_one(&self, budget: &mut Budget) -> usize {
        let flushed: Option<Shard> = self.garbage.lock().pop();
        budget.spend(flushed.as_ref().map_or(0, Shard::len) / 10);
        flushed.as_ref().map_or(0, Shard::memory)
    }
}
