//! What a shard has told others of its memory.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::ledger::{Charge, Ledger, Owner};

/// A change of fewer bytes is not told: a shard that takes and gives back a little does not bother the others.
const GRAIN: usize = 1 << 10;

/// A shard's account: the ledger knows the sum of all, the board each by its number.
#[derive(Debug)]
pub(super) struct Account {
    charge: Charge,
    board: Arc<[AtomicUsize]>,
    shard: usize,
}

impl Account {
    pub(super) fn new(ledger: &Arc<Ledger>, board: &Arc<[AtomicUsize]>, shard: usize) -> Self {
        board[shard].store(0, Relaxed);
        Self {
            charge: Charge::new(ledger, Owner::Store),
            board: Arc::clone(board),
            shard,
        }
    }

    /// One of the same number that begins with nothing. What this one has told of stays charged until it is dropped.
    pub(super) fn successor(&self) -> Self {
        Self::new(self.charge.ledger(), &self.board, self.shard)
    }

    /// Says how many bytes the shard has now.
    #[inline]
    pub(super) fn tell(&mut self, bytes: usize) {
        if bytes.abs_diff(self.charge.bytes()) >= GRAIN {
            self.charge.set(bytes);
            self.board[self.shard].store(bytes, Relaxed);
        }
    }
}
