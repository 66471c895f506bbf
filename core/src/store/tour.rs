//! A walk through all shards in slices, none of which holds a lock for long.

use super::{Item, Position, Store};
use crate::Millis;

/// Bytes after which a slice ends early; as many times more as its entries are more than at first.
const BYTES: usize = 16 << 10;

/// How far a walk through a store has come. It meets every entry that is there throughout, one that moves meanwhile
/// perhaps twice, and none that has ended.
///
/// Whoever rewrites entries faster than they are walked drives the head before the walk for ever; so each time the walk
/// comes to where the head was, its slices double.
#[derive(Debug)]
pub(crate) struct Tour {
    /// Entries of a slice at first.
    entries: usize,
    shard: usize,
    at: Position,
    /// The head of the queue that the walk is in, when it came there, or to the head that was noted before.
    goal: Position,
    /// How many times as large slices are as at first.
    pace: usize,
}

/// What one slice has met.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Met {
    /// Entries that were passed, whether visited or not.
    pub(crate) passed: usize,
    /// Whether it began a shard.
    pub(crate) first: bool,
    /// Whether it ended a shard.
    pub(crate) last: bool,
}

impl Tour {
    /// A walk that has not begun, which passes `entries` under one lock.
    pub(crate) const fn new(entries: usize) -> Self {
        Self {
            entries,
            shard: 0,
            at: Position(0),
            goal: Position(0),
            pace: 1,
        }
    }

    /// Whether all shards were walked.
    pub(crate) fn is_over(&self, store: &Store) -> bool {
        self.shard >= store.shards()
    }

    /// Visits the next entries, under the lock of their shard. `visit` says how many bytes it took of one.
    ///
    /// # Panics
    /// If the walk [is over](Self::is_over).
    pub(crate) fn slice(
        &mut self,
        store: &Store,
        now: Millis,
        mut visit: impl FnMut(&[u8], &Item<'_>) -> usize,
    ) -> Met {
        let entries = self.entries.saturating_mul(self.pace);
        let most = BYTES.saturating_mul(self.pace);
        let first = self.at == Position::default();
        let (mut steps, mut bytes) = (entries, 0);
        let (next, head) = {
            let shard = store.lock(self.shard);
            let next = shard.walk(self.at, &mut steps, now, |_, key, item| {
                bytes += visit(key, &item);
                bytes < most
            });
            (next, shard.head(next.unwrap_or(self.at)))
        };
        match next {
            Some(next) => self.go_on(next, head, first),
            None => {
                *self = Self {
                    shard: self.shard + 1,
                    ..Self::new(self.entries)
                };
            }
        }
        Met {
            passed: entries - steps,
            first,
            last: next.is_none(),
        }
    }

    /// Goes on in the same shard.
    fn go_on(&mut self, next: Position, head: Position, first: bool) {
        if first || !next.is_beside(self.goal) {
            self.goal = head;
        } else if next >= self.goal {
            self.goal = head;
            self.pace = self.pace.saturating_mul(2);
        }
        self.at = next;
    }
}
