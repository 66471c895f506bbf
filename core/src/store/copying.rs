//! Copying all entries of a store into blocks of a snapshot, in slices.

use super::{Position, Store};
use crate::Millis;
use crate::journal::snapshot::Block;

/// Entries that are passed under one lock: 10 to 20 ns each.
const SLICE: usize = 256;

/// Bytes of entries after which a slice ends early.
const SLICE_BYTES: usize = 16 << 10;

/// How far the copying of a store has come.
#[derive(Debug)]
pub struct Copying {
    shard: usize,
    at: Position,
    /// The head of the queue that the walk is in, when it came there, or to the head that was noted before.
    goal: Position,
    slice: usize,
}

impl Default for Copying {
    fn default() -> Self {
        Self {
            shard: 0,
            at: Position::default(),
            goal: Position::default(),
            slice: SLICE,
        }
    }
}

impl Copying {
    /// Copies the next entries; false once all were. Every entry that is there throughout is copied, one that moves
    /// meanwhile perhaps twice, and what has ended is not.
    ///
    /// Whoever rewrites entries faster than they are copied drives the end of the walk before it; so each time that it
    /// comes to where the end was, its slices double.
    pub fn slice(&mut self, store: &Store, now: Millis, block: &mut Block) -> bool {
        if self.shard == store.shards() {
            return false;
        }
        let mut steps = self.slice;
        let most = block.len() + self.slice.saturating_mul(SLICE_BYTES / SLICE);
        let (next, head) = {
            let shard = store.lock(self.shard);
            let next = shard.walk(self.at, &mut steps, now, |_, key, item| {
                block.add(key, &item);
                block.len() < most
            });
            (next, shard.head(next.unwrap_or(self.at)))
        };
        match next {
            Some(next) => {
                if self.at == Position::default() || !next.is_beside(self.goal) {
                    self.goal = head;
                } else if next >= self.goal {
                    self.goal = head;
                    self.slice = self.slice.saturating_mul(2);
                }
                self.at = next;
            }
            None => {
                *self = Self {
                    shard: self.shard + 1,
                    ..Self::default()
                };
            }
        }
        self.shard < store.shards()
    }
}
