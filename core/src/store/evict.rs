//! Which entry goes next, and how it goes.
//!
//! The two queues of the log are two CLOCKs (Corbató, 1968): the hand at the tail of each lets an entry that was asked
//! for since it came by have another round, by moving it to the head, and gives up any other. So there are no lists, a
//! read writes one byte, and the memory of what goes is given back in whole extents.

use alloc::vec::Vec;

use super::entry::{self, Header};
use super::log::Handle;
use super::position::Queue;
use super::shard::Shard;
use crate::Millis;
use crate::buffer::Blob;
use crate::eviction::Eviction;

/// Entries that a hand moves on for one that goes, at most: where all are in demand, one goes nevertheless, and the
/// lock is given back within about 50 µs.
const ROUNDS: usize = 256;

/// Entries of the Window that go to Main at once when it has become smaller.
const HANDED_OVER: usize = 256;

/// Entries among which the policy `ttl` takes the one that ends first.
const SAMPLES: usize = 16;

/// An entry that a hand has stopped at.
#[derive(Clone, Copy)]
struct Found {
    handle: Handle,
    header: Header,
    hash: u64,
}

impl Shard {
    /// Lets entries go until `bytes` of memory came back, or `most` have gone. Large values go to `freed`, to be dropped
    /// after the lock. Returns how many went: fewer than `most` only if that was enough or there are no more.
    pub(super) fn evict(
        &mut self,
        eviction: Eviction,
        bytes: usize,
        most: usize,
        now: Millis,
        freed: &mut Vec<Blob>,
    ) -> usize {
        let goal = self.memory().saturating_sub(bytes);
        let mut gone = 0;
        while gone < most && self.memory() > goal && self.evict_one(eviction, now, freed) {
            gone += 1;
        }
        self.settle();
        gone
    }

    /// Lets one entry go; false where none may.
    pub(super) fn evict_one(
        &mut self,
        eviction: Eviction,
        now: Millis,
        freed: &mut Vec<Blob>,
    ) -> bool {
        let victim = match eviction {
            Eviction::Adaptive => self.least_wanted(now),
            Eviction::Lru => self.stop(self.older_queue(), now, false),
            Eviction::Random => self.any(),
            Eviction::Ttl => self.first_to_end().or_else(|| self.oldest()),
            Eviction::None => None,
        };
        let Some(victim) = victim else {
            return false;
        };
        if victim
            .header
            .is_due(self.log.at(victim.handle), self.anchor, now)
        {
            self.record_end(victim.handle, &victim.header, now);
            self.expired += 1;
        } else {
            self.record_removal(victim.handle, &victim.header, now);
            self.evicted += 1;
        }
        freed.extend(self.remove(victim.hash, victim.handle, &victim.header));
        true
    }

    /// What [`Policy`](super::policy::Policy) thinks is asked for least.
    fn least_wanted(&mut self, now: Millis) -> Option<Found> {
        let entries = self.len();
        self.policy.resize(entries);
        let target = self.policy.window(entries);
        self.hand_over(target);
        if self.log.entries_in(Queue::Window) <= target
            && let Some(victim) = self.stop(Queue::Main, now, true)
        {
            self.policy.evicted(victim.hash);
            return Some(victim);
        }
        let candidate = self.stop(Queue::Window, now, true)?;
        if candidate
            .header
            .is_due(self.log.at(candidate.handle), self.anchor, now)
        {
            return Some(candidate);
        }
        if let Some(victim) = self.stop(Queue::Main, now, true)
            && (victim
                .header
                .is_due(self.log.at(victim.handle), self.anchor, now)
                || self.policy.prefers(candidate.hash, victim.hash))
            && self.advance(&candidate, Queue::Main, 0).is_some()
        {
            self.policy.evicted(victim.hash);
            return Some(victim);
        }
        self.policy.rejected(candidate.hash);
        Some(candidate)
    }

