//! Who leads a lane.
//!
//! One word holds a generation and a phase. A worker that claims the vacant lease gets a [`Hold`] of the new
//! generation and leads: it is Polling while it waits for events, Working while it serves them. Only a Working lane
//! can be deposed, in one step to the next generation's Polling, so there is never a second poller: the deposed
//! leader learns of it at its next step and must go without polling. A leader that polls is never stuck, so it need
//! not be deposed.
//!
//! Whoever becomes the poller passes a full fence, so that it sees all mail whose sender has not seen it poll.
//!
//! ```text
//!              claim                work               depose (by a watcher, for a spare)
//! Vacant(g) ─────────▶ Polling(g+1) ────▶ Working(g+1) ──────────────────────────────▶ Polling(g+2)
//!                                  ◀────
//!                                   rest
//! ```

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

use super::sync::{AtomicU64, fence};

/// What the leader of a lane does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// There is no leader.
    Vacant,
    /// It waits for events.
    Polling,
    /// It serves events.
    Working,
}

/// The right to lead a lane, until deposed. There is one a generation.
#[derive(Debug, PartialEq, Eq)]
pub struct Hold(u64);

impl Hold {
    /// The generation, for telling leaders apart.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.0
    }
}

/// Who leads one lane. See the module's text.
#[derive(Debug)]
pub struct Lease(AtomicU64);

impl Default for Lease {
    fn default() -> Self {
        Self::new()
    }
}

impl Lease {
    /// A lane without a leader.
    #[must_use]
    pub fn new() -> Self {
        Self(AtomicU64::new(word(0, Phase::Vacant)))
    }

    /// Takes the lead where there is none; the lane is Polling then.
    pub fn claim(&self) -> Option<Hold> {
        match self.peek() {
            (generation, Phase::Vacant) => self.succeed(generation, Phase::Vacant),
            _ => None,
        }
    }

    /// Polling → Working: the leader stops waiting.
    pub fn work(&self, hold: &Hold) {
        // A lane that is Polling cannot be deposed, so nobody else writes.
        self.0.store(word(hold.0, Phase::Working), Release);
    }

    /// Working → Polling: the leader is about to wait. False means that it was deposed: it must not poll, and must
    /// not touch what the lane's leader alone may touch.
    #[must_use]
    pub fn rest(&self, hold: &Hold) -> bool {
        self.change(word(hold.0, Phase::Working), word(hold.0, Phase::Polling))
    }

    /// Whether the holder is still the leader.
    #[must_use]
    pub fn holds(&self, hold: &Hold) -> bool {
        self.peek().0 == hold.0
    }

    /// Gives the lead up; where the holder was deposed, nothing changes.
    pub fn vacate(&self, hold: Hold) {
        self.change(word(hold.0, Phase::Working), word(hold.0, Phase::Vacant));
    }

    /// Replaces the leader of `generation`, if it is Working, by the caller's spare. The lane is Polling then.
    pub fn depose(&self, generation: u64) -> Option<Hold> {
        self.succeed(generation, Phase::Working)
    }

    fn succeed(&self, generation: u64, phase: Phase) -> Option<Hold> {
        let next = generation + 1;
        self.change(word(generation, phase), word(next, Phase::Polling))
            .then_some(Hold(next))
    }

    fn change(&self, from: u64, to: u64) -> bool {
        let changed = self.0.compare_exchange(from, to, AcqRel, Relaxed).is_ok();
        fence(SeqCst);
        changed
    }

    /// Generation and phase at this moment.
    #[must_use]
    pub fn peek(&self) -> (u64, Phase) {
        parts(self.0.load(Acquire))
    }
}

const fn word(generation: u64, phase: Phase) -> u64 {
    generation << 2 | phase as u64
}

const fn parts(word: u64) -> (u64, Phase) {
    let phase = match word & 3 {
        0 => Phase::Vacant,
        1 => Phase::Polling,
        _ => Phase::Working,
    };
    (word >> 2, phase)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_leader_works_and_rests() {
        let lease = Lease::new();
        let hold = lease.claim().unwrap();
        assert_eq!(lease.claim(), None, "one leader at a time");
        assert_eq!(lease.peek(), (1, Phase::Polling));
        lease.work(&hold);
        assert_eq!(lease.peek(), (1, Phase::Working));
        assert!(lease.rest(&hold) && lease.holds(&hold));
    }

    #[test]
    fn only_a_working_leader_is_deposed() {
        let lease = Lease::new();
        let old = lease.claim().unwrap();
        assert_eq!(lease.depose(old.generation()), None);
        lease.work(&old);
        assert_eq!(
            lease.depose(old.generation() + 1),
            None,
            "the generation that was watched"
        );
        let new = lease.depose(old.generation()).unwrap();
        assert_eq!(lease.peek(), (2, Phase::Polling));
        assert!(!lease.rest(&old) && !lease.holds(&old) && lease.holds(&new));
        lease.vacate(old);
        assert!(lease.holds(&new), "a deposed leader has nothing to give up");
    }

    #[test]
    fn a_vacated_lane_can_be_claimed() {
        let lease = Lease::new();
        let hold = lease.claim().unwrap();
        lease.work(&hold);
        lease.vacate(hold);
        assert_eq!(lease.peek().1, Phase::Vacant);
        assert!(lease.claim().is_some());
    }
}
