//! What whoever watches a pool makes of what it sees: which leaders are stuck, whether the pool has the right size,
//! whether its lanes are equally busy.

use core::time::Duration;

use super::{Advice, Balance, Evidence, Phase, Sizing, Step, Suspect};

/// What one look finds of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Generation and phase of the lease.
    pub lease: (u64, Phase),
    /// Turns begun since the start.
    pub turns: u64,
    /// Time spent working since the start.
    pub worked: Duration,
    /// Ready connections that are not yet served.
    pub queue: usize,
}

/// How many workers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Muster {
    /// All of them.
    pub workers: usize,
    /// Those that are parked as spares.
    pub parked: usize,
}

/// What a look led to.
#[derive(Debug, PartialEq)]
pub struct Seen {
    /// Whether anything has happened since the last look.
    pub active: bool,
    /// Ready connections that are not yet served, in all lanes.
    pub queue: usize,
    /// Workers in a turn.
    pub busy: usize,
    /// Lanes whose leader of this generation should be deposed.
    pub stuck: Vec<(usize, u64)>,
    /// What the window was like that has ended with this look.
    pub window: Option<Window>,
}

/// A window of activity, and what follows from it.
#[derive(Debug, PartialEq)]
pub struct Window {
    /// Mean time of a turn.
    pub task_time: Duration,
    /// The part of the window in which each lane worked, from 0 to 1.
    pub busy: Vec<f64>,
    /// How the pool's size should change.
    pub size: Step,
    /// What to do about lanes that are unequally busy.
    pub balance: Advice,
}

/// What is remembered of a lane.
#[derive(Debug, Default)]
struct Watched {
    suspect: Suspect,
    /// Turns at the last look.
    turns: u64,
    /// Time worked, and turns, at the beginning of the window.
    window: (Duration, u64),
}

/// Watches one pool. Time is counted from any moment, the same for all calls.
#[derive(Debug)]
pub struct Watch {
    lanes: Vec<Watched>,
    sizing: Sizing,
    balance: Balance,
    window: Duration,
}

impl Watch {
    /// Of a pool that was asked to have so many workers, and has so many lanes.
    #[must_use]
    pub fn new(workers: usize, lanes: usize) -> Self {
        Self {
            lanes: (0..lanes).map(|_| Watched::default()).collect(),
            sizing: Sizing::new(workers, lanes),
            balance: Balance::new(),
            window: Duration::ZERO,
        }
    }

    /// The most workers.
    #[must_use]
    pub const fn most(&self) -> usize {
        self.sizing.most()
    }

    /// Whether no lane works, and none has since the last look.
    #[must_use]
    pub fn is_quiet(&self, lanes: impl IntoIterator<Item = Sight>) -> bool {
        let still = |(sight, watched): (Sight, &Watched)| {
            sight.lease.1 != Phase::Working && sight.turns == watched.turns
        };
        lanes.into_iter().zip(&self.lanes).all(still)
    }

    /// Whether some lane was in the same turn at the last two looks: then looks should follow each other faster.
    #[must_use]
    pub fn has_suspect(&self) -> bool {
        self.lanes
            .iter()
            .any(|watched| watched.suspect.is_suspect())
    }

    /// Begins a window anew, after a pause in which nobody looked.
    pub fn begin_window(&mut self, now: Duration, lanes: impl IntoIterator<Item = Sight>) {
        self.window = now;
        for (sight, watched) in lanes.into_iter().zip(&mut self.lanes) {
            watched.window = (sight.worked, sight.turns);
        }
    }

    /// Looks at all lanes. `evidence` tells what the leader of a lane does, see [`Suspect::look`].
    pub fn look(
        &mut self,
        now: Duration,
        lanes: &[Sight],
        muster: Muster,
        mut evidence: impl FnMut(usize) -> Option<Evidence>,
    ) -> Seen {
        let mut seen = Seen {
            active: false,
            queue: 0,
            // Those who neither lead nor are parked were deposed, and are still in their turn.
            busy: muster.workers.saturating_sub(muster.parked + lanes.len()),
            stuck: Vec::new(),
            window: None,
        };
        for (index, (sight, watched)) in lanes.iter().zip(&mut self.lanes).enumerate() {
            let working = sight.lease.1 == Phase::Working;
            if working {
                seen.busy += 1;
                seen.queue += sight.queue;
            }
            seen.active |= working || sight.turns != watched.turns;
            watched.turns = sight.turns;
            let evidence = || evidence(index);
            if watched.suspect.look(sight.lease, sight.turns, evidence) {
                seen.stuck.push((index, sight.lease.0));
            }
        }
        self.sizing.look(seen.queue, seen.busy);
        if self.sizing.is_due() {
            seen.window = Some(self.judge(now, lanes, muster.workers));
        }
        seen
    }

