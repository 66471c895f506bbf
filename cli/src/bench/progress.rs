//! A line on standard error that tells how a test goes.

use core::sync::atomic::Ordering;
use core::time::Duration;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Instant;

use super::engine::Gauge;
use super::plan::Length;
use super::report::{grouped, micros};

/// How often the line is written anew.
pub(super) const INTERVAL: Duration = Duration::from_millis(250);

/// The line of one test.
#[derive(Debug)]
pub(super) struct Progress<'a> {
    name: String,
    length: Length,
    gauges: &'a [Arc<Gauge>],
    began: Instant,
    last: Count,
    looked: Instant,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    requests: u64,
    errors: u64,
    nanos: u64,
}

impl<'a> Progress<'a> {
    pub(super) fn new(name: String, length: Length, gauges: &'a [Arc<Gauge>]) -> Self {
        let now = Instant::now();
        Self {
            name,
            length,
            gauges,
            began: now,
            last: Count::default(),
            looked: now,
        }
    }

    /// Writes the line anew. A terminal that is gone is no reason to stop.
    pub(super) fn show(&mut self) {
        let (now, count) = (Instant::now(), self.count());
        let line = line(
            &self.name,
            done(self.length, count.requests, now - self.began),
            count,
            self.last,
            now - self.looked,
        );
        let _ = write!(io::stderr(), "\r{line}\x1b[K");
        (self.last, self.looked) = (count, now);
    }

    /// Takes the line away.
    pub(super) fn clear(self) {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }

    fn count(&self) -> Count {
        let mut sum = Count::default();
        for gauge in self.gauges {
            sum.requests += gauge.requests.load(Ordering::Relaxed);
            sum.errors += gauge.errors.load(Ordering::Relaxed);
            sum.nanos += gauge.nanos.load(Ordering::Relaxed);
        }
        sum
    }
}

/// The part that is done, from 0 to 1.
fn done(length: Length, requests: u64, since: Duration) -> f64 {
    let part = match length {
        Length::Ops(ops) => requests as f64 / ops as f64,
        Length::Time(time) => since.as_secs_f64() / time.as_secs_f64(),
    };
    part.min(1.0)
}

fn line(name: &str, done: f64, count: Count, last: Count, since: Duration) -> String {
    // Between two phases the count begins anew.
    let requests = count.requests.saturating_sub(last.requests);
    let nanos = count.nanos.saturating_sub(last.nanos);
    let rate = requests as f64 / since.as_secs_f64().max(1e-9);
    let mean = nanos as f64 / requests.max(1) as f64;
    let errors = match count.errors {
        0 => String::new(),
        errors => format!("  {} WRONG", grouped(errors)),
    };
    format!(
        "{name}: {:.0} %  {} ops  {} ops/s  mean {} µs{errors}",
        done * 100.0,
        grouped(count.requests),
        grouped(rate as u64),
        micros(mean),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_of_what_came_since_it_was_written_last() {
        let last = Count {
            requests: 1000,
            errors: 0,
            nanos: 5_000_000,
        };
        let count = Count {
            requests: 3000,
            errors: 1234,
            nanos: 9_000_000,
        };
        let shown = line("get", 0.3, count, last, Duration::from_millis(500));
        assert_eq!(
            shown,
            "get: 30 %  3,000 ops  4,000 ops/s  mean 2.0 µs  1,234 WRONG"
        );
        let none = line("get", 0.0, last, last, Duration::ZERO);
        assert_eq!(none, "get: 0 %  1,000 ops  0 ops/s  mean 0.0 µs");
    }

    #[test]
    fn how_far_it_is() {
        let half = Duration::from_secs(5);
        assert_eq!(done(Length::Ops(200), 50, half), 0.25);
        assert_eq!(done(Length::Time(half * 2), 50, half), 0.5);
        assert_eq!(done(Length::Time(half / 2), 50, half), 1.0);
    }
}
