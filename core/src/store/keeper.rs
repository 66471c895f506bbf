//! Housekeeping: rounds through all shards that remove what has expired and free what a flush left, in bounded pieces.
//!
//! A round walks the log of every shard that has keys with a time to live and notes the next moment at which one is
//! due. Between rounds nothing happens before that moment, and not more than two rounds a second. What was changed
//! during a round of several ticks may be behind where it was; then another one follows.

use alloc::vec::Vec;

use super::{Shard, Store};
use crate::Millis;
use crate::session::Budget;

/// Milliseconds between the starts of two rounds, at least: the memory of an expired key is back within a second.
const PACE: u64 = 500;

/// Units of the budget that dropping a large value takes.
const FREEING: usize = 5;

/// The round under way.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// The next shard to visit.
    shard: usize,
    /// The earliest moment at which something that was seen is due.
    due: Option<Millis>,
    /// When a round may start; nothing before that.
    next: Millis,
    /// Changes ever made to the shards that were visited.
    changes: u64,
    /// The same of all shards, in the round before.
    changes_before: u64,
    /// Whether the round took more than one tick.
    split: bool,
}

impl Store {
    /// Does a bounded piece of housekeeping. Returns when there is more to do; `None` where nothing is left to do until
    /// a command changes that.
    pub fn tick(&self, now: Millis, mut budget: Budget) -> Option<Millis> {
        if self.free_one(&mut budget) > 0 {
            return Some(now);
        }
        let mut round = self.round.lock();
        if now < round.next {
            return Some(round.next);
        }
        while round.shard < self.shards() {
            if budget.is_spent() {
                round.split = true;
                return Some(now);
            }
            budget.spend(1);
            let mut freed = Vec::new();
            let mut shard = self.lock(round.shard);
            if shard.sweep(now, &mut budget, &mut round.due, &mut freed) {
                round.changes = round.changes.wrapping_add(shard.changes());
                round.shard += 1;
            }
            drop(shard);
            budget.spend(freed.len() * FREEING);
        }
        let missed = round.split && round.changes != round.changes_before;
        let due = if missed { Some(now) } else { round.due };
        *round = Round {
            next: now.plus(PACE),
            changes_before: round.changes,
            ..Round::default()
        };
        if !self.garbage.lock().is_empty() {
            return Some(now);
        }
        due.map(|due| due.max(round.next))
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
