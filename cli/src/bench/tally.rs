//! What a phase of load gave.

use core::time::Duration;
use std::time::Instant;

use hdrhistogram::Histogram;

use super::timeline::Timeline;
use super::wire::Pending;
use super::workload::{Mix, Op};

/// What a phase gave.
#[derive(Debug)]
pub(super) struct Tally {
    /// Latencies of right replies in nanoseconds, by the discriminant of the operation.
    pub(super) latencies: Vec<Option<Histogram<u64>>>,
    pub(super) timeline: Timeline,
    /// Keys that were not there.
    pub(super) misses: u64,
    /// Replies that were errors, or not the right ones.
    pub(super) errors: u64,
    /// The first of these, with its request.
    pub(super) example: Option<String>,
    /// Requests that were due before the end and that no connection was free for.
    pub(super) unsent: u64,
    /// By how many nanoseconds the generator itself was late to send what was due although a connection was free.
    pub(super) late: Histogram<u64>,
    /// Why the phase ended before its limit.
    pub(super) failure: Option<String>,
    pub(super) started: Instant,
    pub(super) ended: Instant,
    /// Processor time of the generator itself.
    pub(super) cpu: Duration,
}

/// Up to a minute; three digits are all that a table shows.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are in order")
}

impl Tally {
    pub(super) fn new(mix: &Mix) -> Self {
        let mut latencies = Vec::new();
        latencies.resize_with(Op::ALL.len(), || None);
        for op in mix.ops() {
            latencies[op as usize] = Some(histogram());
        }
        let now = Instant::now();
        Self {
            latencies,
            timeline: Timeline::new(),
            misses: 0,
            errors: 0,
            example: None,
            unsent: 0,
            late: histogram(),
            failure: None,
            started: now,
            ended: now,
            cpu: Duration::ZERO,
        }
    }

    /// The tally of a phase that did not take place.
    pub(super) fn failed(reason: &str) -> Self {
        let mut tally = Self::new(&Mix::only(Op::Ping));
        tally.failure = Some(reason.to_owned());
        tally
    }

    /// Counts so many right replies that came together at `now`.
    pub(super) fn right(&mut self, op: Op, now: Instant, latency: Duration, count: u64) {
        if let Some(histogram) = &mut self.latencies[op as usize] {
            histogram.saturating_record_n(latency.as_nanos() as u64, count);
        }
        let at = now.saturating_duration_since(self.started);
        self.timeline.record(at, latency, count);
    }

    /// Counts a reply that should not have come.
    pub(super) fn wrong(&mut self, pending: Pending, reply: &[u8]) {
        self.errors += 1;
        self.example.get_or_insert_with(|| {
            let shown = reply.trim_ascii_end();
            let cut = if shown.len() > 100 { "…" } else { "" };
            let shown = shown[..shown.len().min(100)].escape_ascii();
            let key = match pending.op {
                Op::Auth | Op::Ping => String::new(),
                _ => format!(" of key {}", pending.key),
            };
            format!("{}{key} was answered by {shown}{cut}", pending.op.name())
        });
    }

    /// Puts another thread's tally of the same phase to this one.
    pub(super) fn add(&mut self, other: Self) {
        // All have the same bounds, so that histograms always add.
        for (mine, other) in self.latencies.iter_mut().zip(other.latencies) {
            if let (Some(mine), Some(other)) = (mine, other) {
                let _ = mine.add(other);
            }
        }
        let _ = self.late.add(other.late);
        self.timeline.add(other.timeline);
        self.misses += other.misses;
        self.errors += other.errors;
        self.example = self.example.take().or(other.example);
        self.unsent += other.unsent;
        self.failure = self.failure.take().or(other.failure);
        self.started = self.started.min(other.started);
        self.ended = self.ended.max(other.ended);
        self.cpu += other.cpu;
    }

    /// Latencies of all operations together.
    pub(super) fn all(&self) -> Histogram<u64> {
        let mut all = histogram();
        for latencies in self.latencies.iter().flatten() {
            let _ = all.add(latencies);
        }
        all
    }

    /// The operations of the phase with the latencies of each.
    pub(super) fn by_op(&self) -> impl Iterator<Item = (Op, &Histogram<u64>)> {
        Op::ALL
            .into_iter()
            .zip(&self.latencies)
            .filter_map(|(op, histogram)| Some((op, histogram.as_ref()?)))
    }
}
