//! Events that took long, as Redis's latency monitor keeps them.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::Millis;

/// Samples of an event that are kept: as many as Redis keeps.
const SAMPLES: usize = 160;

/// What can take long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A call that may take long by nature.
    Command,
    /// A call that takes constant time.
    FastCommand,
}

impl Event {
    /// All events.
    pub const ALL: [Self; 2] = [Self::Command, Self::FastCommand];

    /// Its name in Redis.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::FastCommand => "fast-command",
        }
    }
}

/// The longest that an event took in one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The Unix time, in seconds.
    pub second: u64,
    /// Milliseconds that it took.
    pub ms: u64,
}

/// What is known of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    samples: VecDeque<Sample>,
    max: u64,
}

impl History {
    /// The longest of each second in which it took long, the oldest first: at most 160.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = Sample> {
        self.samples.iter().copied()
    }

    /// The latest sample; `None` where there is none.
    #[must_use]
    pub fn latest(&self) -> Option<Sample> {
        self.samples.back().copied()
    }

    /// Milliseconds that it took at most, also where that is no longer among the samples.
    #[must_use]
    pub const fn max(&self) -> u64 {
        self.max
    }

    fn note(&mut self, now: Millis, ms: u64) {
        let second = now.0 / 1000;
        self.max = self.max.max(ms);
        match self.samples.back_mut() {
            Some(last) if last.second == second => last.ms = last.ms.max(ms),
            _ => {
                if self.samples.len() == SAMPLES {
                    self.samples.pop_front();
                }
                self.samples.push_back(Sample { second, ms });
            }
        }
    }
}

/// The histories of all events.
#[derive(Debug, Default)]
pub(crate) struct Latencies([History; Event::ALL.len()]);

impl Latencies {
    pub(crate) fn note(&mut self, event: Event, now: Millis, ms: u64) {
        self.0[event as usize].note(now, ms);
    }

    /// The events that have happened, with what is known of them.
    pub(crate) fn all(&self) -> Vec<(Event, History)> {
        let all = Event::ALL.into_iter().zip(self.0.iter().cloned());
        all.filter(|(_, history)| !history.samples.is_empty())
            .collect()
    }

    /// Forgets an event; false where it has not happened.
    pub(crate) fn forget(&mut self, event: Event) -> bool {
        core::mem::take(&mut self.0[event as usize])
            .latest()
            .is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_its_longest_and_the_oldest_go() {
        let mut latencies = Latencies::default();
        assert!(!latencies.forget(Event::Command));
        for second in 0..200 {
            for ms in [7, 9 + second, 8] {
                latencies.note(Event::Command, Millis(second * 1000 + ms), ms);
            }
        }
        latencies.note(Event::Command, Millis(200_000), 5);
        let all = latencies.all();
        let (event, history) = &all[0];
        assert_eq!((all.len(), *event, history.max()), (1, Event::Command, 208));
        let samples: Vec<_> = history.samples().collect();
        assert_eq!(samples.len(), SAMPLES);
        assert_eq!(samples[0], Sample { second: 41, ms: 50 });
        assert_eq!(history.latest(), Some(Sample { second: 200, ms: 5 }));
        assert!(latencies.forget(Event::Command) && latencies.all().is_empty());
    }
}