    fn judge(&mut self, now: Duration, lanes: &[Sight], workers: usize) -> Window {
        let elapsed = now
            .saturating_sub(self.window)
            .as_secs_f64()
            .max(f64::EPSILON);
        let (mut busy, mut worked, mut turns) = (Vec::new(), Duration::ZERO, 0);
        for (sight, watched) in lanes.iter().zip(&self.lanes) {
            let lane_worked = sight.worked.saturating_sub(watched.window.0);
            worked += lane_worked;
            turns += sight.turns.saturating_sub(watched.window.1);
            busy.push((lane_worked.as_secs_f64() / elapsed).min(1.0));
        }
        self.begin_window(now, lanes.iter().copied());
        let task_time = worked / u32::try_from(turns).unwrap_or(u32::MAX).max(1);
        Window {
            task_time,
            size: self.sizing.judge(workers, task_time),
            balance: self.balance.judge(&busy),
            busy,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::lane::{LOOKS, PERIOD};

    const IDLE: Sight = Sight {
        lease: (1, Phase::Polling),
        turns: 0,
        worked: Duration::ZERO,
        queue: 0,
    };
    const FOUR: Muster = Muster {
        workers: 4,
        parked: 2,
    };

    fn blocked(_: usize) -> Option<Evidence> {
        Some(Evidence {
            cpu: Duration::ZERO,
            blocked: true,
        })
    }

    fn nobody(_: usize) -> Option<Evidence> {
        unreachable!("nobody is suspect")
    }

    #[test]
    fn a_leader_that_stays_in_its_turn_is_stuck_and_its_lane_alone() {
        let mut watch = Watch::new(4, 2);
        let stuck = Sight {
            lease: (7, Phase::Working),
            turns: 3,
            ..IDLE
        };
        let mut looks = (0..).map(|look| {
            let busy = Sight {
                turns: look,
                lease: (1, Phase::Working),
                queue: 5,
                ..IDLE
            };
            watch.look(PERIOD * look as u32, &[busy, stuck], FOUR, blocked)
        });
        let first = looks.next().unwrap();
        assert_eq!((first.active, first.queue, first.busy), (true, 5, 2));
        assert!(first.stuck.is_empty());
        assert_eq!(
            looks.find(|look| !look.stuck.is_empty()).unwrap().stuck,
            [(1, 7)]
        );
        drop(looks);
        assert!(watch.has_suspect());
    }

    #[test]
    fn a_deposed_worker_counts_as_busy() {
        let muster = Muster {
            workers: 5,
            parked: 2,
        };
        let seen = Watch::new(4, 2).look(Duration::ZERO, &[IDLE, IDLE], muster, nobody);
        assert_eq!((seen.active, seen.busy), (false, 1));
    }

    #[test]
    fn what_happened_between_two_looks_is_activity() {
        let mut watch = Watch::new(4, 1);
        assert!(watch.is_quiet([IDLE]));
        let later = Sight { turns: 9, ..IDLE };
        assert!(!watch.is_quiet([later]));
        assert!(watch.look(PERIOD, &[later], FOUR, nobody).active);
        assert!(watch.is_quiet([later]));
        assert!(!watch.look(PERIOD * 2, &[later], FOUR, nobody).active);
    }

    #[test]
    fn a_window_tells_turn_time_and_busy_parts_and_changes_the_size() {
        let mut watch = Watch::new(16, 2);
        let muster = Muster {
            workers: 16,
            parked: 14,
        };
        let begun = Duration::from_secs(100);
        watch.begin_window(begun, [IDLE, IDLE]);
        let mut window = None;
        for look in 1..=LOOKS {
            // The first lane works half the time, in turns of 10 µs.
            let busy = Sight {
                turns: u64::from(look) * 1_000,
                worked: PERIOD * look / 2,
                ..IDLE
            };
            let seen = watch.look(begun + PERIOD * look, &[busy, IDLE], muster, nobody);
            assert!(seen.active && window.is_none());
            window = seen.window;
        }
        let window = window.unwrap();
        assert_eq!(window.task_time, Duration::from_micros(10));
        assert!((window.busy[0] - 0.5).abs() < 0.01 && window.busy[1] == 0.0);
        assert_eq!(window.size, Step::Shrink(2));
        assert_eq!(window.balance, Advice::Count(0));
    }
}
