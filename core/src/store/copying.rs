//! Copying all entries of a store into blocks of a snapshot, in slices.

use super::{Store, Tour};
use crate::Millis;
use crate::journal::snapshot::Block;

/// Entries that are passed under one lock: 10 to 20 ns each.
const SLICE: usize = 256;

/// How far the copying of a store has come.
#[derive(Debug)]
pub struct Copying(Tour);

impl Default for Copying {
    fn default() -> Self {
        Self(Tour::new(SLICE))
    }
}

impl Copying {
    /// Copies the next entries; false once all were. Every entry that is there throughout is copied, one that moves
    /// meanwhile perhaps twice, and what has ended is not.
    pub fn slice(&mut self, store: &Store, now: Millis, block: &mut Block) -> bool {
        if !self.0.is_over(store) {
            self.0.slice(store, now, |key, item| {
                let before = block.len();
                block.add(key, item);
                block.len() - before
            });
        }
        !self.0.is_over(store)
    }
}
