//! Room for what is to be written, where memory is bounded.
//!
//! Before a write, and between writes where the bound was lowered, shards are asked in turn to let entries go, the
//! larger half of them only: so they stay about as large as each other, whatever large values lie in one.

use alloc::vec::Vec;
use core::sync::atomic::Ordering::Relaxed;

use super::Store;
use crate::Millis;
use crate::eviction::Eviction;
use crate::ledger::Owner;
use crate::session::Budget;

/// Bytes that one shard is asked for at a time, at least: about an extent, so that what it does is worth the way.
const LEAST: u64 = 16 << 10;

/// Entries that go under one lock, at most.
const MOST: usize = 128;

/// Units of the budget that an entry takes which goes: it is looked up twice, and others are moved on for it.
const COST: usize = 3;

/// What came of looking for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// There is enough, or as much was freed as may be asked of one write.
    Made,
    /// The budget was spent first: to be asked again.
    Later,
    /// Nothing is left that may go.
    None,
}

/// Looking for room, perhaps in several turns.
#[derive(Debug)]
pub struct Search {
    /// Bytes that are needed.
    need: u64,
    /// Bytes that are yet to be freed until that is enough, whatever is in use.
    most: u64,
}

impl Search {
    /// For a write that needs so many bytes at most. Where far more than the bound is in use, because it was lowered,
    /// freeing twice as much must do: then use falls with every write, and none takes long.
    #[must_use]
    pub const fn for_write(need: u64) -> Self {
        Self {
            need,
            most: need.saturating_mul(2).saturating_add(2 * LEAST),
        }
    }

    /// Bytes that are needed.
    pub(crate) const fn need(&self) -> u64 {
        self.need
    }

    /// For nothing in particular: until the bound is kept.
    #[must_use]
    pub const fn for_all() -> Self {
        Self {
            need: 0,
            most: u64::MAX,
        }
    }
}

impl Store {
    /// Whether `need` more bytes are within the bound.
    #[must_use]
    #[inline]
    pub fn has_room(&self, need: u64, bound: u64) -> bool {
        self.ledger.used().saturating_add(need) <= bound
    }

    /// Lets entries go until what is needed is within the bound.
    pub fn make_room(
        &self,
        search: &mut Search,
        bound: u64,
        eviction: Eviction,
        now: Millis,
        budget: &mut Budget,
    ) -> Room {
        let mut in_vain = 0;
        loop {
            if search.most == 0 || self.has_room(search.need, bound) {
                return Room::Made;
            }
            if in_vain > self.shards() {
                return Room::None;
            }
            if budget.is_spent() {
                return Room::Later;
            }
            let over = (self.ledger.used() + search.need).saturating_sub(bound);
            let (gone, freed) = match self.free_one(budget) {
                0 => self.ask_one(over, eviction, now, budget),
                freed => (1, freed),
            };
            // Where entries go from all over a log, its memory comes back only when enough of it is dead.
            in_vain = if gone == 0 { in_vain + 1 } else { 0 };
            search.most = search.most.saturating_sub(freed as u64);
        }
    }

    /// Asks the next shard that is not smaller than most for memory; returns how many entries went, and the bytes that
    /// came back.
    fn ask_one(
        &self,
        over: u64,
        eviction: Eviction,
        now: Millis,
        budget: &mut Budget,
    ) -> (usize, usize) {
        let mean = self.ledger.held(Owner::Store) as usize / self.shards();
        let next = || self.asked.fetch_add(1, Relaxed) & (self.shards() - 1);
        let large = (0..self.shards())
            .map(|_| next())
            .find(|&shard| self.board[shard].load(Relaxed) >= mean);
        let mut freed = Vec::new();
        let mut shard = self.lock_to_write(large.unwrap_or_else(next));
        let before = shard.memory();
        let gone = shard.evict(eviction, over.max(LEAST) as usize, MOST, now, &mut freed);
        let after = shard.memory();
        drop(shard);
        budget.spend(1 + gone * COST);
        (gone, before.saturating_sub(after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Effect, Kind, NewData, Options};

    /// A shard of many megabytes, of which hundreds of batches go before the first extent comes back.
    #[test]
    fn every_policy_makes_room_in_a_large_shard() {
        for eviction in [
            Eviction::Adaptive,
            Eviction::Lru,
            Eviction::Random,
            Eviction::Ttl,
        ] {
            let store = Store::new(&Options {
                shards: 1,
                ..Options::default()
            });
            for number in 0..40_000u32 {
                let effect = Effect::Set {
                    kind: Kind::String,
                    data: NewData::Bytes(&[0; 100]),
                    expires: Some(Millis(1_000 + u64::from(number))),
                };
                let key = number.to_le_bytes();
                drop(store.lock(0).commit(&store.key(&key), effect, Millis(0)));
            }
            let bound = store.census().memory / 2;
            let mut search = Search::for_all();
            let mut room = Room::Later;
            while room == Room::Later {
                let budget = &mut { Budget::TURN };
                room = store.make_room(&mut search, bound, eviction, Millis(0), budget);
            }
            assert_eq!(room, Room::Made, "{eviction}");
            assert!(
                store.len() > 10_000,
                "{eviction} keeps what there is room for"
            );
        }
    }
}
