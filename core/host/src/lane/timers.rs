//! Deadlines of many connections, most of which move before they are due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ant_cache_core::Millis;

use super::Token;

/// When one connection is next due: what it wants, and what the heap knows.
///
/// A deadline that moves later, as an idle timeout does with every request, changes `wanted` alone; the heap's older
/// entry comes up, finds that it is early, and goes back. So a request costs nothing here, and a connection has one
/// entry (a few, where deadlines of several kinds took turns).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    wanted: Option<Millis>,
    queued: Option<Millis>,
}

/// A heap of deadlines.
#[derive(Debug, Default)]
pub struct Timers(BinaryHeap<Reverse<(Millis, Token)>>);

impl Timers {
    /// No deadlines.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets, moves or (`None`) drops the deadline of `token`.
    pub fn set(&mut self, token: Token, due: &mut Due, deadline: Option<Millis>) {
        due.wanted = deadline;
        if let Some(deadline) = deadline
            && due.queued.is_none_or(|queued| deadline < queued)
        {
            due.queued = Some(deadline);
            self.0.push(Reverse((deadline, token)));
        }
    }

    /// When to call [`pop`](Self::pop) at the latest. May be early, never late.
    #[must_use]
    pub fn next(&self) -> Option<Millis> {
        self.0.peek().map(|Reverse((moment, _))| *moment)
    }

    /// Takes out an entry whose moment has come; its owner passes it to [`is_due`](Self::is_due).
    pub fn pop(&mut self, now: Millis) -> Option<(Millis, Token)> {
        let Reverse((moment, _)) = self.0.peek()?;
        if *moment > now {
            return None;
        }
        self.0.pop().map(|Reverse(entry)| entry)
    }

    /// Whether the deadline of a popped entry's owner has really come; if it is later, its entry goes back.
    pub fn is_due(&mut self, now: Millis, (moment, token): (Millis, Token), due: &mut Due) -> bool {
        if due.queued != Some(moment) {
            // A newer entry stands for this owner.
            return false;
        }
        due.queued = None;
        match due.wanted {
            Some(wanted) if wanted <= now => {
                due.wanted = None;
                true
            }
            wanted => {
                self.set(token, due, wanted);
                false
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lane::Slots;

    #[test]
    fn a_deadline_that_moves_later_queues_nothing() {
        let (mut timers, mut due) = (Timers::new(), Due::default());
        let token = Slots::new().insert(());
        for now in 0..1_000 {
            timers.set(token, &mut due, Some(Millis(now + 100)));
        }
        assert_eq!(timers.0.len(), 1);
        let entry = timers.pop(Millis(100)).unwrap();
        assert!(!timers.is_due(Millis(100), entry, &mut due));
        assert_eq!(timers.next(), Some(Millis(1_099)));
        timers.set(token, &mut due, None);
        let entry = timers.pop(Millis(2_000)).unwrap();
        assert!(!timers.is_due(Millis(2_000), entry, &mut due));
        assert_eq!(timers.next(), None);
    }

    proptest! {
        /// Against a list of deadlines that is searched whole.
        #[test]
        fn each_fires_once_and_never_late(
            steps in prop::collection::vec((0usize..4, prop::option::of(0u64..50), 0u64..10), 1..200)
        ) {
            let mut slots = Slots::new();
            let owners: Vec<_> = (0..4).map(|_| slots.insert(Due::default())).collect();
            let (mut timers, mut naive, mut now) = (Timers::new(), [None; 4], Millis(0));
            for (owner, after, step) in steps {
                let deadline = after.map(|ms| now.plus(ms));
                timers.set(owners[owner], slots.get_mut(owners[owner]).unwrap(), deadline);
                naive[owner] = deadline;
                now = now.plus(step);
                let mut fired = Vec::new();
                while let Some(entry) = timers.pop(now) {
                    let due = slots.get_mut(entry.1).unwrap();
                    if timers.is_due(now, entry, due) {
                        fired.push(owners.iter().position(|&token| token == entry.1).unwrap());
                    }
                }
                fired.sort_unstable();
                let mut expected = Vec::new();
                for (owner, deadline) in naive.iter_mut().enumerate() {
                    if deadline.is_some_and(|deadline| deadline <= now) {
                        *deadline = None;
                        expected.push(owner);
                    }
                }
                prop_assert_eq!(fired, expected);
                let earliest = naive.iter().flatten().min();
                prop_assert!(earliest.is_none_or(|&earliest| timers.next().is_some_and(|next| next <= earliest)));
            }
        }
    }
}
