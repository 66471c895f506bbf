//! The order in which a walk meets a shard's entries.

use super::log::{EXTENT, OFFSET_BITS};

/// One of the two queues of a shard's extents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Queue {
    /// New entries.
    Window,
    /// Those that were worth keeping.
    Main,
}

/// A place in the order in which a walk meets a shard's entries: those of the Window before those of Main, in each the
/// older before the newer. Never reused: it grows with every extent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(pub u64);

impl Position {
    /// Bits of a position. Of 37 that count extents, none is ever reached: a million a second take a day and a half to
    /// use up, and write 2 PiB.
    pub const BITS: u32 = 52;

    /// The bit that stands for Main.
    const MAIN: u64 = 1 << (Self::BITS - 1);

    pub(super) const fn new(queue: Queue, sequence: u64, offset: usize) -> Self {
        let queue = match queue {
            Queue::Window => 0,
            Queue::Main => Self::MAIN,
        };
        Self(queue | sequence << OFFSET_BITS | offset as u64)
    }

    /// The queue that the position is in.
    pub(super) const fn queue(self) -> Queue {
        if self.0 & Self::MAIN == 0 {
            Queue::Window
        } else {
            Queue::Main
        }
    }

    /// Whether a walk meets both places in the same queue.
    #[must_use]
    pub fn is_beside(self, other: Self) -> bool {
        self.queue() == other.queue()
    }

    pub(super) const fn sequence(self) -> u64 {
        (self.0 & (Self::MAIN - 1)) >> OFFSET_BITS
    }

    pub(super) const fn offset(self) -> usize {
        self.0 as usize & (EXTENT - 1)
    }
}
