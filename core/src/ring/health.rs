//! When a node counts as down, and when it is tried again. Pure policy: no clock, no I/O.
//!
//! Moments are milliseconds since any moment that the caller chooses.

/// When to give a node up, and how long to leave it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthOptions {
    /// Failures in a row after which a node is down; 0 counts as 1. Default 3.
    pub failures: u32,
    /// How long a node that has just gone down is left alone, in ms; 0 counts as 1. Each retry that fails doubles it.
    /// Default 1,000.
    pub first_retry: u64,
    /// The longest that it is left alone, in ms. Default 30,000.
    pub last_retry: u64,
}

impl Default for HealthOptions {
    fn default() -> Self {
        Self {
            failures: 3,
            first_retry: 1_000,
            last_retry: 30_000,
        }
    }
}

/// Whether a node may be sent something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is up.
    Up,
    /// It is down, and the caller alone may try it now. What comes of it is to be told by [`Health::succeeded`] or
    /// [`Health::failed`]; a caller who tells nothing blocks nobody: the next one may try after the same time again.
    Try,
    /// It is down, and is not to be tried before this moment.
    Down(u64),
}

/// What is known of a node from the requests that were sent to it.
///
/// ```
/// use ant_cache_core::ring::{Admission, Health, HealthOptions};
///
/// let mut health = Health::new(HealthOptions { failures: 2, ..HealthOptions::default() });
/// assert!(!health.failed(5_000, 0));
/// assert!(health.failed(5_001, 0), "now it is down");
/// assert!(matches!(health.admit(5_002), Admission::Down(_)));
/// // Half a second to a second later one caller may try, and only one.
/// assert_eq!(health.admit(6_001), Admission::Try);
/// assert!(matches!(health.admit(6_001), Admission::Down(_)));
/// assert!(health.succeeded(), "now it is up");
/// assert_eq!(health.admit(6_002), Admission::Up);
/// ```
#[derive(Clone, Debug)]
pub struct Health {
    options: HealthOptions,
    /// In a row.
    failures: u32,
    /// How long it is left alone, and until when; none while it is up.
    down: Option<Down>,
}

#[derive(Clone, Copy, Debug)]
struct Down {
    delay: u64,
    until: u64,
    /// Whether somebody tries it.
    trying: bool,
}

impl Health {
    /// A node that is up.
    #[must_use]
    pub const fn new(options: HealthOptions) -> Self {
        Self {
            options,
            failures: 0,
            down: None,
        }
    }

    /// Whether the node may be sent something at `now`.
    pub fn admit(&mut self, now: u64) -> Admission {
        match &mut self.down {
            None => Admission::Up,
            Some(down) if now < down.until => Admission::Down(down.until),
            Some(down) => {
                down.until = now.saturating_add(down.delay);
                down.trying = true;
                Admission::Try
            }
        }
    }

    /// Failures since the last success.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// Until when the node is left alone; nothing while it is up.
    #[must_use]
    pub fn down_until(&self) -> Option<u64> {
        self.down.map(|down| down.until)
    }

    /// The node has answered, be it with an error. True where it was down until now.
    pub const fn succeeded(&mut self) -> bool {
        self.failures = 0;
        self.down.take().is_some()
    }

    /// No connection could be made to the node, or it broke, or no answer came in time. True where it is down from
    /// now on.
    ///
    /// `random` is any number: it shortens the time by up to a half, so that not everyone who shares the node tries it
    /// at once.
    pub fn failed(&mut self, now: u64, random: u64) -> bool {
        self.failures = self.failures.saturating_add(1);
        let delay = match self.down {
            None if self.failures < self.options.failures => return false,
            None => self.options.first_retry,
            // What was under way when it went down: nothing new.
            Some(down) if !down.trying => return false,
            Some(down) => down.delay.saturating_mul(2),
        };
        let goes_down = self.down.is_none();
        let delay = delay.min(self.options.last_retry).max(1);
        let until = now.saturating_add(delay - random % (delay / 2 + 1));
        self.down = Some(Down {
            delay,
            until,
            trying: false,
        });
        goes_down
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> Health {
        Health::new(HealthOptions {
            failures: 2,
            first_retry: 100,
            last_retry: 350,
        })
    }

    #[test]
    fn a_success_between_failures_starts_the_count_anew() {
        let mut health = health();
        for now in 0..10 {
            assert!(!health.failed(now, 0));
            assert!(!health.succeeded());
        }
        assert_eq!(health.admit(10), Admission::Up);
        assert!(!health.failed(11, 0));
        assert!(health.failed(12, 0));
        assert_eq!(health.down_until(), Some(112));
    }

    #[test]
    fn each_retry_that_fails_doubles_the_time_up_to_the_longest() {
        let mut health = health();
        health.failed(0, 0);
        health.failed(0, 0);
        let mut now = 0;
        for delay in [100, 200, 350, 350] {
            assert_eq!(health.admit(now + delay - 1), Admission::Down(now + delay));
            now += delay;
            assert_eq!(health.admit(now), Admission::Try);
            assert!(!health.failed(now, 0), "it was down already");
        }
        assert_eq!(health.failures(), 6);
        assert!(health.succeeded());
        assert_eq!(health.admit(now), Admission::Up);
        assert_eq!(health.failures(), 0);
    }

    #[test]
    fn jitter_shortens_the_time_by_up_to_a_half() {
        let until = |random| {
            let mut health = health();
            health.failed(0, random);
            health.failed(0, random);
            health.down_until().unwrap()
        };
        assert_eq!((until(0), until(50), until(51)), (100, 50, 100));
        for random in 0..1_000 {
            assert!((50..=100).contains(&until(random * 7_919)));
        }
    }

    #[test]
    fn requests_that_were_under_way_do_not_lengthen_it() {
        let mut health = health();
        for _ in 0..10 {
            health.failed(0, 0);
        }
        assert_eq!(health.down_until(), Some(100));
    }

    #[test]
    fn one_caller_tries_and_the_next_after_the_same_time_if_it_never_tells() {
        let mut health = health();
        health.failed(0, 0);
        health.failed(0, 0);
        assert_eq!(health.admit(100), Admission::Try);
        assert_eq!(health.admit(100), Admission::Down(200));
        assert_eq!(health.admit(200), Admission::Try);
    }

    #[test]
    fn extreme_settings_do_no_harm() {
        let mut health = Health::new(HealthOptions {
            failures: 0,
            first_retry: 0,
            last_retry: u64::MAX,
        });
        assert!(health.failed(u64::MAX, u64::MAX), "0 failures count as 1");
        assert_eq!(health.admit(u64::MAX), Admission::Try);
        assert!(!health.failed(u64::MAX, 3));
    }
}
