//! When the requests of a phase are due: the rules, without sockets or a clock.

use core::time::Duration;
use std::time::Instant;

use super::keys::{Distribution, Picker};
use super::workload::Mix;

/// A stretch of load with nothing outstanding before and after it.
#[derive(Clone, Debug)]
pub(super) struct Phase {
    pub(super) mix: Mix,
    pub(super) distribution: Distribution,
    /// The first key of a sequence.
    pub(super) first: u64,
    /// Requests in a batch.
    pub(super) pipeline: u64,
    pub(super) pace: Pace,
    pub(super) limit: Limit,
    /// Whether a missing key is a wrong reply.
    pub(super) must_hit: bool,
}

/// What makes a batch due.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// A closed loop: a connection that is free.
    Free,
    /// An open loop: the clock, whatever the server does. A batch is due `offset` after the beginning, and another one
    /// after each `interval`.
    Open {
        interval: Duration,
        offset: Duration,
    },
}

/// When a phase sends no more.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    Ops(u64),
    Time(Duration),
}

/// A phase under way.
#[derive(Debug)]
pub(super) struct Load<'a> {
    pub(super) phase: &'a Phase,
    pub(super) picker: Picker,
    started: Instant,
    batches: u64,
    issued: u64,
}

/// What a free connection sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) requests: u64,
    /// When it was due: latencies count from here, so that a server that stalls is charged for all who would have come
    /// meanwhile, not only for the one that it kept waiting.
    pub(super) due: Instant,
}

impl<'a> Load<'a> {
    pub(super) fn new(phase: &'a Phase, keys: u64, started: Instant) -> Self {
        Self {
            phase,
            picker: Picker::new(phase.distribution, keys, phase.first),
            started,
            batches: 0,
            issued: 0,
        }
    }

    /// What a connection that is free at `now` sends.
    pub(super) fn next(&mut self, now: Instant) -> Option<Batch> {
        if self.is_over(now) {
            return None;
        }
        let due = match self.due() {
            None => now,
            Some(due) if due <= now => due,
            Some(_) => return None,
        };
        let requests = match self.phase.limit {
            Limit::Ops(ops) => self.phase.pipeline.min(ops - self.issued),
            Limit::Time(_) => self.phase.pipeline,
        };
        self.batches += 1;
        self.issued += requests;
        Some(Batch { requests, due })
    }

    /// When the next batch is due; none in a closed loop.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.phase.pace {
            Pace::Free => None,
            Pace::Open { interval, offset } => {
                // Not a sum of intervals: their rounding would add up.
                let nanos = interval.as_nanos().saturating_mul(self.batches.into());
                let since = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
                Some(self.started + offset + since)
            }
        }
    }

    /// Whether nothing is sent any more.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        match self.phase.limit {
            Limit::Ops(ops) => self.issued >= ops,
            Limit::Time(time) => now >= self.started + time,
        }
    }

    /// Requests that were due before the end and were never sent: the server has fallen behind by so many.
    pub(super) fn unsent(&self) -> u64 {
        match (self.phase.pace, self.phase.limit) {
            (Pace::Open { interval, offset }, Limit::Time(time)) => {
                let rest = time.saturating_sub(offset).as_nanos();
                let due = rest.div_ceil(interval.as_nanos().max(1)) as u64;
                due.saturating_sub(self.batches)
                    .saturating_mul(self.phase.pipeline)
            }
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::workload::Op;

    fn phase(pace: Pace, limit: Limit) -> Phase {
        Phase {
            mix: Mix::only(Op::Ping),
            distribution: Distribution::Uniform,
            first: 0,
            pipeline: 4,
            pace,
            limit,
            must_hit: false,
        }
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn open(interval: u64, offset: u64) -> Pace {
        Pace::Open {
            interval: millis(interval),
            offset: millis(offset),
        }
    }

    #[test]
    fn a_closed_loop_is_due_whenever_a_connection_is_free() {
        let (phase, now) = (phase(Pace::Free, Limit::Ops(10)), Instant::now());
        let mut load = Load::new(&phase, 1, now);
        let mut sent = Vec::new();
        while let Some(batch) = load.next(now) {
            assert_eq!(batch.due, now);
            sent.push(batch.requests);
        }
        assert_eq!((sent, load.is_over(now)), (vec![4, 4, 2], true));
    }

    #[test]
    fn an_open_loop_is_due_by_the_clock_and_keeps_what_was_missed() {
        let (phase, start) = (
            phase(open(10, 3), Limit::Time(millis(1000))),
            Instant::now(),
        );
        let mut load = Load::new(&phase, 1, start);
        assert_eq!(load.next(start + millis(2)), None);
        let at = |millis: u64| {
            Some(Batch {
                requests: 4,
                due: start + Duration::from_millis(millis),
            })
        };
        assert_eq!(load.next(start + millis(3)), at(3));
        assert_eq!(load.next(start + millis(12)), None);
        // Nothing was free for a while: each batch still counts from when it was due.
        assert_eq!(load.next(start + millis(40)), at(13));
        assert_eq!(load.next(start + millis(40)), at(23));
        assert_eq!(load.next(start + millis(40)), at(33));
        assert_eq!(load.next(start + millis(40)), None);
        assert_eq!(load.due(), Some(start + millis(43)));
        // It ends with 96 of 100 batches not sent.
        assert_eq!(load.next(start + millis(1000)), None);
        assert_eq!(
            (load.is_over(start + millis(1000)), load.unsent()),
            (true, 96 * 4)
        );
    }

    #[test]
    fn an_open_loop_of_so_many_sends_them_all() {
        let (phase, start) = (phase(open(1, 0), Limit::Ops(9)), Instant::now());
        let mut load = Load::new(&phase, 1, start);
        let late = start + Duration::from_secs(100);
        let sent: u64 = core::iter::from_fn(|| load.next(late))
            .map(|batch| batch.requests)
            .sum();
        assert_eq!((sent, load.unsent()), (9, 0));
    }
}
