//! The present moment.
//!
//! The wall clock tells which moment it is, but it can be set back, and a cache whose time goes back revives what
//! has expired. The monotonic clock never goes back, but it knows no date and stands still while a machine is
//! suspended. So time here runs on the monotonic clock, from the wall clock's moment at the start, and follows the
//! wall clock's corrections: at once where they lead forwards; where they lead back, by running a sixteenth slower
//! until the wall clock has caught up.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ant_cache_core::Millis;
use ant_cache_core::stats::Stopwatch;

/// How often the wall clock is looked at, in milliseconds of the monotonic clock.
const RESYNC: u64 = 1000;

/// A clock set back is made good by losing one in this many milliseconds: a relative TTL is then at most 7 % late.
const SLEW: u64 = 16;

/// Nanoseconds of the monotonic clock since the first call.
fn nanos() -> u64 {
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(ORIGIN.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// A source of the present moment, shared by all threads.
#[derive(Debug)]
pub struct Clock(Kind);

#[derive(Debug)]
enum Kind {
    System { origin: Instant, steady: Steady },
    Manual(AtomicU64),
}

impl Clock {
    /// The system's time.
    #[must_use]
    pub fn system() -> Self {
        Self(Kind::System {
            origin: Instant::now(),
            steady: Steady::new(wall()),
        })
    }

    /// A clock that moves only by [`advance`](Self::advance): for tests and simulations.
    #[must_use]
    pub fn manual(start: Millis) -> Self {
        Self(Kind::Manual(AtomicU64::new(start.0)))
    }

    /// The present moment. Never less than what any thread got before.
    #[must_use]
    pub fn now(&self) -> Millis {
        match &self.0 {
            Kind::System { .. } => self.at(Instant::now()),
            Kind::Manual(now) => Millis(now.load(Relaxed)),
        }
    }

    /// The moment of `instant`, which the caller has just read for another purpose: one look at the clock instead of
    /// two. It must not be one to come: time would stand still until then. A manual clock ignores it.
    #[must_use]
    pub fn at(&self, instant: Instant) -> Millis {
        match &self.0 {
            Kind::System { origin, steady } => {
                let elapsed = instant.saturating_duration_since(*origin);
                steady.at(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX), wall)
            }
            Kind::Manual(now) => Millis(now.load(Relaxed)),
        }
    }

    /// What durations are measured by; none for a manual clock, by which everything takes no time.
    #[must_use]
    pub fn stopwatch(&self) -> Option<Stopwatch> {
        matches!(self.0, Kind::System { .. }).then_some(nanos)
    }

    /// Sees to it that no earlier moment than this is given from now on: it was given by a server before. Where the
    /// wall clock is behind it, time goes on from there, slower, until the wall clock has caught up.
    pub fn not_before(&self, moment: Millis) {
        match &self.0 {
            Kind::System { origin, steady } => {
                let elapsed = u64::try_from(origin.elapsed().as_millis()).unwrap_or(u64::MAX);
                steady
                    .offset
                    .fetch_max(moment.0.saturating_sub(elapsed), Relaxed);
                steady.last.fetch_max(moment.0, Relaxed);
            }
            Kind::Manual(now) => _ = now.fetch_max(moment.0, Relaxed),
        }
    }

    /// Moves a manual clock forwards by `ms` milliseconds.
    ///
    /// # Panics
    /// On a system clock: nobody moves that.
    pub fn advance(&self, ms: u64) {
        match &self.0 {
            Kind::System { .. } => panic!("the system's clock was told to move"),
            Kind::Manual(now) => _ = now.fetch_add(ms, Relaxed),
        }
    }
}

/// Milliseconds of the wall clock since the Unix epoch; 0 where it is set before that.
fn wall() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| {
            u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
        })
}

/// The rule of the module's text, on plain numbers.
#[derive(Debug)]
struct Steady {
    /// What is added to the monotonic time.
    offset: AtomicU64,
    /// The monotonic time at which the wall clock was last looked at.
    synced: AtomicU64,
    /// The highest moment given. Time stands still for a few milliseconds where `offset` was lowered.
    last: AtomicU64,
}

impl Steady {
    fn new(wall: u64) -> Self {
        Self {
            offset: AtomicU64::new(wall),
            synced: AtomicU64::new(0),
            last: AtomicU64::new(wall),
        }
    }

    /// The moment at `elapsed` milliseconds of the monotonic clock.
    fn at(&self, elapsed: u64, wall: impl FnOnce() -> u64) -> Millis {
        let synced = self.synced.load(Relaxed);
        if elapsed.saturating_sub(synced) >= RESYNC
            && self
                .synced
                .compare_exchange(synced, elapsed, Relaxed, Relaxed)
                .is_ok()
        {
            self.resync(elapsed, elapsed - synced, wall());
        }
        let now = self.offset.load(Relaxed).saturating_add(elapsed);
        let last = self.last.load(Relaxed);
        // Written once a millisecond at most, so that the threads share the line for reading.
        if now > last {
            Millis(self.last.fetch_max(now, Relaxed).max(now))
        } else {
            Millis(last)
        }
    }

    fn resync(&self, elapsed: u64, since: u64, wall: u64) {
        let offset = self.offset.load(Relaxed);
        let target = wall.saturating_sub(elapsed);
        let slowest = offset - (since / SLEW).min(offset);
        self.offset.store(target.max(slowest), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_follows_the_monotonic_clock() {
        let steady = Steady::new(5_000);
        assert_eq!(steady.at(10, || unreachable!("not yet due")), Millis(5_010));
        assert_eq!(
            steady.at(999, || unreachable!("not yet due")),
            Millis(5_999)
        );
        assert_eq!(steady.at(1_000, || 6_000), Millis(6_000));
    }

    #[test]
    fn a_wall_clock_set_forward_is_followed_at_once() {
        let steady = Steady::new(5_000);
        assert_eq!(steady.at(1_000, || 3_606_000), Millis(3_606_000));
        assert_eq!(
            steady.at(1_010, || unreachable!("not yet due")),
            Millis(3_606_010)
        );
    }

    #[test]
    fn a_wall_clock_set_back_is_met_by_running_slower() {
        let steady = Steady::new(1_000_000);
        let mut last = Millis(1_000_000);
        for second in 1..=2_000u64 {
            let elapsed = second * 1_000;
            let now = steady.at(elapsed, || 1_000_000 - 60_000 + elapsed);
            assert!(now >= last && now.since(last) <= 1_000);
            // It loses no more than a sixteenth.
            assert!(now.0 >= 1_000_000 + elapsed - elapsed / SLEW - 1);
            last = now;
        }
        // A minute takes sixteen minutes to make good; after that the two agree.
        assert_eq!(last, Millis(1_000_000 - 60_000 + 2_000_000));
    }

    #[test]
    fn the_system_clock_tells_the_date() {
        let clock = Clock::system();
        assert!(clock.now().since(Millis(wall())) < 60_000);
        assert!(clock.now().0 > 1_700_000_000_000);
        let stopwatch = clock.stopwatch().unwrap();
        let (before, after) = (stopwatch(), stopwatch());
        assert!(before <= after);
        assert!(Clock::manual(Millis(1)).stopwatch().is_none());
    }

    proptest! {
        #[test]
        fn it_never_goes_back(steps in prop::collection::vec((0u64..5_000, 0u64..10_000_000), 1..200)) {
            let steady = Steady::new(5_000_000);
            let (mut elapsed, mut last) = (0, Millis(0));
            for (step, wall) in steps {
                elapsed += step;
                let now = steady.at(elapsed, || wall);
                prop_assert!(now >= last);
                last = now;
            }
        }
    }
}
