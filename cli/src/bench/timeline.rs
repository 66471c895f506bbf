//! Latencies by the time at which replies came.

use core::time::Duration;

use hdrhistogram::Histogram;

/// A histogram for each stretch of a phase, all stretches equally long.
///
/// How long a phase takes is not known beforehand where it ends after a number of requests. So stretches begin short,
/// and whenever there are too many, each two become one.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    stretch: Duration,
    stretches: Vec<Histogram<u32>>,
}

impl Timeline {
    const SHORTEST: Duration = Duration::from_millis(50);
    /// More points than a plot can show apart.
    const MOST: usize = 256;

    pub(super) fn new() -> Self {
        Self {
            stretch: Self::SHORTEST,
            stretches: Vec::new(),
        }
    }

    /// Counts so many replies that came `at` after the beginning.
    #[inline]
    pub(super) fn record(&mut self, at: Duration, latency: Duration, count: u64) {
        let mut index = self.index(at);
        while index >= Self::MOST {
            self.coarsen();
            index = self.index(at);
        }
        while self.stretches.len() <= index {
            match empty() {
                Some(histogram) => self.stretches.push(histogram),
                None => return,
            }
        }
        self.stretches[index].saturating_record_n(latency.as_nanos() as u64, count as u32);
    }

    fn index(&self, at: Duration) -> usize {
        // A phase of a day has 1.7 million of the shortest stretches.
        (at.as_nanos() / self.stretch.as_nanos()) as usize
    }

    /// Makes one stretch of each two.
    fn coarsen(&mut self) {
        self.stretch *= 2;
        let mut pairs = core::mem::take(&mut self.stretches).into_iter();
        while let Some(mut first) = pairs.next() {
            if let Some(second) = pairs.next() {
                // Both have the same bounds, so this cannot fail.
                let _ = first.add(second);
            }
            self.stretches.push(first);
        }
    }

    /// Adds another thread's timeline of the same phase.
    pub(super) fn add(&mut self, mut other: Self) {
        while self.stretch < other.stretch {
            self.coarsen();
        }
        while other.stretch < self.stretch {
            other.coarsen();
        }
        let mut theirs = other.stretches.into_iter();
        for (mine, theirs) in self.stretches.iter_mut().zip(theirs.by_ref()) {
            let _ = mine.add(theirs);
        }
        self.stretches.extend(theirs);
    }

    pub(super) fn stretch(&self) -> Duration {
        self.stretch
    }

    /// One after the other from the beginning.
    pub(super) fn stretches(&self) -> &[Histogram<u32>] {
        &self.stretches
    }
}

/// From a microsecond to a minute in steps of a hundredth: a plot shows no more, and there are many of these.
fn empty() -> Option<Histogram<u32>> {
    Histogram::new_with_bounds(1_000, 60_000_000_000, 2).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn counts(timeline: &Timeline) -> Vec<u64> {
        timeline.stretches.iter().map(Histogram::len).collect()
    }

    #[test]
    fn replies_fall_into_their_stretch() {
        let mut timeline = Timeline::new();
        timeline.record(millis(0), millis(1), 2);
        timeline.record(millis(49), millis(3), 1);
        timeline.record(millis(150), millis(5), 4);
        assert_eq!(counts(&timeline), [3, 0, 0, 4]);
        let worst = timeline.stretches[0].max() as f64;
        assert!((worst / 3e6 - 1.0).abs() < 0.01, "{worst}");
    }

    #[test]
    fn a_long_phase_has_longer_stretches_and_loses_nothing() {
        let mut timeline = Timeline::new();
        for at in 0..10_000 {
            timeline.record(millis(at * 10), millis(1), 1);
        }
        // 100 seconds in at most 256 stretches.
        assert_eq!(timeline.stretch, millis(400));
        let counts = counts(&timeline);
        assert_eq!((counts.len(), counts[0], counts[249]), (250, 40, 40));
    }

    #[test]
    fn threads_of_different_pace_are_added() {
        let (mut long, mut short) = (Timeline::new(), Timeline::new());
        long.record(millis(20_000), millis(1), 1);
        short.record(millis(60), millis(1), 1);
        let mut sum = short.clone();
        sum.add(long.clone());
        long.add(short);
        for sum in [sum, long] {
            assert_eq!(sum.stretch, millis(100));
            let counts = counts(&sum);
            assert_eq!((counts[0], counts[200], counts.len()), (1, 1, 201));
        }
    }
}