    /// Where the Window has become smaller, hands so many of its entries to Main without contest.
    fn hand_over(&mut self, target: usize) {
        if self.log.entries_in(Queue::Main) == 0 {
            self.policy.surplus = self.len();
        }
        for _ in 0..HANDED_OVER {
            let excess = self
                .log
                .entries_in(Queue::Window)
                .saturating_sub(target + 1);
            // At its target, the Window has nothing left to hand over.
            let surplus = self.policy.surplus.min(excess);
            self.policy.surplus = surplus;
            if surplus == 0 {
                return;
            }
            let handed = self.log.hand_over(surplus).or_else(|| {
                let found = self.at_hand(Queue::Window)?;
                self.policy.passed(found.hash, found.header.count());
                self.advance(&found, Queue::Main, 0).map(|_| 1)
            });
            self.policy.surplus -= handed.unwrap_or(surplus);
        }
    }

    /// Moves the hand of a queue on to the first entry that nobody asked for since it came by the last time, or that has
    /// ended; `None` where the queue is empty. `counting`, it tells the policy what was asked for.
    fn stop(&mut self, queue: Queue, now: Millis, counting: bool) -> Option<Found> {
        for rounds in (0..ROUNDS).rev() {
            let found = self.at_hand(queue)?;
            let Found {
                handle,
                header,
                hash,
            } = found;
            if header.is_due(self.log.at(handle), self.anchor, now) {
                return Some(found);
            }
            if counting {
                self.policy.passed(hash, header.count());
            }
            if header.clock() == 0 || rounds == 0 {
                entry::wind(self.log.at_mut(handle), 0);
                return Some(found);
            }
            let clock = match queue {
                Queue::Window => 0,
                Queue::Main => header.clock() - 1,
            };
            if self.advance(&found, queue, clock).is_none() {
                return Some(found);
            }
        }
        None
    }

    /// Moves an entry to the head of a queue, with so many rounds left.
    fn advance(&mut self, found: &Found, queue: Queue, clock: u8) -> Option<Handle> {
        let new = self.relocate(found.handle, &found.header, found.hash, queue)?;
        entry::wind(self.log.at_mut(new), clock);
        Some(new)
    }

    /// The entry at the hand of a queue.
    fn at_hand(&mut self, queue: Queue) -> Option<Found> {
        let (handle, header) = self.log.hand(queue)?;
        let hash = self.hash_of(handle);
        Some(Found {
            handle,
            header,
            hash,
        })
    }

    /// The queue in which a policy that has only one looks for the oldest: Main has entries if the policy was another
    /// one before, and they are older than those of the Window.
    fn older_queue(&self) -> Queue {
        if self.log.entries_in(Queue::Main) > 0 {
            Queue::Main
        } else {
            Queue::Window
        }
    }

    /// What was written first.
    fn oldest(&mut self) -> Option<Found> {
        self.at_hand(self.older_queue())
    }

    /// Any entry: on its way the hand lets each second one pass.
    fn any(&mut self) -> Option<Found> {
        let queue = self.older_queue();
        for _ in 0..ROUNDS {
            let found = self.at_hand(queue)?;
            if self.policy.toss() || self.advance(&found, queue, found.header.clock()).is_none() {
                return Some(found);
            }
        }
        self.at_hand(queue)
    }

    /// The one that ends first of a few that are drawn; `None` where none of them ends.
    fn first_to_end(&mut self) -> Option<Found> {
        let mut first: Option<(Millis, Handle, Header)> = None;
        for _ in 0..SAMPLES {
            let handle = self.index.sample(self.policy.random())?;
            let bytes = self.log.at(handle);
            let header = Header::read(bytes);
            if let Some(end) = header.expires(bytes, self.anchor)
                && first.is_none_or(|(least, ..)| end < least)
            {
                first = Some((end, handle, header));
            }
        }
        let (_, handle, header) = first?;
        let hash = self.hash_of(handle);
        Some(Found {
            handle,
            header,
            hash,
        })
    }
}
