//! When a leader is stuck.
//!
//! Turns are bounded to about 100 µs, so a leader leaves its lane to a spare only where the bound fails: a page fault
//! that waits for a disk, a copy of 64 MiB, a lock whose holder lost its core. Somebody looks at every lane each
//! [`PERIOD`]. A lane that is found in the same turn again becomes suspect: it is looked at each [`SUSPENSE`], and the
//! leader's own CPU time tells why: if it runs, or if it is blocked, a spare helps; if it is ready to run but the
//! system gives it no core, a spare would only wait beside it.

use std::time::Duration;

use super::Phase;

/// How often lanes are looked at: long against a turn, short against what a client notices. Each look costs the server
/// a context switch; one in 10 ms cost 2.6 % of its CPU time at a quarter of its capacity.
pub const PERIOD: Duration = Duration::from_millis(20);

/// How often lanes are looked at while one is suspect, and the CPU time that a suspect may use.
pub const SUSPENSE: Duration = Duration::from_millis(10);

/// A leader whose CPU time moves less than this in a period did not run, but for a moment.
const STILL: Duration = Duration::from_millis(1);

/// What the system says about a leader's thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// CPU time that the thread has used since it began.
    pub cpu: Duration,
    /// Whether it waits for something other than a core.
    pub blocked: bool,
}

/// What was seen of one lane.
#[derive(Debug, Default)]
pub struct Suspect {
    seen: Option<(u64, u64)>,
    first: Option<Evidence>,
    last: Option<Evidence>,
}

impl Suspect {
    /// Nothing seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at a lane: the lease's generation and phase, and the number of the leader's present turn. True means
    /// that the leader of this generation should be deposed. `evidence` is asked only where the lane is in the same
    /// turn as at the last look; `None` from it (the thread is gone) clears the suspicion.
    pub fn look(
        &mut self,
        (generation, phase): (u64, Phase),
        turn: u64,
        evidence: impl FnOnce() -> Option<Evidence>,
    ) -> bool {
        let seen = (phase == Phase::Working).then_some((generation, turn));
        if seen.is_none() || seen != self.seen {
            *self = Self {
                seen,
                ..Self::default()
            };
            return false;
        }
        let Some(now) = evidence() else {
            *self = Self::default();
            return false;
        };
        let last = self.last.replace(now);
        let first = *self.first.get_or_insert(now);
        let runs = now.cpu.saturating_sub(first.cpu) >= SUSPENSE;
        let waits = last.is_some_and(|last| {
            last.blocked && now.blocked && now.cpu.saturating_sub(last.cpu) < STILL
        });
        runs || waits
    }

    /// Whether the lane was in the same turn at the last two looks.
    #[must_use]
    pub const fn is_suspect(&self) -> bool {
        self.last.is_some()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const fn ms(cpu: u64, blocked: bool) -> Evidence {
        Evidence {
            cpu: Duration::from_millis(cpu),
            blocked,
        }
    }

    fn looks(evidence: &[Evidence]) -> Vec<bool> {
        let mut suspect = Suspect::new();
        assert!(!suspect.look((1, Phase::Working), 7, || unreachable!("not yet suspect")));
        evidence
            .iter()
            .map(|&at| suspect.look((1, Phase::Working), 7, || Some(at)))
            .collect()
    }

    #[test]
    fn a_leader_that_runs_on_is_stuck() {
        assert_eq!(looks(&[ms(100, false), ms(110, false)]), [false, true]);
    }

    #[test]
    fn one_that_gets_half_a_core_has_twice_the_time() {
        assert_eq!(
            looks(&[ms(100, false), ms(105, false), ms(110, false)]),
            [false, false, true]
        );
    }

    #[test]
    fn one_that_is_blocked_is_stuck() {
        assert_eq!(looks(&[ms(100, true), ms(100, true)]), [false, true]);
        assert_eq!(
            looks(&[ms(100, true), ms(105, true), ms(105, true)]),
            [false, false, true],
            "it ran between"
        );
    }

    #[test]
    fn one_without_a_core_is_left_alone() {
        assert_eq!(looks(&[ms(100, false); 50]), [false; 50]);
    }

    #[test]
    fn every_new_turn_and_leader_begins_anew() {
        let mut suspect = Suspect::new();
        let none = || unreachable!("not yet suspect");
        for turn in 0..100 {
            assert!(!suspect.look((1, Phase::Working), turn, none));
        }
        assert!(!suspect.look((2, Phase::Working), 99, none));
        assert!(!suspect.look((2, Phase::Working), 99, || Some(ms(5, false))));
        assert!(!suspect.look((2, Phase::Polling), 99, none));
        assert!(
            !suspect.look((2, Phase::Polling), 99, none),
            "a leader that waits is never stuck"
        );
        assert!(!suspect.look((2, Phase::Working), 99, none));
        assert!(!suspect.look((2, Phase::Working), 99, || None));
        assert!(!suspect.look((2, Phase::Working), 99, none));
    }
}
