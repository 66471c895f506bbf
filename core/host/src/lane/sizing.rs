//! How many workers a pool has.
//!
//! The rules are those of the original server: more when the queue is longer than half the workers, when nine in ten
//! of them are busy, or when tasks take longer and longer; fewer when the queue is empty, tasks are short and most
//! workers have nothing to do. A *task* is a turn; the *queue* is the connections that are ready but not yet served.
//! The size stays between a quarter and twice what was asked for, so it cannot run away, and it cannot fall below the
//! number of lanes, each of which needs a leader.

use std::time::Duration;

/// The pool is judged after this many looks (see [`PERIOD`](super::PERIOD)): once a second of activity.
pub const LOOKS: u32 = 50;

/// Tasks shorter than this are short.
const SHORT: Duration = Duration::from_millis(1);

/// A task time counts as rising when it is half as much again as a window before.
const RISE: f64 = 1.5;

/// A change of size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// None.
    Stay,
    /// So many workers more.
    Grow(usize),
    /// So many workers fewer.
    Shrink(usize),
}

/// Judges the size of one pool.
#[derive(Debug)]
pub struct Sizing {
    least: usize,
    most: usize,
    looks: u32,
    queue: usize,
    busy: usize,
    task_time: Duration,
}

impl Sizing {
    /// For a pool of `workers` with `lanes` lanes.
    #[must_use]
    pub fn new(workers: usize, lanes: usize) -> Self {
        Self {
            least: workers.div_ceil(4).max(lanes),
            most: workers.saturating_mul(2).max(lanes),
            looks: 0,
            queue: 0,
            busy: 0,
            task_time: Duration::ZERO,
        }
    }

    /// The most workers.
    #[must_use]
    pub const fn most(&self) -> usize {
        self.most
    }

    /// One look: connections that are ready but not served, workers that are in a turn.
    pub const fn look(&mut self, queue: usize, busy: usize) {
        self.looks += 1;
        self.queue += queue;
        self.busy += busy;
    }

    /// Whether it is time to [`judge`](Self::judge).
    #[must_use]
    pub const fn is_due(&self) -> bool {
        self.looks >= LOOKS
    }

    /// Judges the window since the last call, in which tasks took `task_time` in the mean, and begins the next one.
    pub fn judge(&mut self, workers: usize, task_time: Duration) -> Step {
        let looks = f64::from(self.looks.max(1));
        let (queue, busy, size) = (
            self.queue as f64 / looks,
            self.busy as f64 / looks,
            workers as f64,
        );
        let rising =
            task_time >= SHORT && task_time.as_secs_f64() >= self.task_time.as_secs_f64() * RISE;
        (self.looks, self.queue, self.busy, self.task_time) = (0, 0, 0, task_time);

        // An eighth at a time, so that a mistake costs little and a real change takes a few seconds.
        let step = (workers / 8).max(1);
        if queue > size / 2.0 || busy >= size * 0.9 || rising {
            match self.most.saturating_sub(workers) {
                0 => Step::Stay,
                room => Step::Grow(step.min(room)),
            }
        } else if queue < 1.0 && task_time < SHORT && busy < size / 2.0 {
            match workers.saturating_sub(self.least) {
                0 => Step::Stay,
                spare => Step::Shrink(step.min(spare)),
            }
        } else {
            Step::Stay
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const QUICK: Duration = Duration::from_micros(10);

    fn judge(
        sizing: &mut Sizing,
        workers: usize,
        queue: usize,
        busy: usize,
        task_time: Duration,
    ) -> Step {
        while !sizing.is_due() {
            sizing.look(queue, busy);
        }
        sizing.judge(workers, task_time)
    }

    #[test]
    fn each_trigger_grows() {
        let slow = Duration::from_millis(2);
        assert_eq!(
            judge(&mut Sizing::new(80, 2), 80, 41, 2, QUICK),
            Step::Grow(10),
            "queue above half"
        );
        assert_eq!(
            judge(&mut Sizing::new(80, 2), 80, 40, 71, QUICK),
            Step::Stay
        );
        assert_eq!(
            judge(&mut Sizing::new(80, 2), 80, 0, 72, QUICK),
            Step::Grow(10),
            "nine in ten busy"
        );
        let mut sizing = Sizing::new(80, 2);
        assert_eq!(
            judge(&mut sizing, 80, 5, 2, slow),
            Step::Grow(10),
            "tasks take longer"
        );
        assert_eq!(
            judge(&mut sizing, 80, 5, 2, slow),
            Step::Stay,
            "but no longer than before"
        );
        assert_eq!(judge(&mut sizing, 80, 5, 2, slow * 3 / 2), Step::Grow(10));
    }

    #[test]
    fn short_tasks_may_vary() {
        let mut sizing = Sizing::new(80, 2);
        judge(&mut sizing, 80, 5, 2, QUICK);
        assert_eq!(judge(&mut sizing, 80, 5, 2, QUICK * 50), Step::Stay);
    }

    #[test]
    fn a_pool_with_nothing_to_do_shrinks_to_a_quarter() {
        let (mut sizing, mut workers) = (Sizing::new(200, 2), 200);
        while let Step::Shrink(n) = judge(&mut sizing, workers, 0, 1, QUICK) {
            workers -= n;
        }
        assert_eq!(workers, 50);
        while let Step::Grow(n) = judge(&mut sizing, workers, 500, 2, QUICK) {
            workers += n;
        }
        assert_eq!(workers, 400);
    }

    #[test]
    fn every_lane_keeps_a_leader() {
        assert_eq!(judge(&mut Sizing::new(2, 2), 2, 0, 0, QUICK), Step::Stay);
        assert_eq!(judge(&mut Sizing::new(1, 1), 1, 9, 1, QUICK), Step::Grow(1));
    }

    proptest! {
        #[test]
        fn it_stays_within_its_bounds(
            asked in 1usize..500, lanes in 1usize..64,
            windows in prop::collection::vec((0usize..1000, 0usize..1000, 0u64..10_000), 0..50),
        ) {
            let lanes = lanes.min(asked);
            let (mut sizing, mut workers) = (Sizing::new(asked, lanes), asked);
            for (queue, busy, micros) in windows {
                match judge(&mut sizing, workers, queue, busy.min(workers), Duration::from_micros(micros)) {
                    Step::Stay => {}
                    Step::Grow(n) => workers += n,
                    Step::Shrink(n) => workers -= n,
                }
                prop_assert!(workers >= lanes && workers * 4 >= asked && workers <= asked * 2);
            }
        }
    }
}
