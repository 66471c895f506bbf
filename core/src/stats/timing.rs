//! How long commands take.

use alloc::boxed::Box;

use crate::Histogram;
use crate::command::{self, Command};
use crate::sync::Mutex;

/// What is known of one command's calls.
#[derive(Clone, Debug)]
pub struct CommandStats {
    /// The command; `None` for requests that name none.
    pub command: Option<&'static Command>,
    /// Calls that ran.
    pub calls: u64,
    /// Requests that were refused before they ran: wrong numbers of words, no password, no memory.
    pub rejections: u64,
    /// Calls that ran and were answered with an error.
    pub failures: u64,
    /// Durations of those calls that were timed, in nanoseconds: from the first look at the arguments to the whole
    /// reply in the connection's output. One that went over several turns includes the time between them.
    pub nanos: Histogram,
}

impl CommandStats {
    /// The command's name; `unknown` for what is none.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.command.map_or("unknown", |command| command.name)
    }

    /// Microseconds that all calls took, from the mean of those that were timed.
    #[must_use]
    pub fn total_micros(&self) -> u64 {
        (self.nanos.mean() * self.calls as f64 / 1000.0) as u64
    }
}

/// A histogram for each command, in nanoseconds, made at its first measurement.
///
/// Shared by all workers: what is noted here is noted seldom. Each has a lock of its own, held for an addition.
#[derive(Debug)]
pub(crate) struct Timings([Mutex<Option<Box<Histogram>>>; command::COUNT + 1]);

impl Default for Timings {
    fn default() -> Self {
        Self([const { Mutex::new(None) }; command::COUNT + 1])
    }
}

impl Timings {
    /// Notes one duration of a command.
    pub(crate) fn record(&self, number: u8, nanos: u64) {
        self.0[usize::from(number)]
            .lock()
            .get_or_insert_default()
            .record(nanos);
    }

    /// The durations of a command.
    pub(crate) fn of(&self, number: usize) -> Histogram {
        let histogram = self.0[number].lock();
        histogram.as_deref().cloned().unwrap_or_default()
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        for histogram in &self.0 {
            let old = histogram.lock().take();
            drop(old);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_kept_by_command() {
        let timings = Timings::default();
        timings.record(3, 700);
        timings.record(3, 900);
        timings.record(4, 5);
        assert_eq!((timings.of(3).total(), timings.of(3).sum()), (2, 1600));
        assert_eq!((timings.of(4).max(), timings.of(5).total()), (5, 0));
        timings.clear();
        assert_eq!(timings.of(3).total(), 0);
    }

    #[test]
    fn all_calls_are_taken_to_last_as_long_as_the_timed_ones() {
        let mut nanos = Histogram::default();
        nanos.record(1000);
        nanos.record(3000);
        let stats = CommandStats {
            command: None,
            calls: 100,
            rejections: 0,
            failures: 0,
            nanos,
        };
        assert_eq!((stats.name(), stats.total_micros()), ("unknown", 200));
    }
}
