//! What two looks at a server tell.

use std::collections::VecDeque;
use std::time::Instant;

use crate::stats::{CommandLine, HotKey, Reading};

/// Points of the throughput that are kept: as wide as terminals are.
const KEEP: usize = 400;

/// The last look and the one before.
#[derive(Debug, Default)]
pub(super) struct Figures {
    now: Reading,
    before: Option<Reading>,
    at: Option<Instant>,
    /// Seconds between the two.
    seconds: f64,
    /// Requests a second, look by look.
    pub(super) throughput: VecDeque<u64>,
    pub(super) hot: Vec<HotKey>,
}

impl Figures {
    /// Takes a new look in.
    pub(super) fn add(&mut self, reading: Reading, hot: Vec<HotKey>, at: Instant) {
        let before = core::mem::replace(&mut self.now, reading);
        if let Some(earlier) = self.at.replace(at) {
            // One that was restarted has no past.
            let same = before.text("run_id") == self.now.text("run_id");
            self.before = same.then_some(before);
            self.seconds = (at - earlier).as_secs_f64();
        }
        self.hot = hot;
        let rate = self.rate("total_commands_processed");
        if rate.is_finite() {
            self.throughput.push_back(rate as u64);
            if self.throughput.len() > KEEP {
                self.throughput.pop_front();
            }
        }
    }

    pub(super) fn text(&self, name: &str) -> &str {
        self.now.text(name)
    }

    pub(super) fn number(&self, name: &str) -> f64 {
        self.now.number(name)
    }

    /// How much a counter grew a second; not a number where that is not known yet.
    pub(super) fn rate(&self, name: &str) -> f64 {
        let before = self.before.as_ref();
        before.map_or(f64::NAN, |before| {
            grown(self.now.number(name), before.number(name)) / self.seconds
        })
    }

    /// Hits among the reads of late, from 0 to 1; of all where there were none.
    pub(super) fn hit_ratio(&self) -> f64 {
        let part = |hits: f64, misses: f64| hits / (hits + misses);
        let late = part(self.rate("keyspace_hits"), self.rate("keyspace_misses"));
        if late.is_finite() {
            return late;
        }
        part(self.number("keyspace_hits"), self.number("keyspace_misses"))
    }

    /// The commands with their calls a second, busiest first.
    pub(super) fn commands(&self) -> Vec<(CommandLine, f64)> {
        let before = self
            .before
            .as_ref()
            .map(Reading::commands)
            .unwrap_or_default();
        let rate = |line: &CommandLine| {
            let earlier = before.iter().find(|other| other.name == line.name);
            let earlier = earlier.map_or(0.0, |earlier| earlier.calls);
            grown(line.calls, earlier) / self.seconds
        };
        let mut lines: Vec<_> = self
            .now
            .commands()
            .into_iter()
            .map(|line| {
                let rate = if self.before.is_some() {
                    rate(&line)
                } else {
                    f64::NAN
                };
                (line, rate)
            })
            .collect();
        lines.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        lines
    }
}

/// What a counter grew by. After CONFIG RESETSTAT it begins anew.
fn grown(now: f64, before: f64) -> f64 {
    if now >= before { now - before } else { now }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn reading(run: &str, commands: u64, gets: u64) -> Reading {
        Reading::parse(&format!(
            "# Server\nrun_id:{run}\n# Stats\ntotal_commands_processed:{commands}\nkeyspace_hits:{gets}\n\
             keyspace_misses:0\n# Commandstats\ncmdstat_get:calls={gets},failed_calls=0\ncmdstat_set:calls=5,failed_calls=0\n"
        ))
    }

    #[test]
    fn rates_are_differences_over_time() {
        let (mut figures, start) = (Figures::default(), Instant::now());
        figures.add(reading("a", 100, 50), Vec::new(), start);
        assert!(figures.rate("total_commands_processed").is_nan());
        assert_eq!(figures.hit_ratio(), 1.0);
        figures.add(
            reading("a", 300, 150),
            Vec::new(),
            start + Duration::from_secs(2),
        );
        assert_eq!(figures.rate("total_commands_processed"), 100.0);
        let (line, rate) = &figures.commands()[0];
        assert_eq!((line.name.as_str(), *rate), ("get", 50.0));
        // CONFIG RESETSTAT.
        figures.add(
            reading("a", 30, 10),
            Vec::new(),
            start + Duration::from_secs(3),
        );
        assert_eq!(figures.rate("total_commands_processed"), 30.0);
        assert_eq!(figures.throughput, [100, 30]);
        // Another server in its place.
        figures.add(
            reading("b", 1000, 10),
            Vec::new(),
            start + Duration::from_secs(4),
        );
        assert!(figures.rate("total_commands_processed").is_nan());
    }
}
